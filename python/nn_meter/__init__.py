"""nn-Meter: how many milliseconds a neural network takes on an edge device, without the device.

model = nn_meter.Model("net.onnx")
nn_meter.Predictor("cortexA76cpu_tflite21").predict(model).latency_ms

All latencies are in milliseconds. Whatever the library refuses is an nn_meter.Error, its text one line: file, place,
fault, remedy. nn_meter.fit makes predictors from measurements (pip install 'nn-meter[fit]').
"""

from ._core import (
    FEATURES,
    FORMATS,
    KERNEL_TYPES,
    WORK,
    Error,
    Model,
    Prediction,
    Predictor,
    Rules,
    Table,
    detect_format,
    predictors,
)
from ._core import VERSION as __version__

__all__ = [
    "FEATURES",
    "FORMATS",
    "KERNEL_TYPES",
    "WORK",
    "Error",
    "Model",
    "Prediction",
    "Predictor",
    "Rules",
    "Table",
    "__version__",
    "detect_format",
    "predictors",
]
