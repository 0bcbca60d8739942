#!/usr/bin/env python3
"""Side by side with nn-meter 2.0 from PyPI: same models, same predictor, same run. Prints and writes a report.

usage: bench.py --program build/nn-meter --bench-program build/bench/bench_predict [--reference FOLDER] [--write FILE]

Exit 1 when a bound that the project promises is missed, or when the two tools disagree on a latency. The predictor that
both use is the legacy one of shared/legacy: the only one of nn-Meter 2.0's that can still be had. Without that folder,
or without nn-meter 2.0 (no PyPI), only our own side is measured, and the table says so.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import formats
from models import residual_chain, write_with_weights

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = [ROOT / "examples" / f"{name}.onnx" for name in ("mobilenet_v2", "resnet18", "squeezenet")]
DEVICE = "cortexA76cpu_tflite21"
LEGACY = "k8"
NODE_COUNTS = (100, 1_000, 10_000, 100_000)
FOLDER_MODELS = 3_000
SIDE_BY_SIDE_NODES = 150
FORMAT_NODES = 10_000
TIMES_ONNX = {False: 4, True: 12}  # most that a MB may cost; True: of JSON, whose parser is not ours
MEASURE = None  # the launcher, set from the command line


def run(command, environment):
    """Runs command; (seconds, peak MiB). Its output is thrown away; a failure is ours."""
    with tempfile.TemporaryDirectory() as name:
        result = Path(name) / "result.json"
        launched = [MEASURE, result, *command]
        process = subprocess.run(
            launched, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
        )
        if process.returncode:
            sys.exit(f"{' '.join(map(str, command))}\nfailed: {process.stderr.decode(errors='replace')[-2000:]}")
        measured = json.loads(result.read_text())
    return measured["seconds"], measured["peak_kib"] / 1024


def repeat(command, environment, count):
    """The median time of count runs and the largest memory peak: what a person waits for."""
    runs = [run(command, environment) for _ in range(count)]
    return statistics.median(seconds for seconds, _ in runs), max(peak for _, peak in runs)


def in_process(command, environment):
    """The JSON objects that command prints; started by something small, which its peak of memory begins with."""
    launched = [MEASURE, os.devnull, *command]
    output = subprocess.run(launched, env=environment, capture_output=True, text=True, check=False)
    if output.returncode:
        sys.exit(f"{' '.join(map(str, command))}\nfailed: {output.stderr[-2000:]}")
    return [json.loads(line) for line in output.stdout.splitlines()]


class Reference:
    """nn-meter 2.0 in its own virtual environment and home, with the legacy predictor registered."""

    def __init__(self, folder, home, legacy):
        self.folder = folder
        self.environment = {**os.environ, "HOME": str(home), "OMP_NUM_THREADS": "1"}
        kernels = "".join(f"\n  - {path.stem}" for path in sorted(legacy.glob("*.pkl")))
        card = home / "k8.yaml"
        card.write_text(
            f"name: {LEGACY}\nversion: 1.0\ncategory: cpu\npackage_location: {legacy}\nkernel_predictors:{kernels}\n"
        )
        run([folder / "bin" / "nn-meter", "register", "--predictor", card], self.environment)

    def predict_command(self, path):
        return [self.folder / "bin" / "nn-meter", "predict", "--predictor", LEGACY, "--onnx", path]

    def import_seconds(self):
        code = "import time; t = time.perf_counter(); import nn_meter; print(time.perf_counter() - t)"
        return in_process([self.folder / "bin" / "python", "-c", code], self.environment)[0]

    def in_process(self, repeats, paths):
        script = ROOT / "bench" / "reference.py"
        return in_process([self.folder / "bin" / "python", script, LEGACY, str(repeats), *paths], self.environment)


class Own:
    def __init__(self, program, bench_program, home):
        self.program, self.bench_program = program, bench_program
        self.kernel_program = bench_program.parents[1] / "tools" / "time_kernels"
        self.environment = {**os.environ, "NN_METER_HOME": str(home)}

    def import_legacy(self, legacy):
        run([self.program, "import-predictor", legacy, "--name", LEGACY, "--version", "1.0"], self.environment)

    def predict_command(self, predictor, path, *options):
        return [self.program, "predict", "--predictor", predictor, "--onnx", path, *options]

    def in_process(self, predictor, repeats, paths):
        return in_process([self.bench_program, predictor, str(repeats), *paths], self.environment)


class Table:
    """The report: rows of text, and whether every promise was kept."""

    def __init__(self):
        self.sections, self.missed, self.summary = [], [], []

    def section(self, title, text, header, rows):
        self.sections.append((title, text, header, rows))

    def bound(self, what, value, least=None, most=None):
        kept = (least is None or value >= least) and (most is None or value <= most)
        if not kept:
            self.missed.append(f"{what}: {value:.4g}, promised {f'>= {least}' if least is not None else f'<= {most}'}")
        return "yes" if kept else "**no**"

    def text(self):
        lines = ["| | nn-meter 2.0 | this | |", "|---|---|---|---|"]
        lines += ["| " + " | ".join(map(str, row)) + " |" for row in self.summary] + [""]
        for title, text, header, rows in self.sections:
            lines += [
                f"## {title}",
                "",
                textwrap.fill(text, 118),
                "",
                "| " + " | ".join(header) + " |",
                "|" + "---|" * len(header),
            ]
            lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows] + [""]
        return "\n".join(lines)


def milliseconds(seconds):
    return f"{seconds * 1e3:,.1f} ms" if seconds < 1 else f"{seconds:,.2f} s"


def short(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:,.3g}"


def whole_process(table, own, reference, models, repeats):
    rows = []
    for path in models:
        for predictor in (LEGACY, DEVICE) if reference else (DEVICE,):
            seconds, peak = repeat(own.predict_command(predictor, path), own.environment, 5 * repeats)
            row = [path.stem, predictor, milliseconds(seconds), f"{peak:.1f} MiB"]
            if reference and predictor == LEGACY:
                old_seconds, old_peak = repeat(reference.predict_command(path), reference.environment, repeats)
                faster, leaner = old_seconds / seconds, old_peak / peak
                row += [milliseconds(old_seconds), f"{old_peak:.0f} MiB", f"{short(faster)}x", f"1/{short(leaner)}"]
                if path == models[0]:
                    what = f"one ONNX file ({path.stem}), whole process"
                    before = f"{milliseconds(old_seconds)}, {old_peak:.0f} MiB"
                    now = f"{milliseconds(seconds)}, {peak:.1f} MiB"
                    table.summary.append([what, before, now, f"{short(faster)}x, 1/{short(leaner)} of the memory"])
                kept = table.bound(f"whole process, {path.stem}: times faster", faster, least=300)
                lean = table.bound(f"whole process, {path.stem}: times less memory", leaner, least=20)
                row.append(kept if kept == lean else "**no**")
            else:
                row += ["", "", "", "", ""]
            rows.append(row)
    table.section(
        "One ONNX file, whole process",
        "Start, load the predictor, read the model, predict, print, end. Median of repeated runs; peak memory. "
        "Promised: 300 times faster, 1/20 of the memory.",
        ["model", "predictor", "time", "memory", "nn-meter 2.0", "its memory", "faster", "memory", "kept"],
        rows,
    )


def inside_process(table, own, reference, models, repeats):
    rows = []
    own_device = own.in_process(DEVICE, 200, models)
    if reference:
        own_legacy = own.in_process(LEGACY, 200, models)
        old = reference.in_process(repeats * 2, models)
    for index, path in enumerate(models):
        device_ms = own_device[index]["total_ms"]["median"]
        row = [path.stem, f"{device_ms:.3f} ms"]
        if reference:
            new, before = own_legacy[index], old[index]
            if "error" in before:
                sys.exit(f"nn-meter 2.0 on {path}: {before['error']}")
            difference = abs(new["latency_ms"] / before["latency_ms"] - 1)
            table.bound(f"{path.stem}: relative difference of the two latencies", difference, most=1e-8)
            faster = before["total_ms"]["median"] / new["total_ms"]["median"]
            row += [
                f"{new['total_ms']['median']:.3f} ms",
                f"{before['total_ms']['median']:.1f} ms",
                f"{short(faster)}x",
            ]
            row += [f"{difference:.0e}" if difference else "0"]
            if path == models[-1]:
                before_ms, new_ms = before["total_ms"]["median"], new["total_ms"]["median"]
                what = f"file to milliseconds in process, {SIDE_BY_SIDE_NODES} nodes"
                table.summary.append([what, f"{before_ms:.1f} ms", f"{new_ms:.3f} ms", f"{short(faster)}x"])
            row += [table.bound(f"in process, {path.stem}: times faster", faster, least=300)]
        else:
            row += [""] * 5
        rows.append(row)
    table.section(
        "From file to milliseconds, in process",
        "The predictor is loaded; each repetition opens the file anew. Median processor time. Promised: 300 times "
        f"faster with the same predictor ({LEGACY}). The two tools' latencies must agree.",
        ["model", DEVICE, LEGACY, "nn-meter 2.0, " + LEGACY, "faster", "relative difference", "kept"],
        rows,
    )


def one_kernel(table, own, models):
    rows = []
    for found in in_process([own.kernel_program, "1001", *models], own.environment):
        name, microseconds = found["predictor"], found["median_us"]
        kept = table.bound(f"{name}: microseconds per distinct kernel", microseconds, most=5)
        rows.append([name, f"{found['bytes'] / 2**20:.2f} MiB", found["kernels"], f"{microseconds:.2f} µs", kept])
    table.section(
        "One kernel",
        "From features to milliseconds, the distinct kernels of the models in turn, median processor time. Promised: 5 µs.",
        ["predictor", "weights", "kernels", "time per kernel", "kept"],
        rows,
    )


def folder(table, own, reference, models, temporary):
    rows = []

    def fill(name, count):
        target = temporary / name
        target.mkdir()
        for number in range(count):
            source = models[number % len(models)]
            shutil.copyfile(source, target / f"{source.stem}_{number}.onnx")
        return target

    many = fill("many", FOLDER_MODELS)
    rate = {}
    for predictor in (DEVICE, LEGACY) if reference else (DEVICE,):
        command = own.predict_command(predictor, many, "--jobs", "1", "--jsonl")
        seconds, peak = repeat(["taskset", "-c", "0", *command], own.environment, 3)
        rate[predictor] = FOLDER_MODELS / seconds
        kept = table.bound(f"folder, {predictor}: models/s", rate[predictor], least=1_500)
        rows.append([f"this, {predictor}", FOLDER_MODELS, f"{rate[predictor]:,.0f}", f"{peak:.0f} MiB", "", kept])
    if reference:
        some = fill("some", 30)
        seconds, peak = run(reference.predict_command(some), reference.environment)
        old = 30 / seconds
        rows.append(
            [f"nn-meter 2.0, {LEGACY}", 30, f"{old:,.1f}", f"{peak:.0f} MiB", f"1/{short(rate[LEGACY] / old)}", ""]
        )
    table.section(
        "A folder, one core",
        "Whole process, start and end included, the bundled models and a chain of 150 nodes in turn. Promised: "
        "1,500 models a second.",
        ["tool", "models", "models/s", "memory", "of our rate", "kept"],
        rows,
    )


def growth(table, own, temporary):
    rows, per_node = [], []
    for count in NODE_COUNTS:
        model = residual_chain(count)
        path = temporary / f"chain{count}.onnx"
        path.write_bytes(model.SerializeToString())
        nodes = len(model.graph.node)
        result = own.in_process(DEVICE, max(5, min(200, 200_000 // count)), [path])[0]
        spans = [result[f"{span}_ms"]["min"] for span in ("read", "shapes", "predict", "total")]
        per_node.append(spans[-1] * 1e3 / nodes)
        rows.append(
            [
                f"{nodes:,}",
                *(f"{span:,.3f}" for span in spans),
                f"{per_node[-1]:.3f}",
                f"{result['peak_kib'] / 1024:.0f}",
            ]
        )
    table.bound("growth: time per node at 100,000 nodes against the best", per_node[-1] / min(per_node), most=2.5)
    table.section(
        "Cost against graph size",
        f"Residual chains, {DEVICE}, in process, least processor time of repeated runs, milliseconds. Promised: linear: "
        "the last column but one stays about level (at most 2.5 times the best: caches overflow).",
        ["nodes", "read", "shapes", "kernels and latency", "total", "µs per node", "peak MiB"],
        rows,
    )


def format_files(own, temporary, node_count):
    """{format: (path, nodes, bytes)} of the residual chain of about node_count nodes, without weights."""
    made = {}
    for name, make, file in (
        ("ONNX", formats.onnx_chain, "chain.onnx"),
        ("TensorFlow frozen graph", formats.frozen_chain, "chain.pb"),
        ("TensorFlow SavedModel", formats.saved_model_chain, "saved_model.pb"),
        ("TFLite", formats.tflite_chain, "chain.tflite"),
        ("NNI IR", formats.nni_chain, "nni.json"),
        ("benchmark graph", formats.benchmark_chain, "graph.json"),
    ):
        path = temporary / f"{node_count}_{file}"
        chain = make(node_count, 16, 56)
        path.write_bytes(chain.content)
        made[name] = (path, chain.nodes, len(chain.content))
    path = temporary / f"{node_count}_ir.json"
    run([own.program, "get_ir", "--onnx", made["ONNX"][0], "--output", path], own.environment)
    made["nn-Meter IR"] = (path, made["ONNX"][1], path.stat().st_size)
    return made


def forget(path):
    """Drops a file from the system's cache. What was just written lies there in pieces of up to 2 MiB, and a look at
    one byte of a mapped piece counts all of it as memory of the process (Linux 6.18)."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def each_format(table, own, temporary):
    """The cost of reading, by format. One process a file, so that each has its own peak of memory."""
    rows, per_mb, small = [], {}, {}
    for name, (path, nodes, _) in format_files(own, temporary, FORMAT_NODES // 10).items():
        small[name] = own.in_process(DEVICE, 100, [path])[0]["read_ms"]["min"] * 1e3 / nodes
    latencies, peak_kib = {}, 0
    for name, (path, nodes, size) in format_files(own, temporary, FORMAT_NODES).items():
        once = own.in_process(DEVICE, 1, [path])[0]  # what a single reading needs, without the holes that others left
        result = own.in_process(DEVICE, 20, [path])[0]
        read_ms = result["read_ms"]["min"]
        peak_kib = peak_kib or once["peak_kib"]  # of ONNX, the first
        per_node = read_ms * 1e3 / nodes
        per_mb[name] = read_ms / (size / 1e6)
        ratio = per_mb[name] / per_mb["ONNX"]
        kept = [
            table.bound(f"{name}: time per MB against ONNX", ratio, most=TIMES_ONNX[path.suffix == ".json"]),
            table.bound(f"{name}: time per node at {nodes:,} against a tenth", per_node / small[name], most=2.5),
            table.bound(f"{name}: peak memory against ONNX", once["peak_kib"] / peak_kib, most=4),
        ]
        if name != "TFLite":  # no batch normalisation, so another network
            latencies[name] = once["latency_ms"]
            table.bound(f"{name}: latency against ONNX", abs(latencies[name] / latencies["ONNX"] - 1), most=1e-6)
        rows.append(
            [
                name,
                f"{nodes:,}",
                f"{size / 1e6:.2f}",
                f"{read_ms:.2f}",
                f"{per_mb[name]:.2f}",
                f"{ratio:.2f}x",
                f"{small[name]:.2f}",
                f"{per_node:.2f}",
                f"{once['peak_kib'] / 1024:.0f}",
                "yes" if kept == ["yes"] * len(kept) else "**no**",
            ]
        )
    table.section(
        "Each format",
        f"The residual chain of about {FORMAT_NODES:,} nodes without weights, read in process, least processor time of "
        "repeated runs; peak memory of a process that reads and predicts it once. TFLite has no batch normalisation, so "
        "its chain is longer; the others get the same latency. Promised: a MB costs at most "
        f"{TIMES_ONNX[False]} times one of ONNX, {TIMES_ONNX[True]} times where it is JSON; a node at most 2.5 times "
        "what it costs in a file of a tenth of the size; the peak is at most 4 times that of ONNX.",
        [
            "format",
            "nodes",
            "MB",
            "read, ms",
            "ms per MB",
            "against ONNX",
            "µs per node, a tenth",
            "µs per node",
            "peak MiB",
            "kept",
        ],  # fmt: skip
        rows,
    )


def weights_in_each_format(table, own, temporary):
    """What weights add to the cost of a file, where a format keeps them in the file."""
    rows, nodes, channels, size = [], 48, 512, 14
    for name, option, make, suffix in (
        ("TensorFlow frozen graph", "--tensorflow", formats.frozen_chain, "pb"),
        ("TFLite", "--tflite", formats.tflite_chain, "tflite"),
    ):
        costs = []
        for filled in (False, True):
            chain = make(nodes, channels, size, filled)
            path = temporary / f"weights_{filled}.{suffix}"
            path.write_bytes(chain.content)
            forget(path)
            command = [own.program, "predict", "--predictor", DEVICE, option, path]
            costs.append((*repeat(command, own.environment, 40), len(chain.content), chain.weight_bytes))
        (bare_seconds, bare_peak, bare_size, _), (seconds, peak, full_size, weight_bytes) = costs
        kept = [
            table.bound(f"{name} with weights: time against its structure alone", seconds / bare_seconds, most=1.5),
            table.bound(f"{name} with weights: MiB more than its structure alone", peak - bare_peak, most=4),
        ]
        rows.append(
            [
                name,
                f"{bare_size / 1e6:.3f} MB",
                milliseconds(bare_seconds),
                f"{bare_peak:.1f} MiB",
                f"{full_size / 1e6:.1f} MB",
                f"{100 * weight_bytes / full_size:.2f} %",
                milliseconds(seconds),
                f"{peak:.1f} MiB",
                "yes" if kept == ["yes", "yes"] else "**no**",
            ]
        )
    table.section(
        "Weights in other formats",
        f"{nodes} nodes of {channels} channels without and with weights, whole process, {DEVICE}. A SavedModel keeps "
        "weights in files that are not looked at, the JSON formats keep none. Promised: as for ONNX below.",
        ["format", "structure", "time", "memory", "with weights", "of it weights", "time", "memory", "kept"],
        rows,
    )


def large_file(table, own, reference, temporary, repeats):
    # 27 blocks of two 512-channel 3x3 convolutions of 9.4 MB each
    nodes, channels, size = 162, 512, 14
    bare, full = temporary / "structure.onnx", temporary / "weights.onnx"
    bare.write_bytes(residual_chain(nodes, channels, size).SerializeToString())
    write_with_weights(residual_chain(nodes, channels, size), full)
    rows, costs = [], []
    for path in (bare, full):
        seconds, peak = repeat(own.predict_command(DEVICE, path), own.environment, 10 * repeats)
        costs.append((seconds, peak))
        row = [f"{path.stat().st_size / 1e6:,.2f} MB", milliseconds(seconds), f"{peak:.1f} MiB"]
        if reference:
            old_seconds, old_peak = run(reference.predict_command(path), reference.environment)
            row += [milliseconds(old_seconds), f"{old_peak:,.0f} MiB"]
            if path == full:
                before = f"{milliseconds(old_seconds)}, {old_peak:,.0f} MiB"
                now = f"{milliseconds(seconds)}, {peak:.1f} MiB"
                table.summary.append(["a file with 510 MB of weights, whole process", before, now, ""])
        else:
            row += ["", ""]
        rows.append(row)
    table.bound("500 MB file: time against its structure alone", costs[1][0] / costs[0][0], most=1.5)
    table.bound("500 MB file: MiB more than its structure alone", costs[1][1] - costs[0][1], most=4)
    table.section(
        "A 500 MB file",
        f"The same {nodes} nodes without and with weights, whole process, {DEVICE} here and {LEGACY} there. Promised: "
        "no more than the structure costs (within half of the time and 4 MiB).",
        ["file", "time", "memory", "nn-meter 2.0", "its memory"],
        rows,
    )


def python_package(table, python, reference, models):
    """The package as its users meet it. python: one that has it."""
    ask = lambda *question: in_process([python, "-P", ROOT / "bench" / "package.py", *question], os.environ)[0]  # noqa: E731
    seconds = min(ask("import")["seconds"] for _ in range(5))
    rows = [["import nn_meter", milliseconds(seconds), table.bound("import: ms", seconds * 1e3, most=50)]]
    if reference:
        old = min(reference.import_seconds() for _ in range(2))
        rows.append(["the same, nn-meter 2.0", f"{milliseconds(old)}, {short(old / seconds)} times as long", ""])
    many = ask("many", *models)
    cores = many["cores"]
    rate, faster = many["models"] / many["1"], many["1"] / many[str(cores)]
    rows.append(["predict_many, one core", f"{rate:,.0f} models/s", ""])
    kept = table.bound(f"predict_many on {cores} cores: times faster", faster, least=1.5) if cores > 1 else ""
    rows.append([f"predict_many, {cores} cores", f"{rate * faster:,.0f} models/s, {faster:.2f} times as many", kept])
    found = ask("search")
    kept = table.bound("search: candidates/s on one core", found["per_second"], least=1_000_000)
    rows.append([f"search, {found['layers']} layers, one core", f"{found['per_second']:,.0f} candidates/s", kept])
    kept = table.bound("search: relative difference to whole networks", found["difference"], most=1e-6)
    rows.append(["the same, sums against whole networks", f"{found['difference']:.0e}", kept])
    rows.append(["the same, making the table", milliseconds(found["table_seconds"]), ""])
    table.section(
        "The Python package",
        "Import in a fresh Python, the least of five; files in turn through predict_many; a space of inverted bottlenecks "
        "with a stem and a head, 2,000,000 candidates drawn at random (bench/package.py). Promised: 50 ms, 1.5 times as fast "
        "on two cores, 1,000,000 candidates a second, sums equal to 1e-6.",
        ["what", "measured", "kept"],
        rows,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--bench-program", type=Path, required=True)
    parser.add_argument("--reference", type=Path, help="virtual environment with nn-meter 2.0")
    parser.add_argument("--python", type=Path, help="a Python that has the package nn_meter; without, it is left out")
    parser.add_argument("--shared", type=Path, default=os.environ.get("NNM_SHARED", ROOT.parent / "shared"))
    parser.add_argument("--repeats", type=int, default=3, help="runs of the old tool per figure")
    parser.add_argument("--write", type=Path, help="write the report to this file")
    options = parser.parse_args()
    global MEASURE
    MEASURE = options.bench_program.resolve().with_name("measure")
    legacy = options.shared / "legacy" / "k8_predictor"
    table = Table()
    with tempfile.TemporaryDirectory() as name:
        temporary = Path(name)
        own = Own(options.program.resolve(), options.bench_program.resolve(), temporary / "home")
        reference, missing = None, []
        if not options.reference:
            missing.append("nn-meter 2.0 could not be installed from PyPI")
        if not legacy.is_dir():
            missing.append(f"no legacy predictor: {legacy} is not there")
        if missing:
            print(f"SKIPPED, the whole side of nn-meter 2.0: {'; '.join(missing)}", file=sys.stderr)
        else:
            (temporary / "old").mkdir()
            reference = Reference(options.reference.resolve(), temporary / "old", legacy.resolve())
            own.import_legacy(legacy.resolve())
        chain = temporary / f"chain{SIDE_BY_SIDE_NODES}.onnx"
        chain.write_bytes(residual_chain(SIDE_BY_SIDE_NODES).SerializeToString())
        models = [*EXAMPLES, chain]
        whole_process(table, own, reference, models, options.repeats)
        inside_process(table, own, reference, models, options.repeats)
        one_kernel(table, own, models)
        folder(table, own, reference, models, temporary)
        growth(table, own, temporary)
        each_format(table, own, temporary)
        weights_in_each_format(table, own, temporary)
        large_file(table, own, reference, temporary, options.repeats)
        if options.python:
            python_package(table, options.python.absolute(), reference, EXAMPLES)
    introduction = (
        "# Benchmark\n\nWritten by `make bench`; both tools in one run on the same machine"
        f" ({os.cpu_count()} cores, Python {sys.version_info.major}.{sys.version_info.minor}).\n"
        "nn-meter 2.0 comes from PyPI into a virtual environment of its own, with the versions of\n"
        "`tools/requirements/nn-meter-2.0.txt`: with current ones it does not start.\n\n"
    )
    report = introduction + table.text()
    print(report)
    if options.write and reference:
        options.write.write_text(report)
    for line in table.missed:
        print(f"MISSED: {line}")
    print("every promise kept" if not table.missed else f"{len(table.missed)} promises missed")
    return bool(table.missed)


if __name__ == "__main__":
    sys.exit(main())
