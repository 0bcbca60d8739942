#!/usr/bin/env python3
"""How well the shipped predictors do on models that their training never saw; writes docs/accuracy.md.

usage: accuracy.py --program build/nn-meter [--quick] [--update-quick] [--shared FOLDER]

The judged models are the fifth of the public benchmark whose names have crc32(name) % 5 == 0. Training, and every choice
made for it, kept to the others. --quick judges a fixed fifth of those, writes nothing, and fails when a figure is
more than MARGIN below the one in tools/accuracy/quick.json (--update-quick rewrites that file).
"""

import argparse
import csv
import json
import lzma
import math
import os
import statistics
import subprocess
import sys
import zlib
from pathlib import Path

from tables import ALL, baseline_table, phone_tables, protocol_tables, rule_table

from devices import DATA_SETS, devices_of, facts_of

ROOT = Path(__file__).resolve().parents[2]
QUICK = ROOT / "tools" / "accuracy" / "quick.json"
MARGIN = 0.3  # percentage points; the sample and the arithmetic are fixed, so this leaves room for rounding only
DATA = {
    "bench": """\
The latencies are those that microsoft/nn-Meter published for its benchmark of 26,000 convolutional networks (public
history of its repository: code MIT, data under the Open Use of Data Agreement), measured at batch 1; the graphs are
rebuilt from its generator's configurations. 20,396 models have latencies, shufflenetv2 none on the Adreno GPUs.""",
    "phones": """\
The latencies are those of nn-Meter's block tables for hybrid networks (version 3, branch dev/hybrid-transformer of
microsoft/nn-Meter, MIT): 12,116 blocks, the stages of networks in between LeViT and MobileNetV3, of which 9,693 have latencies, all of
them on all four phones; TensorFlow Lite on the CPU, batch 1. The graphs are rebuilt from the blocks' definitions. The
version of TensorFlow Lite and the number of threads were not recorded; the throughput is that of one big core.""",
}
METHOD = """\
No kernel was ever measured alone: what was measured costs the sum of its kernels and a constant, and the function that gives each
kernel's cost is learned from the sums (`tools/train`, PyTorch; Adam, smooth L1 loss on the logarithm of predicted over
measured). It is a roofline guess (so much for each multiply-add, element read, element written, weight, window element and
kernel of a type), corrected by a network shared by all kernel types and a small one of each type. What the measurements say
little about stays near what is known of the device's kind and of similar kernel types. A fifth of the models was kept
aside; a twenty-fifth was not learned from either and gives the interval (split conformal)."""
WEAK = [
    "Latencies of single kernels are inferred; of two kernels that always occur together only the sum is certain.",
    "Kernel types and sizes that were not measured are extrapolated from the work they do, and marked as such.",
]

