"""What there is to learn from: the distinct kernels of many models, and which of them each model runs how often."""

import json
from dataclasses import dataclass, field

import numpy as np

from .. import _core

__all__ = ["KernelTable", "TableBuilder"]


@dataclass
class KernelTable:
    """Kernels of many models. Entries are ordered by model: those of model m are start[m]:start[m + 1].

    What was measured may be a whole model, which has the device's constant beside its kernels, or one kernel alone, which
    has not: then it is a "model" of one kernel here, and its `constant` is 0.
    """

    features: list  # names of the columns of values
    types: list  # names of the kernel types
    models: list  # names
    families: list  # of each model
    values: np.ndarray  # [row, feature], float32; rows ordered by type
    work: np.ndarray  # [row, term], float64: amounts of work in the order of _core.WORK
    type_of: np.ndarray  # [row]: index into types
    start: np.ndarray  # [model + 1]
    rows: np.ndarray  # [entry]: index of a row
    turns: np.ndarray  # [entry]: how often it runs
    constant: np.ndarray = field(default=None)  # [model]: 1 for whole models, 0 for kernels measured alone

    def __post_init__(self):
        if self.constant is None:
            self.constant = np.ones(len(self.models))

    @property
    def entry_model(self):
        """[entry]: the model it belongs to."""
        return np.repeat(np.arange(len(self.models)), np.diff(self.start))

    def totals(self, row_latencies, constant):
        """Milliseconds of each model, from those of one turn of each row."""
        shares = row_latencies[self.rows] * self.turns
        return np.bincount(self.entry_model, shares, len(self.models)) + self.constant * constant

    def estimate(self, predictor):
        """(milliseconds of one turn of each row, doubt of each row: 0 in range, milliseconds of the constant), as the C
        library computes them. Raises nn_meter.Error for a predictor that is not of kind network."""
        arrays = self.type_of.astype(np.int32), self.work.astype(np.float64), self.values.astype(np.float32)
        latencies, doubts, constant = predictor.estimate(*(array.tobytes() for array in arrays))
        return np.frombuffer(latencies), np.frombuffer(doubts), constant

    def save(self, path):
        np.savez(path, **{name: np.asarray(value) for name, value in vars(self).items()})

    @classmethod
    def load(cls, path):
        with np.load(path) as data:
            arrays = {name: data[name] for name in data.files}
        for name in ("features", "types", "models", "families"):
            arrays[name] = arrays[name].tolist()
        return cls(**arrays)


class TableBuilder:
    """Collects models into a KernelTable, under the fusion rules of one device."""

    def __init__(self, rules):
        """rules: content of a fusion_rules.json, bytes. Raises nn_meter.Error."""
        self.table = _core.Table(_core.Rules(rules))
        self.models, self.families, self.constant = [], [], []

    def add(self, model, name, family="", kernel=-1):
        """An nn_meter.Model: all of it, or one of its kernels measured alone. Raises nn_meter.Error."""
        self.table.add(model, kernel)
        self.models.append(name)
        self.families.append(family)
        self.constant.append(kernel < 0)

    def add_graph(self, line):
        """One line of the benchmark: JSON with "id", "family" and "ops". Raises nn_meter.Error, ValueError."""
        graph = json.loads(line)
        self.add(_core.Model(bytes(line), graph["id"], "benchmark"), graph["id"], graph["family"])

    def finish(self):
        """The KernelTable: rows by type, and the repeated kernels of a model as one entry."""
        rows, entries = self.table.rows(), self.table.entries()
        type_of = np.frombuffer(rows["types"], np.int32)
        values = np.frombuffer(rows["features"], np.float32).reshape(len(type_of), len(_core.FEATURES))
        work = np.frombuffer(rows["work"], np.float64).reshape(len(type_of), len(_core.WORK))
        order = np.argsort(type_of, kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        models = np.frombuffer(entries["models"], np.uint32).astype(np.int64)
        keys = models * max(1, len(order)) + rank[np.frombuffer(entries["rows"], np.uint32)]
        keys, first = np.unique(keys, return_inverse=True)
        return KernelTable(
            list(_core.FEATURES),
            list(_core.KERNEL_TYPES),
            self.models,
            self.families,
            values[order],
            work[order],
            type_of[order].astype(np.int64),
            np.searchsorted(keys // max(1, len(order)), np.arange(len(self.models) + 1)),
            keys % max(1, len(order)),
            np.bincount(first, np.frombuffer(entries["turns"], np.float64), len(keys)),
            np.array(self.constant, float),
        )
