"""The predictor as torch sees it; src/predictors/network.c computes the same."""

import numpy as np
import torch
from torch import nn

CORRECTION_LIMIT = 8.0
WORK_TERMS = 6  # multiply-adds, elements read, elements written, weights, window elements, the kernel itself
# Kernel types that hardware treats alike. What is not measured of a type follows from its kin.
CLASSES = {
    "convolution": ("conv", "convtrans"),
    "depthwise": ("dwconv",),
    "product": ("fc", "matmul", "recurrent", "attention"),
    "pooling": ("maxpool", "avgpool"),
    "reduction": ("global-avgpool", "reduce", "softmax", "norm"),
    "gate": ("se",),
    "movement": ("concat", "split", "channelshuffle", "transpose", "pad", "resize", "gather"),
    "elementwise": ("add", "mul", "elementwise", "bn", "relu", "hswish", "other", "rotary"),
}
OTHERS = "elementwise"  # the class of types that no class names


def class_indices(types):
    """[type + 1]: index into CLASSES of each kernel type, and of a type that nobody has named yet."""
    names = list(CLASSES)
    of = {name: names.index(title) for title, members in CLASSES.items() for name in members}
    return torch.tensor([of.get(name, names.index(OTHERS)) for name in [*types, OTHERS]])


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
    """latency = guess * exp(shared(features, type) + own(features)), guess = sum of work * cost.

    The cost of a kernel type is that of the device, changed for its class, changed for the type; so is its bias in the
    shared network. The last row of the per-type parameters stands for types that the predictor file does not name.
    """

    def __init__(self, feature_count, types, own_widths, shared_width):
        """types: names; own_widths: {index of a type: width of its own network}."""
        super().__init__()
        self.type_count = len(types)
        self.class_of = class_indices(types)
        classes = len(CLASSES)
        self.shared = perceptron(feature_count, (shared_width, shared_width))
        self.class_bias = nn.Parameter(torch.randn(classes, shared_width) * 0.1)
        self.type_bias = nn.Parameter(torch.zeros(self.type_count + 1, shared_width))
        self.own = nn.ModuleDict({str(t): perceptron(feature_count, (width, width)) for t, width in own_widths.items()})
        self.log_rate = nn.Parameter(torch.zeros(WORK_TERMS))  # milliseconds per unit of work
        self.class_cost = nn.Parameter(torch.zeros(classes, WORK_TERMS))
        self.type_cost = nn.Parameter(torch.zeros(self.type_count + 1, WORK_TERMS))
        self.log_constant = nn.Parameter(torch.tensor(-2.0))

    def networks(self):
        """The shared network, then those of the types."""
        return self.shared, *self.own.values()

    def hidden_weights(self):
        return [layer.weight for net in self.networks() for layer in (net[0], net[2])]

    @property
    def log_cost(self):
        """[type + 1, term]"""
        return self.log_rate + self.class_cost[self.class_of] + self.type_cost

    @property
    def bias(self):
        """[type + 1, width of the shared network]: what the type adds to its first layer."""
        return self.class_bias[self.class_of] + self.type_bias

    def shared_hidden(self, values, types):
        """What the last layer of the shared network sees."""
        return self.shared[1:-1](self.shared[0](values) + self.bias[types])

    def own_hidden(self, values, types):
        """What the last layers of the own networks see, side by side; zero where the row is of another type."""
        pieces = [values.new_zeros(len(values), 0)]
        for key, net in self.own.items():
            piece = values.new_zeros(len(values), net[-1].in_features)
            mine = torch.from_numpy(types == int(key))
            if mine.any():
                piece[mine] = net[:-1](values[mine])
            pieces.append(piece)
        return torch.cat(pieces, 1)

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
        """Milliseconds of each row; values normalised, types a numpy array in ascending order. What the latencies were
        multiplied with stays in self.correction and self.own_part, for the rows of self.types: training holds them small."""
        index = torch.from_numpy(types)
        self.types = types
        self.own_part = self.own_correction(values, types)
        self.correction = self.shared[-1](self.shared_hidden(values, index)).squeeze(1) + self.own_part
        return self.guess(work, index) * torch.exp(self.correction.clamp(-CORRECTION_LIMIT, CORRECTION_LIMIT))
