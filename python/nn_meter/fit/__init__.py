"""Predictors from measurements.

fit(): a predictor from the measured latencies of whole models, of single kernels, or both; from scratch, or calibrated from
another device's predictor by a handful of measurements.
suggest(): the few models whose measurement teaches a predictor most, as files to measure.

On the command line: nn-meter fit. Needs torch, numpy and matplotlib: pip install 'nn-meter[fit]'.
"""

import importlib

from .errors import FitError, needed

__all__ = ["FitError", "FitResult", "fit", "suggest"]


def __getattr__(name):  # torch takes a second to import: only when it is wanted
    module = {"fit": "fitting", "FitResult": "fitting", "suggest": "suggestion"}.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f".{module}", __name__), name)
    except ImportError as fault:
        raise needed(fault) from None
