"""What a predictor says of a model, for people, notebooks and tables."""

import html

COLUMNS = ("name", "type", "latency_ms", "in_range", "nodes", "multiply_adds", "inputs", "output", "attributes")


def _interval_text(interval_ms):
    return "" if interval_ms is None else f", 90 % between {interval_ms[0]:.3g} and {interval_ms[1]:.3g}"


def _shape_text(shape):
    return "?" if shape is None else "x".join(map(str, shape))


class Report:
    """A prediction with the names of its model and predictor. Latencies in milliseconds.

    latency_ms, constant_ms, interval_ms, coverage, notes, kernels: as in nn_meter.Prediction.
    float(report) is the latency.
    """

    def __init__(self, model, predictor, prediction):
        self.model, self.predictor, self.version = model.name, predictor.name, predictor.version
        self.prediction = prediction

    def __getattr__(self, name):
        if name in ("latency_ms", "constant_ms", "interval_ms", "coverage", "notes", "kernels"):
            return getattr(self.prediction, name)
        raise AttributeError(f"'Report' object has no attribute '{name}'")

    def __float__(self):
        return self.latency_ms

    @property
    def headline(self):
        """model on predictor: 12.3 ms, 90 % between 11.8 and 12.9, coverage 100 %"""
        return (
            f"{self.model} on {self.predictor}: {self.latency_ms:.4g} ms{_interval_text(self.interval_ms)}, "
            f"coverage {100 * self.coverage:.0f} %"
        )

    def __repr__(self):
        lines = [self.headline]
        width = max([len(kernel.name) for kernel in self.kernels], default=0)
        for kernel in self.kernels:
            mark = "" if kernel.in_range else "  outside of what was measured"
            lines.append(f"  {kernel.name:<{width}}  {kernel.latency_ms:9.4f} ms{mark}")
        return "\n".join(lines + [f"  note: {note}" for note in self.notes])

    def to_dict(self):
        """All of it as plain values, for JSON."""
        return {
            "model": self.model,
            "predictor": self.predictor,
            "version": self.version,
            "latency_ms": self.latency_ms,
            "constant_ms": self.constant_ms,
            "interval_ms": None if self.interval_ms is None else list(self.interval_ms),
            "coverage": self.coverage,
            "notes": list(self.notes),
            "kernels": [dict(zip(COLUMNS, kernel)) for kernel in self.kernels],
        }

    def to_pandas(self):
        """A pandas.DataFrame with a row for each kernel. Needs pandas."""
        import pandas

        return pandas.DataFrame([tuple(kernel) for kernel in self.kernels], columns=list(COLUMNS))

    def _repr_html_(self):
        most = max([kernel.latency_ms for kernel in self.kernels], default=0) or 1
        rows = []
        for kernel in self.kernels:
            bar = f'<div style="background:#4c72b0;height:.8em;width:{8 * kernel.latency_ms / most:.2f}em"></div>'
            cells = [
                html.escape(kernel.name),
                f"{kernel.latency_ms:.4f}",
                bar,
                "" if kernel.in_range else "outside of what was measured",
                html.escape(" + ".join(map(_shape_text, kernel.inputs)) + " → " + _shape_text(kernel.output)),
            ]
            rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        return (
            f"<p><b>{html.escape(self.headline)}</b></p><table><thead><tr><th>kernel</th><th>ms</th><th></th><th></th>"
            f"<th>shapes</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
            + (f"<ul>{notes}</ul>" if notes else "")
        )
