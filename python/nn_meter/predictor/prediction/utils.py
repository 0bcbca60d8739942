"""Names of nn-Meter 2.0's predictors, and figures of merit."""

from ..._core import compat_predictor


def get_kernel_name(optype):
    """The name of the predictor that a kernel of that name asks."""
    return compat_predictor(optype)


def get_accuracy(y_pred, y_true, threshold=0.01):
    """Share of predictions whose relative error is at most the threshold, 0..1. Arrays of equal length."""
    import numpy as np

    y_pred, y_true = np.asarray(y_pred, float), np.asarray(y_true, float)
    return float(np.mean(np.abs((y_true - y_pred) / y_true) <= threshold))


def latency_metrics(y_pred, y_true):
    """(root mean square error, the same of relative errors in %, the first by the mean of y_true, share of predictions within
    5 %, 10 %, 15 %). Arrays of equal length, in milliseconds."""
    import numpy as np

    y_pred, y_true = np.asarray(y_pred, float), np.asarray(y_true, float)
    rmse = float(np.sqrt(np.mean((y_pred - y_true) ** 2)))
    relative = float(np.sqrt(np.mean(((y_pred - y_true) / y_true) ** 2)) * 100)
    within = [get_accuracy(y_pred, y_true, threshold) for threshold in (0.05, 0.1, 0.15)]
    return (rmse, relative, rmse / float(np.mean(y_true)), *within)
