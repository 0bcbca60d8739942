"""The predictor as torch sees it; src/predictors/network.c computes the same."""

import numpy as np
import torch
from torch import nn

CORRECTION_LIMIT = 8.0
START_COST = (2e-7, 2e-6, 2e-6, 1e-3)  # milliseconds per multiply-add, element moved, weight, and kernel


def perceptron(inputs, hidden):
    layers = []
    for width in hidden:
        layers += [nn.Linear(inputs, width), nn.SiLU()]
        inputs = width
    last = nn.Linear(inputs, 1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, last)


class KernelNetwork(nn.Module):
    """latency = guess * exp(shared(features, type) + own(features)); types are those of a KernelTable, the last row of
    the per-type parameters stands for a type never measured."""

    def __init__(self, feature_count, type_count, own_widths, shared_width):
        """own_widths: {type: width of its own network}."""
        super().__init__()
        self.type_count = type_count
        self.shared = perceptron(feature_count, (shared_width, shared_width))
        self.type_bias = nn.Parameter(torch.randn(type_count + 1, shared_width) * 0.1)
        self.own = nn.ModuleDict({str(t): perceptron(feature_count, (width, width)) for t, width in own_widths.items()})
        self.log_cost = nn.Parameter(torch.log(torch.tensor(START_COST)).repeat(type_count + 1, 1))
        self.log_constant = nn.Parameter(torch.tensor(-2.0))

    def shared_correction(self, values, types):
        first, rest = self.shared[0], self.shared[1:]
        return rest(first(values) + self.type_bias[types]).squeeze(1)

    def own_correction(self, values, types):
        """Rows must be ordered by type."""
        bounds = np.searchsorted(types, np.arange(self.type_count + 2))
        parts = []
        for t in range(self.type_count + 1):
            if bounds[t + 1] > bounds[t]:
                part = values[bounds[t] : bounds[t + 1]]
                parts.append(self.own[str(t)](part).squeeze(1) if str(t) in self.own else part.new_zeros(len(part)))
        return torch.cat(parts)

    def guess(self, work, types):
        return (work * torch.exp(self.log_cost)[types]).sum(1)

    def forward(self, values, work, types):
        """Milliseconds of each row; values normalised, types a numpy array in ascending order."""
        index = torch.from_numpy(types)
        correction = self.shared_correction(values, index) + self.own_correction(values, types)
        self.correction = correction
        return self.guess(work, index) * torch.exp(correction.clamp(-CORRECTION_LIMIT, CORRECTION_LIMIT))
