"""Which models to measure: those that leave the least doubt about all the others.

Calibration believes that a new device differs from a known one in so many ways, each by about so much (calibration.Spread).
To first order the logarithm of a model's latency moves along its gradient by those ways, so two models learn from each other
as far as their gradients agree: taken as the covariance of a Gaussian process, the gradients' products say how much doubt is
left about each model once others are measured.
"""

import numpy as np

from .calibration import NOISE, Change, Response

AT_ONCE = 200  # models whose gradients are computed together


def gradient_vectors(network, evidence, models, reach, spread=None, progress=None):
    """[model, way to differ]: the gradient of the logarithm of each model's latency, in standard deviations.

    reach: reach.Reach of the network."""
    change = Change(network, reach, spread)
    vectors = []
    for start in range(0, len(models), AT_ONCE):
        if progress:
            progress(start / len(models))
        response = Response(network, evidence, models[start : start + AT_ONCE], change)
        vectors.append(response.gradient(change.zero)[1].numpy())
    return np.concatenate(vectors).astype(np.float64)


def choose(vectors, candidates, count, noise=NOISE):
    """Indices of `count` of the candidates (indices of vectors), the most telling first.

    Greedy: each choice is the one after whose measurement the standard deviation of a model is least, on average. (Their
    variance would be ruled by the few models that differ most.) noise: standard deviation of the logarithm of a measurement.
    """
    candidates = np.asarray(candidates)
    covariance = vectors @ vectors.T
    free = np.ones(len(candidates), bool)
    chosen = []
    for _ in range(min(count, len(candidates))):
        known = covariance[:, candidates] ** 2 / (covariance[candidates, candidates] + noise**2)
        left = np.sqrt(np.maximum(np.diag(covariance)[:, None] - known, 0) + noise**2).mean(0)
        best = int(np.argmin(np.where(free, left, np.inf)))
        free[best] = False
        model = candidates[best]
        chosen.append(int(model))
        column = covariance[:, model]
        covariance = covariance - np.outer(column, column) / (column[model] + noise**2)
    return chosen
