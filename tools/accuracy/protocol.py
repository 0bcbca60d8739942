#!/usr/bin/env python3
"""How well predictors do where nothing was measured, or little: families left out, and other devices.

usage: protocol.py [--device NAME ...] [--jobs N] [--shared FOLDER] [--build BUILD] [--output figures.json] [--quick]

All figures are on the fifth of the benchmark that nothing else looks at (benchmark.HELD_OUT), everything is learned from the
others. For each device and family: a predictor that never saw the family, then calibrated by ten of its models; and the
shipped predictors calibrated to another device by 10, 30 and 100 models. Models to measure are drawn at random (the mean of
DRAWS draws) or chosen as nn-meter fit --suggest chooses them. Families left out are trained with LEFT_OUT_EPOCHS, fewer than
the shipped predictors are. --quick: other devices only, and fails when a figure is MARGIN below the one in --output.
"""

import argparse
import json
import multiprocessing
import sys
import time
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "train"))

import benchmark  # noqa: E402
from nn_meter import Predictor  # noqa: E402
from nn_meter.fit import calibration, choice, predictor_file, training  # noqa: E402
from nn_meter.fit.interval import Interval  # noqa: E402

DEVICES = ("cortexA76cpu_tflite21", "adreno640gpu_tflite21", "adreno630gpu_tflite21", "myriadvpu_openvino2019r2")
MOVES = (
    ("adreno640gpu_tflite21", "adreno630gpu_tflite21"),
    ("cortexA76cpu_tflite21", "adreno640gpu_tflite21"),
    ("cortexA76cpu_tflite21", "myriadvpu_openvino2019r2"),
    ("adreno640gpu_tflite21", "cortexA76cpu_tflite21"),
)
COUNTS = (10, 30, 100)
DRAWS = 5
POOL = 1500  # models that --suggest may choose from
LEFT_OUT_EPOCHS = 6
MARGIN = 1.0  # percentage points: torch may sum in another order on another processor


class Bench:
    """One device's measurements."""

    def __init__(self, device, options):
        shared = benchmark.shared_folder(options.shared)
        rules = ROOT / "devices" / device / "fusion_rules.json"
        measured = benchmark.read_latencies(shared / "bench" / "latency.csv")[device]
        graphs = shared / "bench" / "graphs.jsonl.xz"
        self.device = device
        self.table = benchmark.kernel_table(graphs, measured, rules, options.build / f"{device}.table.npz")
        self.latencies = np.array([measured[model] for model in self.table.models])
        self.families = np.array(self.table.families)
        folds = np.array([benchmark.fold_of(model) for model in self.table.models])
        self.judged, self.learned = folds == benchmark.HELD_OUT, folds != benchmark.HELD_OUT
        facts = json.loads((ROOT / "devices" / device / "device.json").read_text())
        self.settings = training.Settings(**{**facts["training"], "epochs": LEFT_OUT_EPOCHS})

    def pool(self, mask, count=POOL):
        """Models of the mask, thinned out evenly by a fixed shuffle."""
        return np.sort(np.random.default_rng(0).permutation(np.where(mask)[0])[:count])


def figures(predicted, measured):
    error = np.abs(predicted / measured - 1)
    return {
        "models": len(error),
        "within_5": 100 * float((error <= 0.05).mean()),
        "within_10": 100 * float((error <= 0.1).mean()),
        "median": 100 * float(np.median(error)),
        "bias": 100 * float(np.median(predicted / measured) - 1),
    }


def mean_figures(several):
    return {key: float(np.mean([f[key] for f in several])) for key in several[0]}


def calibrated(loaded, bench, chosen, judged):
    """Figures on the judged models of a predictor (predictor_file.Loaded) calibrated by the chosen ones."""
    state = {name: tensor.clone() for name, tensor in loaded.network.state_dict().items()}
    evidence = training.Evidence(bench.table, bench.latencies, chosen, start=loaded)
    now = training.predict(loaded.network, evidence, chosen)
    calibration.calibrate(loaded.network, evidence, now)
    result = figures(training.predict(loaded.network, evidence, judged), bench.latencies[judged])
    loaded.network.load_state_dict(state)
    return result


