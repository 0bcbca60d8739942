"""How well a predictor does on what was measured, by family and by kernel type."""

from dataclasses import dataclass

import numpy as np

from . import interval

FEW = 3  # families of fewer held-out items are put together


@dataclass
class Figures:
    """Errors of some items, relative: 0.05 is 5 %."""

    count: int
    within_5: float  # share
    within_10: float
    median: float
    rms: float

    @classmethod
    def of(cls, errors):
        if not len(errors):
            return cls(0, np.nan, np.nan, np.nan, np.nan)
        return cls(
            len(errors),
            float((errors <= 0.05).mean()),
            float((errors <= 0.1).mean()),
            float(np.median(errors)),
            float(np.sqrt((errors**2).mean())),
        )


@dataclass
class Judgement:
    """Items are what was measured: whole models and kernels alone."""

    table: object  # KernelTable
    measured: np.ndarray  # [item], milliseconds
    predicted: np.ndarray  # held-out items: by a predictor that never saw them
    held_out: np.ndarray  # [item]: mask
    row_latencies: np.ndarray  # [row of the table], milliseconds of one turn, by the final predictor
    in_range: np.ndarray  # [row]

    @property
    def errors(self):
        return np.abs(self.predicted / self.measured - 1)

    @property
    def residuals(self):
        """log(measured / predicted) of the held-out whole models; of all held-out items when those are too few."""
        models = self.held_out & self.whole
        chosen = models if models.sum() >= interval.LEAST else self.held_out
        return np.log(self.measured / self.predicted)[chosen]

    @property
    def whole(self):
        """Mask of the whole models."""
        return self.table.constant > 0

    def figures(self, mask=None):
        """Figures of the held-out items (of the mask)."""
        chosen = self.held_out if mask is None else self.held_out & mask
        return Figures.of(self.errors[chosen])

    def by_family(self):
        """{family: Figures} of held-out whole models, families with few of them as "others"."""
        families = np.array(self.table.families, object)
        chosen = self.held_out & self.whole
        names, counts = np.unique(families[chosen].astype(str), return_counts=True)
        small = set(names[counts < FEW])
        labels = np.array(["others" if str(f) in small else str(f) for f in families], object)
        order = sorted(set(labels[chosen]), key=lambda name: (name == "others", name))
        return {name: self.figures(self.whole & (labels == name)) for name in order}

    def by_type(self):
        """{kernel type: (share of the latency, mean error where it matters)} over held-out items (all when none is).

        The error of a type is that of the items, each weighted by the share that kernels of the type have in it.
        """
        chosen = self.held_out if self.held_out.any() else np.ones(len(self.measured), bool)
        table = self.table
        shares = self.row_latencies[table.rows] * table.turns
        sums = np.zeros((len(table.models), len(table.types)))
        np.add.at(sums, (table.entry_model, table.type_of[table.rows]), shares)
        shares = (sums / np.maximum(self.predicted[:, None], 1e-30))[chosen]
        weights = shares.sum(0)
        errors = (shares * self.errors[chosen, None]).sum(0) / np.maximum(weights, 1e-30)
        present = np.flatnonzero(weights > 0)
        return {table.types[t]: (float(weights[t] / chosen.sum()), float(errors[t])) for t in present}

    def never_measured(self):
        """Kernel types that no measured item runs."""
        present = set(self.table.type_of[np.unique(self.table.rows)].tolist())
        return [name for t, name in enumerate(self.table.types) if t not in present]
