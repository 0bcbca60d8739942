"""How far a measurement may lie from a prediction: split conformal quantiles of models that were not learned from."""

from dataclasses import dataclass
from math import floor

import numpy as np

MISSED = 0.05  # share of measurements below the interval, and above it
LEAST = 5  # measurements to say anything
DOUBT = 0.15  # per unit of doubt: chosen, not measured
FURTHEST = 5.0  # a factor of 148: further no predictor file may go
NARROWEST = 1e-4


@dataclass
class Interval:
    """Of the logarithm of measured / predicted. docs/predictor-format.md has the formula."""

    low: float = 0.0  # the 5 % quantile
    high: float = 0.0  # the 95 % quantile
    doubt: float = 0.0  # what each bound moves out for each unit of doubt

    @classmethod
    def of(cls, residuals, doubt=DOUBT):
        """residuals: log(measured / predicted) of models that the predictor did not learn from. None when they are too few.

        With n of them the interval's bounds are the k-th smallest and the k-th largest, k = 5 % of n + 1 rounded down: then
        a further measurement lies inside with 90 % probability or more (exchangeable models). When n is so small that k
        is 0, the bounds are the extremes, moved out by half of what lies between them and the median. They are never equal,
        and never beyond FURTHEST.
        """
        count = len(residuals)
        if count < LEAST:
            return None
        ordered = np.sort(residuals)
        rank = floor((count + 1) * MISSED)
        if rank:
            low, high = ordered[rank - 1], ordered[-rank]
        else:
            middle = np.median(ordered)
            low, high = (middle + 1.5 * (extreme - middle) for extreme in (ordered[0], ordered[-1]))
        low = float(np.clip(low, -FURTHEST, FURTHEST - NARROWEST))
        return cls(low, float(np.clip(high, low + NARROWEST, FURTHEST)), doubt)
