#!/usr/bin/env python3
"""Writes the graphs of torchvision's networks that the library carries. `make torchvision` calls it.

usage: make_graphs.py --build BUILD [--work FOLDER] [--only NAME...] [--no-export]

Exports each network without weights (export.py), writes constants down (simplify.py), and compares: the latency on every
built-in predictor must be that of torch's own export, at the network's own size and at another one; parameters and
multiply-adds must be what torchvision says. Then it writes
  src/torchvision/graphs.bin and graph_list.inc    what the library carries
  tests/data/torchvision.csv                       what the tests compare with, without torch
  docs/torchvision.md                              the table, between its marks
Exports are kept in the work folder and not made again. Exit 1: a network is not what it should be; nothing is written.
"""

import argparse
import csv
import json
import math
import re
import subprocess
import sys
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import networks
import simplify
from torchvision_import import import_torchvision

ROOT = Path(__file__).resolve().parents[2]
AT_ONCE = 8  # networks for one process of torch
LATENCY_TOLERANCE = 1e-6
FIGURE_TOLERANCE = 0.01
DECIMALS = 3  # of torchvision's multiply-adds, in units of 10^9

# What torchvision's own figures leave out or count otherwise, so that they are not compared; see docs/torchvision.md.
COUNTED_OTHERWISE = {"fcn_resnet50", "fcn_resnet101", "deeplabv3_resnet50", "deeplabv3_resnet101"}  # with a second head


def chunks(items, size):
    return [items[at : at + size] for at in range(0, len(items), size)]


def export_all(names, work):
    missing = [name for name in names if not (work / name / "facts.json").exists()]
    for some in chunks(missing, AT_ONCE):
        subprocess.run(
            [sys.executable, "-W", "ignore", Path(__file__).with_name("export.py"), work, *some], check=False
        )


class Judge:
    """Latencies and multiply-adds by the library, through its Python package."""

    def __init__(self):
        from nn_meter import _core

        self.core = _core
        names = dict.fromkeys(row[0] for row in _core.predictors("/dev/null/none"))
        self.predictors = [_core.Predictor(name) for name in names]

    def figures(self, data, shapes):
        """([ms of each predictor], multiply-adds) of an ONNX file as bytes."""
        model = self.core.Model(data, "network", "onnx", input_shapes=shapes)
        predictions = [predictor.predict(model) for predictor in self.predictors]
        work = sum(kernel.multiply_adds for kernel in predictions[0].kernels)
        return [each.latency_ms for each in predictions], work


def small_graph(program, folder, facts, name):
    """(the graph that is shipped, as bytes; {shape it is used at: file that torch exported at that shape})"""
    kind, shape = facts["kind"], facts["input"]
    inputs, sizes = networks.input_names(kind), networks.open_sizes(kind, name)
    path = folder / ("open.onnx" if sizes else "fixed.onnx")
    tried = [{inputs[0]: shape}, {inputs[0]: networks.other_shape(shape, sizes)}] if sizes else [{}]
    model = simplify.load(path)
    simplify.simplify(model, set(inputs), simplify.Facts([simplify.list_values(program, path, each) for each in tried]))
    if not (folder / "fixed.onnx").exists():
        return model.SerializeToString(), [(tried[0], "open.onnx")]
    files = [(shapes, file) for shapes, file in zip(tried, ("fixed.onnx", "other.onnx")) if (folder / file).exists()]
    return model.SerializeToString(), files


def check(name, facts, judge, data, tried, folder):
    """The row of the table; raises ValueError saying what does not hold."""
    row = {"name": name, "kind": facts["kind"], "input": "x".join(map(str, facts["input"]))}
    for shapes, file in tried:
        ours, work = judge.figures(data, shapes or None)
        theirs, their_work = judge.figures((folder / file).read_bytes(), shapes if file == "open.onnx" else None)
        if work != their_work or any(not math.isclose(a, b, rel_tol=LATENCY_TOLERANCE) for a, b in zip(ours, theirs)):
            raise ValueError(f"{file}: {ours} ms, {work} multiply-adds; torch's export has {theirs} ms, {their_work}")
        row.setdefault("multiply_adds", work)
    row["parameters"] = facts["parameters"]
    row["meta_parameters"] = facts.get("meta_parameters", "")
    row["meta_gigaops"] = facts.get("meta_gigaops", "")
    row["open"] = " ".join(networks.open_sizes(facts["kind"], name).values())
    row["compared"] = "yes"
    if facts.get("meta_gigaops") is None or name in COUNTED_OTHERWISE or facts["kind"] == "detection":
        row["compared"] = "no"
    elif abs(row["multiply_adds"] / 1e9 - facts["meta_gigaops"]) > (
        FIGURE_TOLERANCE * facts["meta_gigaops"] + 0.5 * 10**-DECIMALS
    ):
        raise ValueError(f"{row['multiply_adds'] / 1e9:.3f} GMAC; torchvision says {facts['meta_gigaops']}")
    if facts.get("meta_parameters") not in (None, facts["parameters"]):
        print(f"{name}: {facts['parameters']} parameters; torchvision says {facts['meta_parameters']}")
    return row


