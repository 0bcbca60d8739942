"""What there is to learn from: kernel tables, measured latencies, and the fixed split between them."""

import csv
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FOLDS = 5
HELD_OUT = 0  # the fold that only the final table may look at


def fold_of(model):
    """Which fifth of the benchmark a model belongs to: by its name alone, so that no run can shift it."""
    return zlib.crc32(model.encode()) % FOLDS


@dataclass
class KernelTable:
    """The output of kernel_table.c. Entries are ordered by model: those of model m are start[m]:start[m + 1]."""

    features: list
    types: list
    models: list
    families: list  # of each model
    values: np.ndarray  # [row, feature]
    work: np.ndarray  # [row, 3]: multiply-adds, elements moved, weight elements
    type_of: np.ndarray  # [row]: index into types
    start: np.ndarray
    rows: np.ndarray  # [entry]: index of a row
    turns: np.ndarray  # [entry]: how often it runs


def read_kernel_table(path):
    with open(path, "rb") as file:
        head = json.loads(file.readline())
        row = np.dtype([("work", "<f8", 3), ("type", "<i4"), ("features", "<f4", len(head["features"]))])
        size = -(-row.itemsize // 8) * 8
        row = np.dtype(
            {
                "names": row.names,
                "formats": [row[n] for n in row.names],
                "offsets": [row.fields[n][1] for n in row.names],
                "itemsize": size,
            }
        )
        rows = np.fromfile(file, row, head["row_count"])
        entries = np.fromfile(file, np.dtype([("model", "<u4"), ("row", "<u4"), ("turns", "<f8")]), head["entry_count"])
    if len(entries) != head["entry_count"]:
        raise ValueError(f"{path}: ends early; make it again")
    # rows by type, and the repeated kernels of a model as one entry
    order = np.argsort(rows["type"], kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    keys, first = np.unique(entries["model"].astype(np.int64) * len(order) + rank[entries["row"]], return_inverse=True)
    models = np.arange(len(head["models"]) + 1)
    return KernelTable(
        head["features"],
        head["types"],
        head["models"],
        head["families"],
        rows["features"][order].astype(np.float32),
        rows["work"][order],
        rows["type"][order].astype(np.int64),
        np.searchsorted(keys // len(order), models),
        keys % len(order),
        np.bincount(first, entries["turns"], len(keys)),
    )


def read_latencies(path):
    """{device: {model: milliseconds}} of what was measured."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    devices = [name for name in rows[0] if name != "id"]
    return {device: {row["id"]: float(row[device]) for row in rows if row[device]} for device in devices}


def shared_folder(given=None):
    """Where the benchmark lies; it is not part of this repository (see docs/accuracy.md for its public source)."""
    folder = Path(given or os.environ.get("NNM_SHARED") or Path(__file__).resolve().parents[3] / "shared")
    if not (folder / "bench" / "latency.csv").exists():
        raise SystemExit(f"{folder}/bench/latency.csv is missing: give its folder with --shared")
    return folder
