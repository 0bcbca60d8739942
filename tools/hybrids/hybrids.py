#!/usr/bin/env python3
"""Predicts networks that mix convolutions with attention, and vision transformers, on the phones, and says what is guessed.

usage: hybrids.py --program build/nn-meter --python .venv-hybrids/bin/python [--write docs/hybrids.md] [--keep FOLDER]
                  [--only NETWORK ...]

Each network is exported by tools/hybrids/make_network.py in a process of its own, by both of torch's exporters; the files
are predicted and deleted (with --keep they stay, and are used again). Exit 1: multiply-adds other than torch's, a kernel
that is nothing known, or two files of one network that differ, and REAL has no reason for it.
"""

import argparse
import collections
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MAKER = Path(__file__).with_name("make_network.py")
DISK_NEEDED = 1 << 30  # bytes; files of the largest network
WORK_TOLERANCE = 1.0  # percent of the multiply-adds
TOLERANCE = 0.5  # percent of the latency, from exporter to exporter
SMALL = 0.005  # share of the latency from which on it is listed what is outside the measured range
PHONES = {
    "pixel1cpu_tflite": "Pixel 1",
    "pixel4cpu_tflite": "Pixel 4",
    "pixel6cpu_tflite": "Pixel 6",
    "xiaomi11cpu_tflite": "Xiaomi 11",
}
DEVICES = {**PHONES, "cortexA76cpu_tflite21": "Cortex-A76"}
TIMM = (
    "levit_128s levit_192 levit_256 mobilevit_xxs mobilevit_s mobilevitv2_100 efficientformer_l1 efficientformerv2_s0 "
    "vit_tiny_patch16_224 vit_small_patch16_224 deit_tiny_patch16_224 deit_small_patch16_224 "
    "swin_tiny_patch4_window7_224 mobilenetv3_small_100 mobilenetv3_large_100 mobilenetv4_conv_small "
    "mobilenetv4_hybrid_medium efficientnet_lite0"
).split()
TRANSFORMERS = "levit_128s levit_192 mobilevit_s mobilevitv2 vit_tiny deit_tiny swin_tiny".split()
NETWORKS = [("timm", name) for name in TIMM] + [("transformers", name) for name in TRANSFORMERS]
TWINS = {  # what transformers writes of a network: the same of timm
    "levit_128s": "levit_128s",
    "levit_192": "levit_192",
    "mobilevit_s": "mobilevit_s",
    "mobilevitv2": "mobilevitv2_100",
    "vit_tiny": "vit_tiny_patch16_224",
    "deit_tiny": "deit_tiny_patch16_224",
    "swin_tiny": "swin_tiny_patch4_window7_224",
}

# (source, network) -> why its two exports differ by more than TOLERANCE, or why the older exporter has none; a reason that
# is not true any more is an error.
REAL = {("transformers", "mobilevitv2"): "dynamo=False fails at Col2Im"}

HEAD = """# Networks with attention on the phones

Written by `make hybrids`; do not edit. Networks of timm {timm} and transformers {transformers} with random weights, as
torch's exporter (`dynamo=True`) writes them, batch 1, predicted for four phones, whose predictors were trained on blocks of
such networks and never on a whole one, and for the Cortex-A76, whose predictor never saw attention. Nobody has measured
these networks on these phones. An interval is as wide as blocks of so much work need it, wider where kernels are outside of
what was measured; what only a whole network does (to caches, to the phone's temperature) is not in it.

*GMACs*: multiply-adds; within {work_tolerance} % of what torch itself counts. *Kernels*: how many run on a phone. The other
columns have milliseconds, the 90 % interval, and the coverage: the share of the latency that comes from kernels inside of
what was measured.

| network | source | image | GMACs | kernels | {devices} |
|---|---|---:|---:|---:|{columns}|
"""

OUTSIDE = """
## What is outside of the measured range

What makes at least {small} % of the latency on some phone, with the largest share on any of them. All of it is in the
output of `nn-meter predict` as a note, with `--breakdown` kernel by kernel, and `--strict` refuses such a prediction.

| network | source | outside |
|---|---|---|
"""

EXPORTERS = """
## The same network through two exporters

What is left of each network when torch's older exporter (`dynamo=False`) writes it: kernels, and the difference of the
latency from the table above. More than {tolerance} % makes `make hybrids` fail unless there is a reason.

| network | source | kernels, dynamo=True | dynamo=False | {devices} | different in the file |
|---|---|---:|---:|{columns}|---|
"""

