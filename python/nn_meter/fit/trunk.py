"""One trunk, many devices: what the hidden layers see in a kernel is learned from all devices together, what it costs on each
is the device's own. A device that nobody has measured starts from the typical one, their mean (docs/fit.md).
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch

from . import training
from .ranges import Ranges


def share_hidden_layers(networks):
    """Makes all networks use the hidden layers of the first, and what a kernel type adds to them."""
    first, *others = networks
    for network in others:
        for mine, its in zip(first.networks(), network.networks(), strict=True):
            its[0], its[2] = mine[0], mine[2]
        network.class_bias, network.type_bias = first.class_bias, first.type_bias


def own_parameters(network):
    """What each device has for itself: costs, last layers, the constant."""
    last = [parameter for net in network.networks() for parameter in (net[-1].weight, net[-1].bias)]
    return [network.log_rate, network.class_cost, network.type_cost, network.log_constant, *last]


@dataclass
class _Inputs:
    """What networks of several devices normalise features with; what was measured is each device's own."""

    mean: np.ndarray
    scale: np.ndarray
    ramps: list
    ranges: Ranges


def with_common_inputs(evidences):
    """The training.Evidence of each device again, normalised by the rows of all of them."""
    values = np.concatenate([evidence.table.values[evidence.used] for evidence in evidences])
    common = training.normalisation(evidences[0].table.features, values)
    return [
        training.Evidence(e.table, e.latencies.numpy(), e.training, start=_Inputs(*common, e.ranges)) for e in evidences
    ]


def fit_together(evidences, settings, report=None):
    """A fitted network of each device; their hidden layers are the same. evidences: with_common_inputs(). report(share of the
    way, networks) is called training.CHECKS times."""
    widths = {}
    for evidence in evidences:
        for kind, width in training.own_widths(evidence, settings.own_width).items():
            widths[kind] = max(width, widths.get(kind, 0))
    networks = [training.new_network(evidence, settings, dict(sorted(widths.items()))) for evidence in evidences]
    share_hidden_layers(networks)
    training.descend(networks, evidences, settings, lambda share: report(share, networks) if report else None)
    return networks


def typical(networks):
    """The device in the middle: the mean of what the devices differ in (of costs the geometric mean)."""
    networks[0].own_part = networks[0].correction = None  # of the last step of training, and in the way of copies
    middle = copy.deepcopy(networks[0])
    with torch.no_grad():
        for parameter, *values in zip(own_parameters(middle), *map(own_parameters, networks), strict=True):
            parameter.copy_(torch.stack(values).mean(0))
    return middle
