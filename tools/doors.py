#!/usr/bin/env python3
"""Takes the same networks through every door their frameworks have, and compares what nn-meter makes of them.

usage: doors.py --program build/nn-meter --python .venv-doors/bin/python [--write docs/doors.md] [--keep FOLDER]
                [--only NETWORK ...]

Each network is written as model files by tools/doors_networks.py, in a process of its own; the files are read, compared
with the first door's, and deleted (with --keep they stay, and are used again). Exit 1: a door differs by more than 0.1 %
of the latency, or by kernels, and REAL has no reason for it; or a reason has become untrue.
"""

import argparse
import collections
import json
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

MAKER = Path(__file__).with_name("doors_networks.py")
DISK_NEEDED = 2 << 30  # bytes; all files of the largest network
TOLERANCE = 0.1  # percent
DEVICES = {
    "cortexA76cpu_tflite21": "CPU",
    "adreno640gpu_tflite21": "Adreno 640",
    "adreno630gpu_tflite21": "Adreno 630",
    "myriadvpu_openvino2019r2": "Myriad",
}
KERAS = ("MobileNetV2", "MobileNetV3Small", "MobileNetV3Large", "ResNet50", "DenseNet121", "EfficientNetB0")
KERAS += ("InceptionV3",)
TORCH = ("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "resnet50", "densenet121", "efficientnet_b0")
TORCH += ("inception_v3",)
NETWORKS = [("keras", name) for name in KERAS] + [("torch", name) for name in TORCH]

# What is different in the file itself, and stays different: key -> (what it is called in the table, explanation).
REASONS = {
    "image": (
        "image channels last",
        "tf2onnx leaves the image as TensorFlow has it, channels last, and puts one transposition in front of the first "
        "convolution: a kernel more, which a runtime for ONNX really runs. With its option `--inputs-as-nchw` it is gone.",
    ),
    "border": (
        "border in the layer",
        "Keras pads the image of ResNet and DenseNet by three pixels on every side (`ZeroPadding2D`). A layer of TensorFlow "
        "or TFLite cannot pad so, and the `Pad` is an operator that the device runs; tf2onnx writes it into the "
        "convolution, which ONNX can say. The one in front of the pooling stays in all files. (A border that TensorFlow "
        "calls SAME, as MobileNet's and EfficientNet's is, is written into the layer by every converter, so it is no "
        "kernel through any door.)",
    ),
    "repeats": (
        "work that is repeated",
        "Not in the table, but in `tests/python/test_doors.py`, which compares more networks of torch: the exporter "
        "`dynamo=False` computes the mask of a transformer's attention anew in each layer, `dynamo=True` once. That is up to "
        "1.5 % in a tiny BERT and in MiniLM. What a file computes twice counts twice: the networks of NAS-Bench-201 in "
        "the benchmark have such operators, and were measured with them.",
    ),
    "concat": (
        "joined concatenations",
        "Inception-V3 concatenates concatenations. tf2onnx and torch's exporter `dynamo=False` join the inner ones with "
        "the outer one: fewer copies. The other files, TFLite's too, really have them.",
    ),
}

# (network, door) -> (keys of REASONS, kernels more than through the network's first door). No entry: the same.
REAL = {
    **{(name, "tf2onnx"): (("image",), 1) for name in KERAS},
    **{(name, "tf2onnx"): (("image", "border"), 0) for name in ("ResNet50", "DenseNet121")},
    **{(name, "tf2onnx, image channels first"): (("border",), -1) for name in ("ResNet50", "DenseNet121")},
    ("InceptionV3", "tf2onnx"): (("image", "concat"), -3),
    ("InceptionV3", "tf2onnx, image channels first"): (("concat",), -4),
    ("inception_v3", "dynamo exporter"): (("concat",), 4),
}

REMARKS = """
## What only looks different

TFLite's files are taken as they are: their converter has done its work, and the device runs what it left. What it would do
is done to the other files here, so that they come out as the same kernels:

- **Transpositions**: tf2onnx leaves islands in channels last: an activation, a squeeze-and-excite block or a border
  between two transpositions, dozens of them in MobileNetV3. Whoever brings such a file to a device does element-wise work
  in the layout around it, so the transpositions of an island are no kernels when all ways into it and out of it are
  transpositions, single pixels or means over the image; a result of the model in between, or a reshape, keeps them.
- **Batch normalisation**: Keras 3 writes it as four operators, tf_keras as one, TFLite and torch fold it: no kernel
  behind a layer, one kernel in front of an activation (DenseNet).
- **Rescaling and normalisation** of the image, which Keras puts into MobileNetV3 and EfficientNet: an offset of 0 and a
  factor of 1 are nothing, one factor in front of a convolution goes into its weights (an offset only where the layer pads
  nothing), as TFLite's converter does it. A factor for each channel stays. What is left are kernels that the torch networks do not have: torch leaves
  them to the program that loads the image.
- **Keras and torch** have different networks of one name: other borders, activations and sizes, so they are not compared
  with each other.
"""

HEAD = """# The same network through different doors

Written by `make doors`; do not edit. Networks with random weights, made by Keras {keras} and torchvision {torchvision},
are written as every kind of file that their framework can write, and read by nn-meter. *Kernels*: how many run on the
CPU. *Apart*: how many of them the file does not share with the network's first file, compared by type and every feature,
on the device where that is most. The rest is the difference of the latency from the first file's, in percent.

One difference of more than {tolerance} % that is not explained below makes `make doors` fail, and so does an explanation
that is not true any more.

| network | door | kernels | apart | {devices} | different in the file |
|---|---|---:|---:|{columns}|---|
"""


# --------------------------------------------------------------- measuring


def run(program, *arguments):
    """What the program prints as JSON; RuntimeError with its own message when it fails."""
    command = [str(program), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if result.returncode:
        raise RuntimeError(result.stderr.strip() or f"{program} failed")
    return json.loads(result.stdout)


def kernels_of(program, path, device):
    """How often each kernel occurs: (type, features). A batch normalisation that is folded into the weights is no part of
    the type: a file may have it folded already."""
    shown = run(program, "inspect", "--stage=features", "--predictor", device, "--batch-size", "1", "--json", path)
    return collections.Counter(
        (name.split("#")[0].replace("-bn", ""), tuple(round(value, 4) for value in row))
        for name, row in shown["features"]
    )


def read_door(program, path):
    """{device: (latency in ms, kernels)} of one file."""
    answer = run(program, "predict", "--predictor", "all", "--batch-size", "1", "--json", path)
    return {
        each["predictor"]: (each["latency_ms"], kernels_of(program, path, each["predictor"]))
        for each in answer["results"]
    }


def compare(first, other):
    """(kernels on the CPU, kernels apart, {device: difference of the latency in percent}) of a door and the first one."""
    apart = max(
        max((first[device][1] - other[device][1]).total(), (other[device][1] - first[device][1]).total())
        for device in DEVICES
    )
    percent = {device: 100 * (other[device][0] / first[device][0] - 1) for device in DEVICES}
    return other[next(iter(DEVICES))][1].total(), apart, percent


# ------------------------------------------------------------------ making


def make_files(python, framework, network, folder):
    """[(door, file)] of one network; SystemExit when there is no room for them."""
    list_of_doors = folder / "doors.tsv"
    if not list_of_doors.exists():
        folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(folder).free < DISK_NEEDED:
            sys.exit(f"doors: {folder}: less than {DISK_NEEDED >> 30} GiB free; make room, or set TMPDIR")
        log = (folder / "log").open("w", encoding="utf-8")
        with log:
            command = [str(python), str(MAKER), framework, network, str(folder)]
            result = subprocess.run(command, stdout=subprocess.PIPE, stderr=log, text=True, check=False)
        if result.returncode:
            sys.exit(f"doors: {network}: could not be made:\n{(folder / 'log').read_text(encoding='utf-8')[-2000:]}")
        lines = [line for line in result.stdout.splitlines() if "\t" in line]
        list_of_doors.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    rows = [line.split("\t") for line in list_of_doors.read_text(encoding="utf-8").splitlines()]
    return [(door, name if door.startswith("!") else folder / name) for door, name in rows]


def measure(program, python, framework, network, folder):
    """[(door, kernels, apart, percent)]; a door that the framework failed at has its reason instead of kernels."""
    rows, first = [], None
    for door, path in make_files(python, framework, network, folder):
        if door.startswith("!"):
            rows.append((door[1:], path, 0, {}))
            continue
        found = read_door(program, path)
        first = first or found
        rows.append((door, *compare(first, found)))
    return rows


# ----------------------------------------------------------------- judging


def faults(network, rows):
    """A line for each difference without a reason, and for each reason that is not true."""
    for door, kernels, apart, percent in rows:
        reasons, more = REAL.get((network, door), ((), 0))
        if isinstance(kernels, str):
            yield f"{network}: {door}: the framework fails: {kernels}"
            continue
        largest = max(map(abs, percent.values()))
        if not reasons and (apart or largest > TOLERANCE):
            yield f"{network}: {door}: {apart} kernels apart, {largest:.3f} %, and no reason in REAL"
        if reasons and not apart:
            yield f"{network}: {door}: no difference any more; take it out of REAL"
        if reasons and kernels - rows[0][1] != more:
            yield f"{network}: {door}: {kernels - rows[0][1]:+d} kernels, REAL says {more:+d}"


def table_row(network, door, kernels, apart, percent):
    if isinstance(kernels, str):
        return f"| {network} | {door} | | | {' | ' * len(DEVICES)} the framework fails: {kernels} |\n"
    cells = " | ".join(f"{percent[device]:+.3f}".replace("-0.000", "+0.000") for device in DEVICES)
    why = ", ".join(REASONS[key][0] for key in REAL.get((network, door), ((),))[0])
    return f"| {network} | {door} | {kernels} | {apart} | {cells} | {why} |\n"


def page(measured, versions):
    text = HEAD.format(
        tolerance=TOLERANCE, devices=" | ".join(DEVICES.values()), columns="|".join(["---:"] * len(DEVICES)), **versions
    )
    text += "".join(table_row(network, *row) for network, rows in measured for row in rows)
    text += "\n## What is different in the files\n\n"
    for name, explanation in REASONS.values():
        text += (
            textwrap.fill(f"- **{name}**: {explanation}", 120, subsequent_indent="  ", break_on_hyphens=False) + "\n"
        )
    return text + REMARKS


def versions_of(python):
    code = "import importlib.metadata as m; print(m.version('keras'), m.version('torchvision'))"
    result = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    return dict(zip(("keras", "torchvision"), result.stdout.split()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--python", type=Path, required=True, help="with the packages of tools/requirements/doors.txt")
    parser.add_argument("--write", type=Path, help="the page to write; left alone with --only")
    parser.add_argument("--keep", type=Path, help="where the model files stay (3 GB), and are used again")
    parser.add_argument("--only", nargs="*", default=[], metavar="NETWORK")
    options = parser.parse_args()
    measured, wrong = [], []
    for framework, network in NETWORKS:
        if options.only and network not in options.only:
            continue
        with tempfile.TemporaryDirectory(prefix="doors-") as temporary:
            folder = (options.keep or Path(temporary)) / framework / network
            rows = measure(options.program, options.python, framework, network, folder)
        measured.append((network, rows))
        wrong += faults(network, rows)
        sys.stdout.write("".join(table_row(network, *row) for row in rows))
        sys.stdout.flush()
    if options.write and not options.only:
        options.write.write_text(page(measured, versions_of(options.python)), encoding="utf-8")
    if wrong:
        sys.exit("\n".join(f"doors: {line}" for line in wrong))


if __name__ == "__main__":
    main()
