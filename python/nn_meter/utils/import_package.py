"""Packages that some uses need. Nothing of nn_meter itself needs more than torch; these are for scripts of nn-Meter 2.0.

The versions that were demanded are those of 2021: newer ones work, so nothing is said about them.
"""

import importlib

from ..logs import logger


def _import(name, package=None):
    try:
        return importlib.import_module(name)
    except ImportError:
        package = package or name
        logger.info(
            "You have not install the %s package, please install %s and try again. (pip install %s)",
            package,
            package,
            package,
        )
        return None


def try_import_onnx(require_version=["1.10.0", "1.9.0"]):
    """The package onnx, or None after a message."""
    return _import("onnx")


def try_import_torch(require_version=["1.10.0", "1.9.0", "1.7.1"]):
    """The package torch, or None after a message."""
    return _import("torch")


def try_import_tensorflow(require_version=["2.7.0", "2.6.0"]):
    """The package tensorflow, or None after a message."""
    return _import("tensorflow")


def try_import_nni(require_version=["2.7", "2.6", "2.5", "2.4"]):
    """The package nni, or None after a message."""
    return _import("nni")


def try_import_torchvision_models():
    """torchvision.models, or None after a message."""
    return _import("torchvision.models", "torchvision")


def try_import_onnxsim():
    """The package onnxsim, or None after a message."""
    return _import("onnxsim")


def try_import_dgl():
    """The package dgl, or None after a message."""
    return _import("dgl")
