"""Kernel tables of made-up networks, and what the C library says of a network that Python made."""

import nn_meter
import numpy as np
from device import START
from nn_meter.fit import families
from nn_meter.fit.interval import Interval
from nn_meter.fit.kernel_table import TableBuilder
from nn_meter.fit.predictor_file import Loaded, container, read_predictor
from nn_meter.fit.reach import Reach
from nn_meter.fit.training import Evidence

RULES = nn_meter.Predictor(START).rules


def as_model(graph):
    return nn_meter.Model(families.as_line(graph), name=graph["id"])


def table_of(models):
    """KernelTable of {name: nn_meter.Model}."""
    builder = TableBuilder(RULES)
    for name, model in models.items():
        builder.add(model, name)
    return builder.finish()


def start_evidence(table, latencies=None, training=None):
    """(the network of START, Evidence normalised for it); training: all of the table when None."""
    loaded = read_predictor(nn_meter.Predictor(START), table.features, table.types)
    everything = np.arange(len(table.models))
    latencies = np.ones(len(everything)) if latencies is None else latencies
    return loaded.network, Evidence(table, latencies, everything if training is None else training, start=loaded)


def reach_of(network, evidence):
    """Reach of a network whose inputs the evidence is normalised for."""
    loaded = Loaded(network, evidence.mean, evidence.scale, evidence.ramps, evidence.ranges, Interval())
    return Reach.of(loaded, RULES, evidence)


def estimated(table, section):
    """(milliseconds of each row, whether it is in range, of the constant), by the C library from a data section."""
    latencies, doubts, constant = table.estimate(nn_meter.Predictor(container("made", "1.0", "", RULES, section)))
    return latencies, doubts == 0, constant
