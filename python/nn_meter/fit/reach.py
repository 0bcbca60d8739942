"""How far the inputs of a network's last layers go: calibration must not move a kernel without bound because one of those is
a hundred times what it is for others."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from . import families
from .kernel_table import TableBuilder
from .training import Evidence

USUAL_MODELS = 390  # generated networks, thirty of each family
LEAST = 0.05  # of an input that is hardly ever used


@dataclass
class Reach:
    """The largest size of each input of the last layers, over the kernels of usual networks and of those at hand."""

    shared: torch.Tensor  # [width of the shared network]
    own: torch.Tensor  # [widths of all own networks, one after the other]
    correction: float  # of what the networks say, as a logarithm; at least 1

    @classmethod
    def of(cls, loaded, rules, evidence):
        """loaded: predictor_file.Loaded; rules: content of the device's fusion_rules.json, bytes; evidence: the kernels at
        hand, those of evidence.used."""
        table = usual_kernels(rules)
        everything = np.arange(len(table.models))
        usual = Evidence(table, np.ones(len(everything)), everything, start=loaded)
        return cls._of_rows(loaded.network, usual)._or(cls._of_rows(loaded.network, evidence))

    @classmethod
    def _of_rows(cls, network, evidence):
        rows = evidence.used
        types = evidence.table.type_of[rows]
        with torch.no_grad():
            network(evidence.values[rows], evidence.work[rows], types)
            shared = network.shared_hidden(evidence.values[rows], torch.from_numpy(types))
            own = network.own_hidden(evidence.values[rows], types)
            return cls(_largest(shared), _largest(own), max(1.0, float(network.correction.abs().max())))

    def _or(self, other):
        return Reach(
            torch.maximum(self.shared, other.shared),
            torch.maximum(self.own, other.own),
            max(self.correction, other.correction),
        )


def _largest(inputs):
    return inputs.abs().amax(0).clamp(min=LEAST)


@lru_cache(maxsize=8)
def usual_kernels(rules):
    """The KernelTable of networks of the usual families under the fusion rules; half a second."""
    builder = TableBuilder(rules)
    for graph in families.generate(USUAL_MODELS):
        builder.add_graph(families.as_line(graph))
    return builder.finish()
