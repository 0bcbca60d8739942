"""Latencies of millions of networks that are put together from the same blocks.

space = Space(layers, input_shape=(1, 3, 224, 224))      # layers: a list of choices for each, None: no block at all
table = LatencyTable(space, "cortexA76cpu_tflite21")     # a few hundred predictions
table.latencies(candidates)                              # [candidate, layer] -> milliseconds, in C
table.expected(probabilities)                            # differentiable in torch

LatencyFilter and HardwareLatencyEstimator are what users of NNI know.
"""

from .nni_clients import HardwareLatencyEstimator, LatencyFilter
from .space import Space
from .table import LatencyTable

__all__ = ["HardwareLatencyEstimator", "LatencyFilter", "LatencyTable", "Space"]
