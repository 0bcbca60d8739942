"""The scatter plot beside a predictor: predicted against measured."""

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def plot_png(judgement, title):
    """PNG as bytes: both axes logarithmic, a band of 10 %, held-out and training items marked. The same input gives the
    same bytes."""
    figure = Figure(figsize=(6, 6), dpi=120, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    both = np.concatenate([judgement.measured, judgement.predicted])
    ends = np.array([both.min() / 1.3, both.max() * 1.3])
    axes.fill_between(ends, ends / 1.1, ends * 1.1, color="#dddddd", linewidth=0, label="±10 %")
    axes.plot(ends, ends, color="#888888", linewidth=0.8)
    kinds = [
        ("models, seen in training", judgement.whole & ~judgement.held_out, "#7aa6d6", "o", 8),
        ("kernels, seen in training", ~judgement.whole & ~judgement.held_out, "#9ccf9c", "^", 8),
        ("models, held out", judgement.whole & judgement.held_out, "#c03020", "o", 14),
        ("kernels, held out", ~judgement.whole & judgement.held_out, "#e0902a", "^", 14),
    ]
    for label, mask, color, marker, size in kinds:
        if mask.any():
            axes.scatter(
                judgement.measured[mask],
                judgement.predicted[mask],
                s=size,
                c=color,
                marker=marker,
                linewidths=0,
                alpha=0.8,
                label=f"{label} ({int(mask.sum())})",
            )
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends, aspect="equal")
    axes.set(xlabel="measured, ms", ylabel="predicted, ms", title=title)
    axes.legend(loc="upper left", frameon=False, fontsize=8)
    file = io.BytesIO()
    canvas.print_png(file, metadata={"Software": None})
    return file.getvalue()
