"""The public benchmark: its graphs, its measured latencies, and the fixed split between its models."""

import csv
import json
import lzma
import os
import zlib
from pathlib import Path

from nn_meter import _core
from nn_meter.fit.kernel_table import KernelTable, TableBuilder

FOLDS = 5
HELD_OUT = 0  # the fold that only the final table may look at


def fold_of(model):
    """Which fifth of the benchmark a model belongs to: by its name alone, so that no run can shift it."""
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
    """Where the benchmark lies; it is not part of this repository (see docs/accuracy.md for its public source)."""
    folder = Path(given or os.environ.get("NNM_SHARED") or Path(__file__).resolve().parents[3] / "shared")
    if not (folder / "bench" / "latency.csv").exists():
        raise SystemExit(f"{folder}/bench/latency.csv is missing: give its folder with --shared")
    return folder
