"""Latency predictors as nn-Meter 2.0 offered them."""

from .nn_meter_predictor import list_latency_predictors, load_latency_predictor, nnMeterPredictor
from .prediction.utils import latency_metrics

__all__ = ["latency_metrics", "list_latency_predictors", "load_latency_predictor", "nnMeterPredictor"]
