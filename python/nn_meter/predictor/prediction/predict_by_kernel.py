"""Sums of the latencies of kernels, asked from objects with predict(rows), as nn-Meter 2.0 did it."""

from ...logs import logger
from .extract_feature import get_predict_features
from .utils import get_kernel_name

__all__ = ["merge_conv_kernels", "nn_predict", "predict_model"]


def merge_conv_kernels(kernelname):
    """Convolutions have one predictor, depthwise ones another, whatever is fused to them."""
    return get_kernel_name(kernelname) if "conv" in kernelname else kernelname


def predict_model(model, predictors):
    """Milliseconds of {row number: {kernel name: features}}; each predictor is asked once. Kernels without a predictor are
    named in the log: nn-Meter 2.0 left them out of the sum without a word."""
    rows = {}
    for kernels in model.values():
        for name, features in kernels.items():
            rows.setdefault(get_kernel_name(name), []).append(features)
    total, silent = 0, []
    for name, features in rows.items():
        if name in predictors:
            total += float(sum(predictors[name].predict(features)))
        else:
            silent.append(f"{name} ({len(features)})")
    if silent:
        logger.info("No predictor for %s: not in the sum", ", ".join(silent))
    return total


def nn_predict(predictors, kernel_units):
    """Milliseconds of the kernels that KernelDetector gives."""
    return predict_model(get_predict_features(kernel_units), predictors)