def few_shot(loaded, bench, pool, judged, count):
    """{"random": figures, "suggested": figures} after calibration by `count` models of the pool."""
    draws = [np.random.default_rng(seed).permutation(pool)[:count] for seed in range(DRAWS)]
    drawn = [calibrated(loaded, bench, draw, judged) for draw in draws]
    evidence = training.Evidence(bench.table, bench.latencies, pool, start=loaded)
    vectors = choice.gradient_vectors(loaded.network, evidence, pool)
    suggested = pool[choice.choose(vectors, np.arange(len(pool)), count)]
    worst = min(f["within_10"] for f in drawn)
    return {
        "random": mean_figures(drawn) | {"worst_within_10": worst},
        "suggested": calibrated(loaded, bench, suggested, judged),
    }


def left_out(bench, family):
    """Figures for a family that training never saw, and after ten of its models."""
    rest, judged = bench.learned & (bench.families != family), bench.judged & (bench.families == family)
    evidence = training.Evidence(bench.table, bench.latencies, np.where(rest)[0])
    network = training.fit(evidence, bench.settings)
    judged = np.where(judged)[0]
    before = figures(training.predict(network, evidence, judged), bench.latencies[judged])
    loaded = predictor_file.Loaded(network, evidence.mean, evidence.scale, evidence.ramps, evidence.ranges, Interval())
    pool = bench.pool(bench.learned & (bench.families == family))
    return {"before": before, "after_10": few_shot(loaded, bench, pool, judged, 10)}


def moved(source, target, options):
    """{count: few_shot} of the shipped predictor of one device, calibrated to another."""
    bench = Bench(target, options)
    data = Predictor((ROOT / "devices" / source / "predictor.nnmeter").read_bytes()).data
    loaded = predictor_file.read_section(data, bench.table.features, bench.table.types)
    judged, pool = np.where(bench.judged)[0], bench.pool(bench.learned)
    return {str(count): few_shot(loaded, bench, pool, judged, count) for count in COUNTS}


def run(job):
    kind, names, options = job
    began = time.time()
    with training.Reproducible(threads=1):
        if kind == "family":
            result = left_out(Bench(names[0], options), names[1])
        else:
            result = moved(*names, options)
    print(f"{kind} {' '.join(names)}: {time.time() - began:.0f} s {json.dumps(result)}", file=sys.stderr, flush=True)
    return kind, names, result


def collect(jobs, options):
    results = {"left_out": {}, "moved": {}}
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        for kind, names, result in pool.imap_unordered(run, jobs, chunksize=1):
            if kind == "family":
                results["left_out"].setdefault(names[0], {})[names[1]] = result
            else:
                results["moved"][" to ".join(names)] = result
    return results


def check(results, path):
    expected = json.loads(path.read_text())["moved"]
    worse = []
    for name, counts in results["moved"].items():
        for count, kinds in counts.items():
            for kind, found in kinds.items():
                was = expected[name][count][kind]["within_10"]
                if found["within_10"] < was - MARGIN:
                    worse.append(f"{name}, {count} models, {kind}: within 10 % {found['within_10']:.1f}, was {was:.1f}")
    for line in worse:
        print(f"accuracy fell: {line}", file=sys.stderr)
    return 1 if worse else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", action="append", choices=DEVICES)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--shared", help="folder with bench/ (default: beside the repository)")
    parser.add_argument("--build", type=Path, default=ROOT / "build")
    parser.add_argument("--output", type=Path, default=ROOT / "tools" / "accuracy" / "protocol.json")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not (Path(options.shared or ROOT.parent / "shared") / "bench" / "latency.csv").exists():
        print(
            "SKIPPED: no figures for families and devices left out, because the benchmark is not there. docs/accuracy.md says "
            "where it comes from."
        )
        return 0
    if options.quick:
        return check(collect([("move", MOVES[0], options)], options), options.output)
    jobs = [("move", move, options) for move in MOVES if not options.device or move[1] in options.device]
    for device in options.device or DEVICES:
        families = sorted(set(Bench(device, options).families))
        jobs += [("family", (device, family), options) for family in families]
    results = collect(jobs, options)
    options.output.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