def list_row(name, facts, offset, packed, size):
    sizes = networks.open_sizes(facts["kind"], name)
    rank = len(facts["input"]) if sizes else 0
    dims = f"NNM_DIMS({', '.join(map(str, facts['input']))})" if sizes else "NULL"
    return f'NNM_TORCHVISION("{name}", {offset}, {packed}, {size}, {rank}, {dims})\n'


def write_archive(graphs, all_facts):
    """graphs: {name: bytes}"""
    folder = ROOT / "src/torchvision"
    archive, rows = bytearray(), []
    for name in sorted(graphs):
        packed = zlib.compress(graphs[name], 9)
        rows.append(list_row(name, all_facts[name], len(archive), len(packed), len(graphs[name])))
        archive += packed
    (folder / "graphs.bin").write_bytes(archive)
    head = "/* Written by tools/torchvision/make_graphs.py; do not edit. name, offset, bytes packed, bytes, rank, dimensions */\n"
    (folder / "graph_list.inc").write_text(head + "".join(rows))
    return len(archive)


def write_csv(rows):
    with open(ROOT / "tests/data/torchvision.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_docs(rows, size):
    """The table of docs/torchvision.md."""
    path = ROOT / "docs/torchvision.md"
    lines = [
        "| network | input | open sizes | parameters | GMAC | torchvision's GMAC |",
        "|---|---|---|---:|---:|---:|",
    ]
    for row in rows:
        own = f"{row['multiply_adds'] / 1e9:.3f}"
        theirs = row["meta_gigaops"] if row["compared"] == "yes" else f"({row['meta_gigaops']})"
        lines.append(
            f"| `{row['name']}` | {row['input']} | {row['open'] or 'none'} | {row['parameters']:,} | {own} | {theirs} |"
        )
    kinds = {kind: sum(row["kind"] == kind for row in rows) for kind in networks.KINDS}
    counts = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in kinds.items() if count)
    text = f"{len(rows)} networks ({counts}), {size / 1e3:.0f} kB in the library.\n\n" + "\n".join(lines)
    start, end = "<!-- written by make torchvision -->", "<!-- end -->"
    before = path.read_text(encoding="utf-8")
    after = re.sub(f"({start}\n).*?(\n{end})", lambda match: match[1] + text + match[2], before, flags=re.DOTALL)
    path.write_text(after, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=ROOT / ".cache/torchvision")
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--no-export", action="store_true", help="leave out what is not exported yet")
    arguments = parser.parse_args()
    listed = networks.names(import_torchvision())
    names = [name for name, _ in listed if not arguments.only or name in arguments.only]
    if not arguments.no_export:
        export_all(names, arguments.work)
    judge, graphs, all_facts, rows, faults = Judge(), {}, {}, [], []
    for name in names:
        folder = arguments.work / name
        if not (folder / "facts.json").exists():
            print(f"{name}: not exported")
            continue
        facts = all_facts[name] = json.loads((folder / "facts.json").read_text())
        try:
            data, tried = small_graph(arguments.build / "tools/list_values", folder, facts, name)
            rows.append(check(name, facts, judge, data, tried, folder))
            graphs[name] = data
        except Exception as error:  # one line for each; all are wanted
            detail = getattr(error, "stderr", "") or ""
            faults.append(f"{name}: {type(error).__name__}: {error} {detail}".strip())
    print(*faults, sep="\n")
    if faults or arguments.only:
        return 1 if faults else 0
    size = write_archive(graphs, all_facts)
    write_csv(rows)
    write_docs(rows, size)
    print(f"{len(graphs)} networks, {size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
