"""nn-Meter: how many milliseconds a neural network takes on an edge device, without the device.

model = nn_meter.Model("net.onnx")
nn_meter.Predictor("cortexA76cpu_tflite21").predict(model).latency_ms

or, as with nn-Meter 2.0:

nn_meter.load_latency_predictor("cortexA76cpu_tflite21").predict("net.onnx", "onnx")

All latencies are in milliseconds. Whatever the library refuses is an nn_meter.Error, its text one line: file, place,
fault, remedy. nn_meter.fit makes predictors from measurements (pip install 'nn-meter[fit]').
"""

import importlib
from typing import TYPE_CHECKING

from ._core import (
    FEATURES,
    FORMATS,
    KERNEL_TYPES,
    TORCHVISION,
    WORK,
    Error,
    Kernel,
    Model,
    Prediction,
    Predictor,
    Rules,
    Table,
    detect_format,
    fetch,
    predictors,
    register,
    unregister,
)
from ._core import VERSION as __version__
from .logs import handler, logger

if TYPE_CHECKING:
    from .dataset import bench_dataset
    from .ir_converter import model_file_to_graph, model_to_graph
    from .models import open_model
    from .predictor import latency_metrics, list_latency_predictors, load_latency_predictor, nnMeterPredictor
    from .utils import change_user_data_folder, create_user_configs, download_from_url

# Imported when they are first asked for: `import nn_meter` alone is fast.
_LATER = {
    "bench_dataset": "dataset",
    "change_user_data_folder": "utils",
    "create_user_configs": "utils",
    "download_from_url": "utils",
    "latency_metrics": "predictor",
    "list_latency_predictors": "predictor",
    "load_latency_predictor": "predictor",
    "model_file_to_graph": "ir_converter",
    "model_to_graph": "ir_converter",
    "nnMeterPredictor": "predictor",
    "open_model": "models",
}
_PARTS = ("dataset", "fit", "ir_converter", "kernel_detector", "predictor", "search", "utils")

__all__ = [
    "FEATURES",
    "FORMATS",
    "KERNEL_TYPES",
    "TORCHVISION",
    "WORK",
    "Error",
    "Kernel",
    "Model",
    "Prediction",
    "Predictor",
    "Rules",
    "Table",
    "__version__",
    "bench_dataset",
    "change_user_data_folder",
    "create_user_configs",
    "detect_format",
    "download_from_url",
    "fetch",
    "handler",
    "latency_metrics",
    "list_latency_predictors",
    "load_latency_predictor",
    "logger",
    "model_file_to_graph",
    "model_to_graph",
    "nnMeterPredictor",
    "open_model",
    "predictors",
    "register",
    "unregister",
]


def __getattr__(name):
    if name in _PARTS:
        return importlib.import_module(f".{name}", __name__)
    if name not in _LATER:
        raise AttributeError(f"module 'nn_meter' has no attribute '{name}'")
    value = getattr(importlib.import_module(f".{_LATER[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *_LATER, *_PARTS})
