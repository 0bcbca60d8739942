"""Which models to measure: those that leave the least doubt about all the others.

Calibration changes a predictor's weights as little as the measurements ask for. To first order a model's latency then moves
along its gradient, so two models learn from each other as far as their gradients agree: taken as the covariance of a
Gaussian process, the gradients' products say how much doubt is left about each model once others are measured.
"""

import numpy as np
import torch

from .training import model_latencies

NOISE = 0.02  # variance of a measurement, where that of a model nobody measured is 1 on average
DIMENSION = 768  # of the projected gradients


def gradient_vectors(network, evidence, models, dimension=DIMENSION, progress=None):
    """[model, dimension]: the gradient of the logarithm of each model's latency by all weights, projected at random (each
    weight adds to one coordinate, with a sign of its own), scaled to a mean square length of 1."""
    generator = np.random.default_rng(0)
    parameters = list(network.parameters())
    place = [torch.from_numpy(generator.integers(0, dimension, p.numel())) for p in parameters]
    sign = [torch.from_numpy(generator.choice(np.float32([-1, 1]), p.numel())) for p in parameters]
    vectors = np.zeros((len(models), dimension))
    for i, model in enumerate(models):
        if progress:
            progress(i / len(models))
        latency = torch.log(model_latencies(network, evidence, np.array([model]))).sum()
        gradients = torch.autograd.grad(latency, parameters, allow_unused=True)
        vector = torch.zeros(dimension)
        for gradient, where, by in zip(gradients, place, sign):
            if gradient is not None:
                vector.index_add_(0, where, gradient.reshape(-1) * by)
        vectors[i] = vector.double().numpy()
    return vectors / max(np.sqrt((vectors**2).sum(1).mean()), 1e-30)


def choose(vectors, candidates, count, noise=NOISE):
    """Indices of `count` of the candidates (indices of vectors), the most telling first.

    Greedy: each choice is the one whose measurement takes away most of the variance of all models.
    """
    candidates = np.asarray(candidates)
    covariance = vectors @ vectors.T
    free = np.ones(len(candidates), bool)
    chosen = []
    for _ in range(min(count, len(candidates))):
        gain = (covariance[:, candidates] ** 2).sum(0) / (covariance[candidates, candidates] + noise)
        best = int(np.argmax(np.where(free, gain, -1)))
        free[best] = False
        model = candidates[best]
        chosen.append(int(model))
        column = covariance[:, model]
        covariance = covariance - np.outer(column, column) / (column[model] + noise)
    return chosen
