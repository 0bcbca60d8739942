"""What was measured: how far each feature of each kernel type reaches."""

from dataclasses import dataclass

import numpy as np


def feature_tolerance(values):
    """How far beyond what was measured a feature may lie: a tenth of its span, for logarithms at most a factor of 1.5. So far
    models of families never seen are predicted as well as within the range (docs/accuracy.md)."""
    return min(0.1 * float(values.max() - values.min()), np.log(1.5))


@dataclass
class Ranges:
    """What was measured: for each kernel type and for all together, in the order of the library's features."""

    measured: set  # indices of kernel types
    low: np.ndarray  # [type, feature]; zeros where not measured
    high: np.ndarray
    overall_low: np.ndarray  # [feature]
    overall_high: np.ndarray
    tolerance: np.ndarray

    @classmethod
    def of(cls, evidence):
        table, measured = evidence.table, set(evidence.measured.tolist())
        values, type_of = table.values[evidence.used], table.type_of[evidence.used]
        low, high = np.zeros((len(table.types), len(table.features))), np.zeros((len(table.types), len(table.features)))
        for t in measured:
            low[t], high[t] = values[type_of == t].min(0), values[type_of == t].max(0)
        tolerance = np.array([feature_tolerance(column) for column in values.T])
        return cls(measured, low, high, values.min(0), values.max(0), tolerance)

    def widened(self, other):
        """The range of both."""
        low, high = self.low.copy(), self.high.copy()
        for t in other.measured:
            low[t] = np.minimum(low[t], other.low[t]) if t in self.measured else other.low[t]
            high[t] = np.maximum(high[t], other.high[t]) if t in self.measured else other.high[t]
        return Ranges(
            self.measured | other.measured,
            low,
            high,
            np.minimum(self.overall_low, other.overall_low),
            np.maximum(self.overall_high, other.overall_high),
            np.maximum(self.tolerance, other.tolerance),
        )

    def clamp(self, values, type_of):
        """Features as the networks see them: beyond the range of their type (of all types, for one never measured) they
        stay at its edge. values: [row, feature]; type_of: [row], in ascending order."""
        clamped = np.clip(values, self.overall_low, self.overall_high, dtype=values.dtype)
        for t in self.measured:
            rows = slice(*np.searchsorted(type_of, [t, t + 1]))
            clamped[rows] = np.clip(values[rows], self.low[t], self.high[t])
        return clamped