SOURCES = """
## The same network from timm and from transformers

The two libraries write a network down in different ways; these differences are in the networks, and a runtime runs them.

| network | of timm | kernels | of transformers | kernels | GMACs | {devices} |
|---|---|---:|---|---:|---:|{columns}|
"""


# --------------------------------------------------------------- measuring


def run(program, *arguments):
    """What the program prints as JSON; RuntimeError with its own message when it fails."""
    command = [str(program), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if result.returncode:
        raise RuntimeError(result.stderr.strip() or f"{program} failed")
    return json.loads(result.stdout)


def predict(program, path):
    """{device: result with its kernels}; the result has a member "nothing_known": kernels of the type other."""
    answers = {}
    for device in DEVICES:
        (answers[device],) = run(program, "predict", "--predictor", device, "--breakdown", "--json", path)["results"]
        kernels = run(program, "inspect", "--stage=kernels", "--predictor", device, "--json", path)["kernels"]
        answers[device]["nothing_known"] = [each["name"] for each in kernels if each["predicted_as"] == "other"]
    return answers


def make_file(python, source, network, exporter, folder):
    """(file, {"size", "macs"}); None when the exporter fails."""
    path, facts = folder / f"{source}.{network}.{exporter}.onnx", folder / f"{source}.{network}.{exporter}.json"
    if not facts.exists() or not facts.stat().st_size:
        if shutil.disk_usage(folder).free < DISK_NEEDED:
            sys.exit(f"hybrids: {folder}: less than {DISK_NEEDED >> 30} GiB free; make room, or set TMPDIR")
        command = [str(python), "-W", "ignore", str(MAKER), source, network, exporter, str(path)]
        result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        if result.returncode:
            print(f"hybrids: {network} of {source}: {exporter}:\n{result.stderr[-2000:]}", file=sys.stderr)
            return None
        facts.write_text(result.stdout.splitlines()[-1] + "\n", encoding="utf-8")
    return path, json.loads(facts.read_text(encoding="utf-8"))


def measure(program, python, source, network, folder):
    """(facts, {exporter: {device: result}}), without an exporter that fails; SystemExit when it is the first."""
    facts, results = None, {}
    for exporter in ("dynamo", "ts"):
        made = make_file(python, source, network, exporter, folder)
        if made:
            facts, results[exporter] = made[1], predict(program, made[0])
        elif not facts:
            sys.exit(f"hybrids: {network} of {source}: could not be made")
    return facts, results


# ----------------------------------------------------------------- judging


def work_of(result):
    return sum(kernel["attributes"]["multiply_adds"] for kernel in result["kernels"])


def apart(first, second):
    """{phone: difference of the latency in percent}."""
    return {each: 100 * (second[each]["latency_ms"] / first[each]["latency_ms"] - 1) for each in PHONES}


def faults(source, network, facts, results):
    """A line for everything that is not as it should be."""
    name = f"{network} of {source}"
    for exporter, answers in results.items():
        result = answers[next(iter(PHONES))]
        percent = 100 * (work_of(result) / facts["macs"] - 1)
        if abs(percent) > WORK_TOLERANCE:
            yield f"{name}, {exporter}: {percent:+.2f} % multiply-adds more than torch counts"
        if result["nothing_known"]:
            yield f"{name}, {exporter}: nothing is known of {', '.join(result['nothing_known'][:5])}"
    is_explained = (source, network) in REAL
    if "ts" not in results:
        if not is_explained:
            yield f"{name}: the older exporter fails, and no reason in REAL"
        return
    largest = max(map(abs, apart(results["dynamo"], results["ts"]).values()))
    if largest > TOLERANCE and not is_explained:
        yield f"{name}: the exporters' files are {largest:.2f} % apart, and no reason in REAL"
    if largest <= TOLERANCE and is_explained:
        yield f"{name}: the exporters' files are no longer apart; take it out of REAL"


# ----------------------------------------------------------------- the page

NOTE = re.compile(r"\d+ (\S+) kernels? \(([0-9.]+) % of the latency\) outside the training range: (.*)")


def outside_of(answers):
    """What is outside the measured range on some phone: "attention: output channels below the smallest measured (31 %)"."""
    shares = collections.Counter()
    for phone in PHONES:
        for note in answers[phone]["notes"]:
            found = NOTE.fullmatch(note)
            if not found:
                raise RuntimeError(f"hybrids: no note about the range, as far as NOTE can tell: {note}")
            key = (found[1], found[3].replace("kernel type never measured on this device", "never measured"))
            shares[key] = max(shares[key], float(found[2]) / 100)
    by_reason = collections.defaultdict(list)
    for (kernel, reason), share in shares.most_common():
        if share >= SMALL:
            by_reason[reason].append(f"{kernel} ({100 * share:.1f} %)")
    return "; ".join(f"{', '.join(kernels)}: {reason}" for reason, kernels in by_reason.items()) or "nothing"


def cell(result):
    low, high = result["interval_ms"]
    digits = 1 if result["latency_ms"] >= 10 else 2
    share = int(1000 * result["coverage"]) / 10  # 99.96 is not all
    return f"{result['latency_ms']:.{digits}f} ({low:.{digits}f} to {high:.{digits}f}), {share:.1f} %"


def main_rows(measured):
    for source, network, facts, results in measured:
        answers = results["dynamo"]
        first = answers[next(iter(PHONES))]
        cells = " | ".join(cell(answers[device]) for device in DEVICES)
        yield (
            f"| {network} | {source} | {facts['size']} | {work_of(first) / 1e9:.2f} | {len(first['kernels'])} | {cells} |\n"
        )


def exporter_rows(measured):
    for source, network, _, results in measured:
        first, second = results["dynamo"], results.get("ts")
        counts = " | ".join(str(len(each[next(iter(PHONES))]["kernels"])) if each else "" for each in (first, second))
        differences = apart(first, second).values() if second else []
        cells = " | ".join(f"{each:+.2f}".replace("-0.00", "+0.00") for each in differences) or " | " * (
            len(PHONES) - 1
        )
        yield f"| {network} | {source} | {counts} | {cells} | {REAL.get((source, network), '')} |\n"


def twin_rows(measured):
    found = {(source, network): results["dynamo"] for source, network, _, results in measured}
    phone = next(iter(PHONES))
    for theirs, ours in TWINS.items():
        first, second = found.get(("timm", ours)), found.get(("transformers", theirs))
        if not first or not second:
            continue
        cells = " | ".join(f"{each:+.1f}" for each in apart(first, second).values())
        work = f"{100 * (work_of(second[phone]) / work_of(first[phone]) - 1):+.1f} %"
        counts = [len(each[phone]["kernels"]) for each in (first, second)]
        yield f"| {theirs} | {ours} | {counts[0]} | {theirs} | {counts[1]} | {work} | {cells} |\n"


def page(measured, versions):
    numbers = {
        "work_tolerance": f"{WORK_TOLERANCE:g}",
        "tolerance": f"{TOLERANCE:g}",
        "small": f"{100 * SMALL:g}",
        **versions,
    }
    columns = {"devices": " | ".join(DEVICES.values()), "columns": "|".join(["---:"] * len(DEVICES))}
    phones = {"devices": ", % | ".join(PHONES.values()) + ", %", "columns": "|".join(["---:"] * len(PHONES))}
    text = HEAD.format(**columns, **numbers) + "".join(main_rows(measured)) + OUTSIDE.format(**numbers)
    for source, network, _, results in measured:
        text += f"| {network} | {source} | {outside_of(results['dynamo'])} |\n"
    text += EXPORTERS.format(**phones, **numbers) + "".join(exporter_rows(measured))
    return text + SOURCES.format(**phones) + "".join(twin_rows(measured))


def versions_of(python):
    code = "import importlib.metadata as m; print(m.version('timm'), m.version('transformers'))"
    result = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    return dict(zip(("timm", "transformers"), result.stdout.split()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument(
        "--python", type=Path, required=True, help="with the packages of tools/requirements/hybrids.txt"
    )
    parser.add_argument("--write", type=Path, help="the page to write; left alone with --only")
    parser.add_argument("--keep", type=Path, help="where the model files stay (2 GB), and are used again")
    parser.add_argument("--only", nargs="*", default=[], metavar="NETWORK")
    options = parser.parse_args()
    measured, wrong = [], []
    for source, network in NETWORKS:
        if options.only and network not in options.only:
            continue
        with tempfile.TemporaryDirectory(prefix="hybrids-") as temporary:
            folder = options.keep or Path(temporary)
            folder.mkdir(parents=True, exist_ok=True)
            facts, results = measure(options.program, options.python, source, network, folder)
        measured.append((source, network, facts, results))
        wrong += faults(source, network, facts, results)
        sys.stdout.write("".join(main_rows(measured[-1:])))
        sys.stdout.flush()
    if options.write and not options.only:
        options.write.write_text(page(measured, versions_of(options.python)), encoding="utf-8")
    if wrong:
        sys.exit("\n".join(f"hybrids: {line}" for line in wrong))


if __name__ == "__main__":
    main()