HEAD = """\
# Accuracy

Written by `make accuracy`; do not edit.

Share of models whose predicted latency lies within ±5 % and ±10 % of the measured one, median and root mean square of
the relative error. All figures are out of sample: the judged models are the fifth of each data set with
`crc32(name) % 5 == 0`; the shipped predictors were trained on the others. Settings were chosen on one more fifth of those
(remainder 1), left out of training for that purpose, the fusion rules (`tools/train/choose_rules.py`) on samples of all but
the judged fifth. The judged fifth was looked at after a first short training, for the tables of the predictors before these,
for these tables, for three earlier versions of calibration (the present one was chosen on the fifth with remainder 1), and for
a first set of fusion rules, before longer trainings on the other folds led to these; no choice was made by it.
The last column: how many measurements the interval covers that each prediction carries.

"""
PHONES_HEAD = """\
Networks were not measured here, but the blocks that they are made of: inverted bottlenecks (conv, and transds between
token layouts), attention (transattn), feed-forward (transffn), first and last stages (firstconv, mbpool). Settings and rules
were chosen on the fifth with remainder 1; the judged fifth was looked at for these tables alone.

Whole networks on these phones (LeViT, MobileViT, EfficientFormer, ViT, DeiT, Swin, MobileNetV3 and V4), which nobody has
measured: what is predicted, and what of each lies inside and outside of the measured range, is in [hybrids.md](hybrids.md).

"""
WHY = """
## Why the weak ones are weak

- **A family never seen misses by a common factor, not by scatter**: the median bias in the tables above is most of the
  error, and ten measured models take it away. What is wrong is the cost of kernel types that only that family has
  (hard swish and squeeze-and-excite gates of mobilenetv3, batch normalisation on its own in densenet, split and channel
  shuffle of shufflenetv2 on the Myriad), or of sizes that only it has (the 32x32 images of nasbench201, where what a kernel
  costs beside its work is most of it; the fully connected layers of alexnet and vgg). No other measurement says what
  these cost. Costs by class of kernel (what is elementwise costs like other elementwise kernels) are the physics that
  was missing where a first trial, a network alone, was 40 to 100 % off: shufflenetv2 on the CPU went from 48 to 100 %.
- **vgg on the Myriad**: 5x5 and 7x7 convolutions over hundreds of channels, whose cost jumps. In squeezenet, 7x7 convolutions
  of 28x28 maps with more than about 1.3 million weights seem up to 1.5 times dearer than smaller ones, but not where the
  output channels are a round number (384): it looks like tiles of an on-chip memory, and the compiler's choice is not known.
- **resnet and vgg on the CPU**: networks of seconds each scatter to one side, by 10 to 15 %, and nothing in the graph tells
  which; other settings and the mean of four trainings change nothing. It looks like the measurement (heat, clock rates).
- **Blocks of a family never seen**: dense layers on tokens with layer normalisation are in transffn and transattn alone, attention
  is in transattn alone, and what they cost has to be guessed from 1x1 convolutions and pooling. Again it is mostly a common
  factor: ten blocks take most of it away.
- **Pixel 4, blocks**: many were measured 6 to 20 % slower than their neighbours in size, for a dozen measurements in a row and then
  not, whatever the channels; the two expansions of one block, measured one after the other, are slow together ("Measurements
  that drift" above). Only Pixel 1 has something of the kind, and much less. It looks like the phone's clock rate or another
  program, not the network. A predictor that followed it would be wrong about every network of those sizes, so ours lies in between.
- **nasbench201**: on the Myriad, networks of the very same kernels in another order differ by up to 40 %; a few graphs stand for
  two measurements that differ by a third on all devices.
"""
TAIL = f"""
## Where the data comes from

{DATA["bench"]}

{DATA["phones"]}

Neither latencies nor graphs are part of this repository: `make accuracy` reads `graphs.jsonl.xz` and `latency.csv` in
`../shared/bench` and `../shared/phones` (or in the folders of those names below the one in the environment variable
`NNM_SHARED`).

## What the figures do not say

- The networks are image classifiers of 13 families; inputs are 224x224 (32x32 for nasbench201). Segmentation and detection
  networks are predicted from other kernels than those that were measured; `coverage` tells.
- On the phones no whole network was measured, only blocks of a few milliseconds: what a network costs beside its blocks, and
  what its memory does when all of it is in use, is in no figure here.
- A random split has near relatives of each judged model in training. A family never seen at all is predicted worse.
- Latencies of single kernels were never measured; they are inferred from whole models. Their sum is what is judged here.
"""


def judged(name):
    return zlib.crc32(name.encode()) % 5 == 0


def sampled(name):
    return judged(name) and zlib.crc32(name.encode()) % 25 == 0


def read_latencies(path, devices):
    with open(path, newline="", encoding="utf-8") as file:
        return {row["id"]: {d: float(row[d]) for d in devices if row[d]} for row in csv.DictReader(file)}


def predict(program, graphs, wanted, devices):
    """{id: (family, {device: (milliseconds, lower and upper bound)})} of the wanted models."""
    build = program.resolve().parent
    subprocess.run(["ninja", "-C", build, "tools/predict_table"], check=True, stdout=subprocess.DEVNULL)
    families, lines = {}, []
    with lzma.open(graphs) as file:
        for line in file:
            name = line[: line.index(b",")].split(b'"')[3].decode()
            if name in wanted:
                families[name] = json.loads(line)["family"]
                lines.append(line)
    result = subprocess.run(
        [build / "tools" / "predict_table", *devices], input=b"".join(lines), check=True, stdout=subprocess.PIPE
    )
    predicted = {}
    for row in csv.reader(result.stdout.decode().splitlines()):
        numbers = [tuple(map(float, row[i : i + 3])) for i in range(1, len(row), 3)]
        predicted[row[0]] = (families[row[0]], dict(zip(devices, numbers, strict=True)))
    return predicted


def figures(results):
    """results: [(relative error, whether the interval covers what was measured)]"""
    errors = [error for error, _ in results]
    share = lambda limit: 100 * sum(e <= limit for e in errors) / len(errors)  # noqa: E731
    return {
        "models": len(errors),
        "covered": 100 * sum(covered for _, covered in results) / len(results),
        "within_5": share(0.05),
        "within_10": share(0.10),
        "median": 100 * statistics.median(errors),
        "rms": 100 * math.sqrt(sum(e * e for e in errors) / len(errors)),
    }


def judge(predicted, latencies, devices):
    """{device: {family: figures}}, family "all" first."""
    table = {}
    for device in devices:
        errors = {"all": []}
        for name, (family, ours) in sorted(predicted.items(), key=lambda item: item[1][0]):
            if device in latencies[name]:
                measured, (ms, low, high) = latencies[name][device], ours[device]
                result = abs(ms / measured - 1), low <= measured <= high
                errors["all"].append(result)
                errors.setdefault(family, []).append(result)
        table[device] = {family: figures(values) for family, values in errors.items()}
    return table


