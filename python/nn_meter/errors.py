"""Errors that scripts written for nn-Meter 2.0 catch under Python's own names; each is an nn_meter.Error as well."""

from ._core import Error


class PredictorNotFound(Error, NotImplementedError):
    """No predictor of that name and version."""


class UnsupportedModelType(Error, ValueError):
    """A model_type that there is not."""


class MissingPackage(Error, ImportError):
    """A package that this use needs is not installed."""


def fault(kind, status, message):
    """An error of that class, with the attributes of nn_meter.Error."""
    error = kind(message)
    error.status, error.file, error.place, error.message = status, "", "", message
    return error


def again_as(kind, error):
    """The library's error as one of that class."""
    other = kind(str(error))
    other.status, other.file, other.place, other.message = error.status, error.file, error.place, error.message
    return other
