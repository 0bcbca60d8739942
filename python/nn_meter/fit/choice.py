"""Which models to measure: those that leave the least doubt about all the others."""

import numpy as np

NOISE = 0.02  # variance of a measurement, where that of a model nobody measured is about 1
TYPE_WEIGHT = 1.0  # of the kernel types in a model's vector, beside what the predictor's network sees of its kernels


def kernel_embedding(hidden, types, type_count):
    """A vector for each kernel: what a predictor's shared network makes of it in its last hidden layer ([row, width]), and
    its type. Kernels that a new device will most likely treat alike get vectors that point the same way."""
    hidden = (hidden - hidden.mean(0)) / np.maximum(hidden.std(0), 1e-6)
    hidden /= np.sqrt(hidden.shape[1])
    return np.concatenate([hidden, TYPE_WEIGHT * np.eye(type_count)[types]], 1)


def model_vectors(table, row_latencies, embedding):
    """[model, dimension]: the kernels' vectors, weighted by their shares of the model's latency. What a change of the
    device does to the logarithm of the latency is, to first order, linear in it."""
    shares = row_latencies[table.rows] * table.turns
    totals = np.bincount(table.entry_model, shares, len(table.models))
    weights = shares / np.maximum(totals[table.entry_model], 1e-30)
    vectors = np.zeros((len(table.models), embedding.shape[1]))
    np.add.at(vectors, table.entry_model, weights[:, None] * embedding[table.rows])
    return vectors


def choose(table, candidates, count, row_latencies, embedding, noise=NOISE):
    """Indices of `count` models of the table among the candidates (indices), the most telling first.

    Greedy: each choice is the one whose measurement takes away most of the variance of all models of the table, when
    their (logarithmic) latencies are taken for a Gaussian process whose covariance is that of the model vectors.
    """
    vectors = model_vectors(table, row_latencies, embedding)
    covariance = vectors @ vectors.T
    candidates = np.asarray(candidates)
    free = np.ones(len(candidates), bool)
    chosen = []
    for _ in range(min(count, len(candidates))):
        columns = covariance[:, candidates]
        gain = (columns**2).sum(0) / (covariance[candidates, candidates] + noise)
        best = int(np.argmax(np.where(free, gain, -1)))
        free[best] = False
        model = candidates[best]
        chosen.append(int(model))
        column = covariance[:, model]
        covariance = covariance - np.outer(column, column) / (covariance[model, model] + noise)
    return chosen