def rows(title, entries):
    text = f"| {title} | models | ±5 % | ±10 % | median error | RMS error | 90 % interval covers |\n|---|---:|---:|---:|---:|---:|---:|\n"
    for name, f in entries:
        text += (
            f"| {name} | {f['models']:,} | {f['within_5']:.1f} % | {f['within_10']:.1f} % | {f['median']:.2f} % "
            f"| {f['rms']:.2f} % | {f['covered']:.1f} % |\n"
        )
    return text


def device_table(table):
    return rows("device", [(ALL[device], families["all"]) for device, families in table.items()])


def family_tables(table):
    text = ""
    for device, families in table.items():
        text += f"\n### {ALL[device]}\n\n`{device}`\n\n"
        text += rows("family", [item for item in families.items() if item[0] != "all"])
    return text


def card(device, families):
    facts = facts_of(device)
    text = f"# {device}, version 1.0\n\nWritten by `make accuracy` from device.json; do not edit.\n\n"
    text += f"| | |\n|---|---|\n| device | {facts['hardware']} |\n| runtime | {facts['runtime']} |\n"
    text += "| unit | milliseconds, batch 1 |\n| file | predictor.nnmeter, embedded in the library |\n\n"
    text += (
        "## Data and method\n\n"
        + DATA[facts["data_set"]]
        + "\n\n"
        + METHOD
        + "\n\n## Fusion rules\n\n"
        + facts["fusion_rules"]
    )
    text += "\n\n" + rule_table(
        json.loads((ROOT / "devices" / device / "rule_evidence.json").read_text(encoding="utf-8"))
    )
    text += "\n## Accuracy\n\nOn models never seen in training; by family in [docs/accuracy.md](../../docs/accuracy.md).\n\n"
    text += rows("models", [("all", families["all"])])
    text += "\n## Weak spots\n\n" + "".join(f"- {line}\n" for line in [*facts["weak"], *WEAK])
    return text


def check_quick(table, update):
    ours = {
        device: {key: round(families["all"][key], 3) for key in ("within_5", "within_10", "median", "covered")}
        for device, families in table.items()
    }
    if update:
        QUICK.write_text(json.dumps(ours, indent=2) + "\n", encoding="utf-8")
        return 0
    expected = json.loads(QUICK.read_text(encoding="utf-8"))
    worse = [
        f"{device}: {key} {ours[device][key]} %, was {was} %"
        for device, keys in expected.items()
        if device in ours
        for key, was in keys.items()
        if (was - ours[device][key]) * (-1 if key == "median" else 1) > MARGIN
    ]
    for line in worse:
        print(f"accuracy fell: {line}", file=sys.stderr)
    return 1 if worse else 0


def write_pages(judged_sets):
    """docs/accuracy.md. judged_sets: {data set: {device: {family: figures}}}"""
    protocol, baselines = (
        json.loads((ROOT / "tools" / "accuracy" / name).read_text(encoding="utf-8"))
        for name in ("protocol.json", "baselines.json")
    )
    text = HEAD + device_table(judged_sets["bench"] | judged_sets["phones"])
    text += "\n## Networks of the benchmark\n" + family_tables(judged_sets["bench"])
    text += (
        "\n## Blocks on four phones\n\n" + PHONES_HEAD + family_tables(judged_sets["phones"]) + phone_tables(protocol)
    )
    text += protocol_tables(protocol) + baseline_table(baselines, judged_sets["bench"], protocol)
    (ROOT / "docs" / "accuracy.md").write_text(text + WHY + TAIL, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=ROOT / "build" / "nn-meter")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--update-quick", action="store_true")
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("NNM_SHARED") or ROOT.parent / "shared"))
    options = parser.parse_args()
    quick = options.quick or options.update_quick
    judged_sets = {}
    for data_set in DATA_SETS:
        folder, devices = options.shared / data_set, devices_of(data_set)
        if not (folder / "latency.csv").exists():
            print(
                f"SKIPPED: no accuracy figures of {', '.join(devices)}, because {folder} is not there. docs/accuracy.md says "
                "where the data comes from."
            )
            continue
        latencies = read_latencies(folder / "latency.csv", devices)
        wanted = {name for name in latencies if (sampled if quick else judged)(name)}
        found = predict(options.program, folder / "graphs.jsonl.xz", wanted, devices)
        judged_sets[data_set] = judge(found, latencies, devices)
        print(device_table(judged_sets[data_set]) + family_tables(judged_sets[data_set]), end="")
    table = {device: families for found in judged_sets.values() for device, families in found.items()}
    if quick:
        return check_quick(table, options.update_quick)
    if len(judged_sets) < len(DATA_SETS):
        return 0
    write_pages(judged_sets)
    for device, families in table.items():
        (ROOT / "devices" / device / "card.md").write_text(card(device, families), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
