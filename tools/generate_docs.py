#!/usr/bin/env python3
"""Rewrites the generated regions of the documentation from what the build really knows and prints.

usage: generate_docs.py --program build/nn-meter --lists build/tools/lists [--check]

A region stands between `<!-- generated: NAME -->` and `<!-- end -->`. --check changes nothing and exits 1 when a region
is not what it would be.
"""

import argparse
import re
import subprocess
import sys
import textwrap
from pathlib import Path

from devices import DATA_SETS, devices_of

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))]
REGION = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
LONG_NUMBER = re.compile(r"\d+\.\d{6,}")
FORMATS = {
    "onnx": "ONNX, opset 7 to 24, weights present or not",
    "tensorflow": "TensorFlow 1 and 2: frozen graph (`.pb`), SavedModel (folder or its `saved_model.pb`)",
    "tflite": "TensorFlow Lite, schema 3, quantised or not",
    "nnmeter-ir": "nn-Meter IR (JSON), read and written",
    "nni-ir": "NNI's graph IR (Retiarii, JSON)",
    "benchmark": "one graph of the 26k benchmark or of the block tables (JSON), for training and accuracy",
}
DEVICES = devices_of(*DATA_SETS)


def output(command):
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
    ).stdout


def read_lists(program):
    lists = {}
    for line in output([program]).splitlines():
        kind, *fields = line.split("\t")
        lists.setdefault(kind, []).append(fields)
    return lists


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def names(rows):
    return textwrap.fill(", ".join(sorted({f"`{row[0]}`" for row in rows}, key=lambda name: (name.lower(), name))), 118)


def sample(program, arguments):
    """A command and what it prints, as the reader would see it."""
    printed = output([program, *arguments])
    return f"```console\n$ nn-meter {' '.join(arguments)}\n{printed.rstrip()}\n```"


def first_table(document):
    lines = (ROOT / "docs" / document).read_text(encoding="utf-8").splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("|"))
    end = next((index for index in range(start, len(lines)) if not lines[index].startswith("|")), len(lines))
    return "\n".join(lines[start:end])


def regions(program, lists):
    known = read_lists(lists)
    models = [f"examples/{name}.onnx" for name in ("mobilenet_v2", "resnet18", "squeezenet")]
    return {
        "formats": table(["format", "what"], [[f"`{name}`", FORMATS.get(name, "")] for (name,) in known["format"]]),
        "operators": f"{len(known['operator'])} operators:\n\n{names(known['operator'])}",
        "kernels": f"{len(known['kernel'])} kernel types:\n\n{names(known['kernel'])}",
        "devices": table(
            ["predictor", "version", "device"],
            [[f"`{row[0]}`", row[1], DEVICES.get(row[0], "")] for row in known["device"]],
        ),
        "sample-devices": sample(program, ["predict", "--quiet", "--predictor", "all", "--onnx", models[0]]),
        "sample-kernels": sample(
            program, ["predict", "--predictor", "cortexA76cpu_tflite21", "--onnx", models[2], "--breakdown"]
        ),
        "accuracy": first_table("accuracy.md"),
        "bench": first_table("bench.md"),
    }


def comparable(text):
    """Without the last digits of latencies: they hang on how the machine's mathematics library rounds."""
    return LONG_NUMBER.sub(lambda number: f"{float(number[0]):.6g}", text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--lists", type=Path, required=True)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    known = regions(options.program.resolve(), options.lists.resolve())
    stale = []

    def replace(match):
        return f"{match[1]}{known[match[2]]}\n{match[3]}"

    for document in DOCUMENTS:
        path = ROOT / document
        before = path.read_text(encoding="utf-8")
        after = REGION.sub(replace, before)
        if comparable(before) != comparable(after):
            stale.append(document)
            if not options.check:
                path.write_text(after, encoding="utf-8")
    if options.check and stale:
        print(f"not what the build prints any more: {', '.join(stale)}; run `make docs`")
        return 1
    print("generated regions are current" if options.check else f"rewrote {', '.join(stale) or 'nothing'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
