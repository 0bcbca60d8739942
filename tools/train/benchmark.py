"""What the shipped predictors were measured on: graphs, latencies, and the fixed split between the models.

Each devices/NAME/device.json names its data set (devices.DATA_SETS).
"""

import csv
import json
import lzma
import os
import sys
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from nn_meter import _core  # noqa: E402
from nn_meter.fit.kernel_table import KernelTable, TableBuilder  # noqa: E402

from devices import DATA_SETS, devices_of, facts_of  # noqa: E402, F401

FOLDS = 5
HELD_OUT = 0  # the fold that only the final table may look at


def data_of(device, shared):
    """(path of its graphs, {model: milliseconds})"""
    folder = shared / facts_of(device)["data_set"]
    return folder / "graphs.jsonl.xz", read_latencies(folder / "latency.csv")[device]


def fold_of(model):
    """Which fifth of a data set a model belongs to: by its name alone, so that no run can shift it."""
    return zlib.crc32(model.encode()) % FOLDS


def is_for_interval(model):
    """Whether a model, of those that training may see, is kept for measuring how far predictions are off."""
    return zlib.crc32(model.encode()) % (5 * FOLDS) == 1


def kernel_table(graphs, wanted, rules, cache=None):
    """The KernelTable of the wanted models of graphs.jsonl.xz under the fusion rules (a path). cache: file that keeps it
    until graphs, rules or the library that makes it change."""
    if (
        cache
        and cache.exists()
        and cache.stat().st_mtime > max(Path(p).stat().st_mtime for p in (graphs, rules, _core.__file__))
    ):
        return KernelTable.load(cache)
    builder = TableBuilder(Path(rules).read_bytes())
    with lzma.open(graphs) as file:
        for line in file:
            if json.loads(line)["id"] in wanted:
                builder.add_graph(line)
    table = builder.finish()
    if cache:
        partial = cache.with_suffix(".partial.npz")
        table.save(partial)
        partial.replace(cache)
    return table


def read_latencies(path):
    """{device: {model: milliseconds}} of what was measured."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    devices = [name for name in rows[0] if name != "id"]
    return {device: {row["id"]: float(row[device]) for row in rows if row[device]} for device in devices}


def shared_folder(given=None):
    """Where the data sets lie; they are not part of this repository (see docs/accuracy.md for their public sources)."""
    folder = Path(given or os.environ.get("NNM_SHARED") or Path(__file__).resolve().parents[3] / "shared")
    for name in DATA_SETS:
        if not (folder / name / "latency.csv").exists():
            raise SystemExit(f"{folder}/{name}/latency.csv is missing: give its folder with --shared")
    return folder
