"""Measured latencies as they come: CSV files or dictionaries, checked number by number."""

import csv
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from .errors import FitError

MODEL_COLUMNS = ("model", "id")
LATENCY_COLUMN = "latency_ms"
SPREAD = 0.05  # repeated measurements of one thing may differ by this share of their median


@dataclass
class Measurement:
    """One latency in milliseconds, the median of what was given for it."""

    model: str
    latency_ms: float
    kernel: str = None  # name of a node, "" for the only kernel of a model; None: the whole model
    family: str = ""
    place: str = ""  # "measured.csv, line 3", for messages


@dataclass
class _Collector:
    """Puts rows together that speak of the same thing, and keeps every fault."""

    source: str
    rows: dict = field(default_factory=dict)
    empty: set = field(default_factory=set)  # models whose cell is not filled in
    faults: list = field(default_factory=list)

    def add(self, model, value, place, kernel=None, family=""):
        latency = self._number(value, place, model)
        if latency is None:
            return
        self.rows.setdefault((model, kernel), []).append(Measurement(model, latency, kernel, family, place))

    def _number(self, value, place, model):
        if value is None or (isinstance(value, str) and not value.strip()):
            self.empty.add(model)
            return None
        try:
            latency = float(value)
        except (TypeError, ValueError):
            hint = "; write 12.3, with a point" if "," in str(value) else "; give milliseconds as a number"
            self.faults.append(f"{place}: {model}: the latency {value!r} is not a number{hint}")
            return None
        if math.isfinite(latency) and latency > 0:
            return latency
        kind = "zero" if latency == 0 else "negative" if latency < 0 else "not a finite number"
        self.faults.append(f"{place}: {model}: the latency {value} is {kind}; measure it again or delete the row")
        return None

    def finish(self):
        """[Measurement]; raises FitError with every fault."""
        found = []
        for rows in self.rows.values():
            middle = median(row.latency_ms for row in rows)
            low, high = min(rows, key=lambda r: r.latency_ms), max(rows, key=lambda r: r.latency_ms)
            if high.latency_ms - low.latency_ms > SPREAD * middle:
                self.faults.append(
                    f"{high.place}: {high.model}: {high.latency_ms:g} ms here and {low.latency_ms:g} ms in {low.place}, "
                    f"more than {SPREAD:.0%} apart; keep the right one"
                )
            first = rows[0]
            found.append(Measurement(first.model, middle, first.kernel, first.family, first.place))
        if self.faults:
            raise FitError(*self.faults)
        if not found and self.empty:
            raise FitError(
                f"{self.source}: none of the {len(self.empty)} latencies is filled in; measure the models first"
            )
        if not found:
            raise FitError(f"{self.source}: no latency in it; write a row for each model: its name, its milliseconds")
        return found, self.empty


def _open_rows(path):
    """(header, [(line number, {column: text})]) of a CSV file; raises FitError."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as fault:
        raise FitError(f"{path}: cannot be read: {fault.strerror}; check the path") from None
    except UnicodeDecodeError:
        raise FitError(f"{path}: is not text in UTF-8; save it as CSV in UTF-8") from None
    reader = csv.DictReader(text.splitlines())
    header = [name.strip() for name in reader.fieldnames or []]
    if len(header) == 1 and ";" in header[0]:
        raise FitError(f"{path}: line 1: columns are parted by ';'; save the file with commas")
    rows = []
    try:
        for row in reader:
            if None in row:
                raise FitError(
                    f"{path}: line {reader.line_num}: more cells than the {len(header)} columns of line 1; mend it"
                )
            rows.append((reader.line_num, {key.strip(): (value or "").strip() for key, value in row.items()}))
    except csv.Error as fault:
        raise FitError(f"{path}: line {reader.line_num}: {fault}; save the file as CSV anew") from None
    return header, rows


def _columns(path, header, column, kernels):
    """Names of the model's and the latency's column; raises FitError."""
    model = next((name for name in MODEL_COLUMNS if name in header), None)
    wanted = column or LATENCY_COLUMN
    expected = f"model,{'kernel,' if kernels else ''}{wanted}"
    if model is None:
        raise FitError(f"{path}: line 1: no column 'model'; the first line must be {expected}")
    if kernels and "kernel" not in header:
        raise FitError(f"{path}: line 1: no column 'kernel'; the first line must be {expected}")
    if wanted not in header:
        others = [name for name in header if name not in (*MODEL_COLUMNS, "kernel", "family")]
        raise FitError(
            f"{path}: line 1: no column '{wanted}'; "
            + (f"name the one to use with --column, one of: {', '.join(others)}" if others else f"write {expected}")
        )
    return model, wanted


def read_measurements(source, column=None, kernels=False):
    """([Measurement], names of models whose latency is not filled in) of a CSV file or a dictionary.

    source: path of a CSV file with the columns model (or id), latency_ms (or `column`), family (optional) and, for
    kernels, kernel; or {model: ms}, for kernels {(model, node): ms}.
    Raises FitError with one line for each row that cannot be right.
    """
    if isinstance(source, (str, os.PathLike)):
        collector = _Collector(str(source))
        header, rows = _open_rows(source)
        model_column, latency_column = _columns(source, header, column, kernels)
        name = os.path.basename(source)
        for line, row in rows:
            place = f"{name}, line {line}"
            if not row[model_column]:
                collector.faults.append(f"{place}: no model is named; write its file's name, or delete the row")
                continue
            kernel = row["kernel"] if kernels else None
            collector.add(row[model_column], row[latency_column], place, kernel, row.get("family", ""))
        return collector.finish()
    if not isinstance(source, Mapping):
        raise TypeError(f"latencies: a path or a dictionary is wanted, not {type(source).__name__}")
    collector = _Collector("kernels" if kernels else "latencies")
    for key, value in source.items():
        model, kernel = key if kernels else (key, None)
        collector.add(str(model), value, collector.source, kernel)
    return collector.finish()
