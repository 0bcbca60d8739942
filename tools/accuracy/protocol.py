#!/usr/bin/env python3
"""How well predictors do where nothing was measured, or little: families left out, and other devices.

usage: protocol.py [--device NAME ...] [--jobs N] [--shared FOLDER] [--build BUILD] [--output figures.json]
                   [--only PART ...] [--quick]

All figures are on the fifth of each data set that nothing else looks at (benchmark.HELD_OUT), everything is learned from the
others. For each device and family: a predictor that never saw the family, then calibrated by ten of its models; and the
shipped predictors calibrated to another device by 10, 30 and 100 models. Models to measure are drawn at random (the mean of
DRAWS draws) or chosen as nn-meter fit --suggest chooses them. Families left out are trained with LEFT_OUT_EPOCHS, fewer than
the shipped predictors are; their other models also tell how far beyond the measured range a prediction is still right. Then
for each device: how far single kernels differ when training starts from another seed, and how far the C library and torch
differ. For the phones: how good predictors with one trunk are, and how the typical one of all but one of them does on that
one after few measurements; and whether the measurements drift. And how much an interval must widen outside of the measured range for nine of ten
models of families left out to lie within it, from models that the figures are not made of: interval.DOUBT.

--quick: two other devices and one family; fails when a figure is MARGIN below the one in --output.
"""

import argparse
import hashlib
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
from nn_meter.fit import calibration, choice, interval, predictor_file, training, trunk  # noqa: E402
from nn_meter.fit.reach import Reach  # noqa: E402

DEVICES = tuple(benchmark.devices_of("bench"))
PHONES = tuple(benchmark.devices_of("phones"))
MOVES = (
    ("adreno640gpu_tflite21", "adreno630gpu_tflite21"),
    ("cortexA76cpu_tflite21", "adreno640gpu_tflite21"),
    ("cortexA76cpu_tflite21", "myriadvpu_openvino2019r2"),
    ("adreno640gpu_tflite21", "cortexA76cpu_tflite21"),
    ("pixel4cpu_tflite", "pixel6cpu_tflite"),
    ("pixel4cpu_tflite", "xiaomi11cpu_tflite"),
)
QUICK_MOVES = (MOVES[0], MOVES[4])
COUNTS = (10, 30, 100)
QUICK_FAMILY = ("adreno640gpu_tflite21", "squeezenet")
DRAWS = 5
POOL = 1500  # models that --suggest may choose from
LEFT_OUT_EPOCHS = {"bench": 6, "phones": 15}
TRUNK_EPOCHS = {("phones",): 40, ("bench", "phones"): 8}
TYPICAL_EPOCHS = 20
SLOW = 0.06  # logarithm of measured by predicted
LEAST_JUDGED = 5  # models of a family, for its share to say anything
CARRIED = 0.95  # share of all latency that the kernels carry whose spread is told
COVERED = 0.9
# How far beyond the measured range, as logarithms: inside, up to a factor of 1.1, 1.5, 2.2, and farther.
EXCESS = (0.0, 0.0953, 0.4055, 0.7885)
CARRIES = 0.02  # share of a model's latency from which on a kernel counts
BARELY = 0.25  # what the C library's doubt begins with outside (src/predictors/network.c)
MARGIN = 1.0  # percentage points: torch may sum in another order on another processor
TRAINED_MARGIN = 3.0  # the same after a training, in which that adds up


class Bench:
    """One device's measurements."""

    def __init__(self, device, options):
        shared = benchmark.shared_folder(options.shared)
        rules = ROOT / "devices" / device / "fusion_rules.json"
        graphs, measured = benchmark.data_of(device, shared)
        self.device = device
        self.build = options.build
        self.table = benchmark.kernel_table(graphs, measured, rules, self.build / f"{device}.table.npz")
        self.latencies = np.array([measured[model] for model in self.table.models])
        self.families = np.array(self.table.families)
        folds = np.array([benchmark.fold_of(model) for model in self.table.models])
        self.judged, self.learned = folds == benchmark.HELD_OUT, folds != benchmark.HELD_OUT
        self.for_interval = np.array([benchmark.is_for_interval(model) for model in self.table.models])
        self.rules = rules.read_bytes()
        self.facts = benchmark.facts_of(device)

    def settings(self, **changes):
        return training.Settings(**{**self.facts["training"], **changes})

    def evidence(self):
        """What the shipped predictor learns from."""
        return training.Evidence(self.table, self.latencies, np.where(self.learned & ~self.for_interval)[0])

    def shipped(self):
        return Predictor((ROOT / "devices" / self.device / "predictor.nnmeter").read_bytes())

    def predictor(self, network, evidence, interval=None):
        """The network as the C library has it."""
        data = predictor_file.network_section(network, evidence, interval)
        return Predictor(predictor_file.container(self.device, "1.0", "", self.rules, data))

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
    calibration.calibrate(loaded.network, evidence, now, Reach.of(loaded, bench.rules, evidence))
    result = figures(training.predict(loaded.network, evidence, judged), bench.latencies[judged])
    loaded.network.load_state_dict(state)
    return result


def few_shot(loaded, bench, pool, judged, count):
    """{"random": figures, "suggested": figures} after calibration by `count` models of the pool."""
    draws = [np.random.default_rng(seed).permutation(pool)[:count] for seed in range(DRAWS)]
    drawn = [calibrated(loaded, bench, draw, judged) for draw in draws]
    evidence = training.Evidence(bench.table, bench.latencies, pool, start=loaded)
    reach = Reach.of(loaded, bench.rules, evidence)
    vectors = choice.gradient_vectors(loaded.network, evidence, pool, reach)
    suggested = pool[choice.choose(vectors, np.arange(len(pool)), count)]
    worst = min(f["within_10"] for f in drawn)
    return {
        "random": mean_figures(drawn) | {"worst_within_10": worst},
        "suggested": calibrated(loaded, bench, suggested, judged),
    }


def within(interval, residuals, doubts):
    """Share of models whose log(measured / predicted) lies in the interval, moved out by its doubt times theirs."""
    out = interval.doubt * doubts
    return float(((residuals >= interval.low - out) & (residuals <= interval.high + out)).mean())


def model_doubts(table, rows, doubts, constant):
    """Doubt of each model: the mean of its kernels', each weighted by its share of the latency."""
    return table.totals(rows * doubts, 0) / table.totals(rows, constant)


def doubt_figures(bench, network, evidence, aside, family):
    """(figures of the interval for a family left out, what the doubt would have to be for each of its other models)"""
    bounds = interval.Interval.of(np.log(bench.latencies[aside] / training.predict(network, evidence, aside)))
    rows, doubts, constant = bench.table.estimate(bench.predictor(network, evidence, bounds))
    residuals = np.log(bench.latencies / bench.table.totals(rows, constant))
    doubts = model_doubts(bench.table, rows, doubts, constant)
    judged, others = bench.judged & family, bench.learned & family
    fixed = interval.Interval(bounds.low, bounds.high, 0.0)
    outside = np.maximum(np.maximum(bounds.low - residuals, residuals - bounds.high), 0)[others]
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = np.where(outside > 0, outside / doubts[others], 0)
    found = {
        "covered": 100 * within(bounds, residuals[judged], doubts[judged]),
        "covered_without_doubt": 100 * within(fixed, residuals[judged], doubts[judged]),
        "mean_doubt": float(doubts[judged].mean()),
    }
    return found, needed


def made_by(evidence, settings):
    """A fingerprint of all that a training depends on."""
    table, digest = evidence.table, hashlib.sha256(repr((settings, evidence.training.tolist())).encode())
    for array in (table.values, table.work, table.type_of, table.rows, table.turns, evidence.latencies.numpy()):
        digest.update(np.ascontiguousarray(array))
    for source in ("training.py", "network.py"):
        digest.update((ROOT / "python" / "nn_meter" / "fit" / source).read_bytes())
    return digest.hexdigest()


def excess_figures(bench, network, evidence, models):
    """[[models, share within 10 %] for each of EXCESS]: how far beyond what was measured the farthest kernel of a model lies
    that carries CARRIES of its latency. By the C library's doubt, when nothing outside is tolerated."""
    loose = evidence.ranges.tolerance
    evidence.ranges.tolerance = np.zeros_like(loose)
    rows, doubts, constant = bench.table.estimate(bench.predictor(network, evidence))
    evidence.ranges.tolerance = loose
    table, totals = bench.table, bench.table.totals(rows, constant)
    beyond = np.where(doubts > 0, doubts - BARELY, 0)[table.rows]
    shares = (rows[table.rows] * table.turns) / totals[table.entry_model]
    farthest = np.zeros(len(totals))
    np.maximum.at(farthest, table.entry_model, np.where(shares >= CARRIES, beyond, 0))
    right = np.abs(totals / bench.latencies - 1) <= 0.1
    bins = np.searchsorted(EXCESS, farthest[models], side="left")
    return [[int((bins == i).sum()), float(right[models][bins == i].sum())] for i in range(len(EXCESS) + 1)]


def trained_without(bench, family, evidence):
    """The network that never saw the family. It is kept in the build folder until what it is made by changes: most of the time
    goes into these, and calibration is tried out on them."""
    settings = bench.settings(epochs=LEFT_OUT_EPOCHS[bench.facts["data_set"]])
    kept, key = bench.build / f"{bench.device}.without.{family}.pt", made_by(evidence, settings)
    if kept.exists():
        known = torch.load(kept, weights_only=False)
        if known["made_by"] == key:
            return known["network"]
    network = training.fit(evidence, settings)
    torch.save({"made_by": key, "network": network}, kept)
    return network


def loaded_from(network, evidence):
    """What reading the network's predictor file would give."""
    bounds = interval.Interval()
    return predictor_file.Loaded(network, evidence.mean, evidence.scale, evidence.ramps, evidence.ranges, bounds)


def left_out(bench, family):
    """Figures for a family that training never saw, and after ten of its models."""
    mine = bench.families == family
    rest, judged = bench.learned & ~mine, np.where(bench.judged & mine)[0]
    aside = np.where(rest & bench.for_interval)[0]
    evidence = training.Evidence(bench.table, bench.latencies, np.where(rest & ~bench.for_interval)[0])
    network = trained_without(bench, family, evidence)
    before = figures(training.predict(network, evidence, judged), bench.latencies[judged])
    bounds, needed = doubt_figures(bench, network, evidence, aside, mine)
    loaded = loaded_from(network, evidence)
    pool = bench.pool(bench.learned & mine)
    after = few_shot(loaded, bench, pool, judged, 10)
    beyond = excess_figures(bench, network, evidence, np.where(bench.learned & mine)[0])
    return {"before": before, "interval": bounds, "after_10": after, "beyond": beyond, "needed": needed.tolist()}


def agreement(bench):
    """How far the C library and torch are apart with the shipped predictor, of all models: {"largest", "models"}; and its
    figures on the judged ones."""
    table, shipped = bench.table, bench.shipped()
    rows, _, constant = table.estimate(shipped)
    loaded = predictor_file.read_section(shipped.data, table.features, table.types)
    loaded.network.double()
    same = training.Evidence(table, bench.latencies, np.where(bench.learned & ~bench.for_interval)[0], start=loaded)
    for name in ("values", "work", "constant"):
        setattr(same, name, getattr(same, name).double())
    kernels = loaded.network(same.values, same.work, table.type_of).detach().numpy()
    totals = table.totals(kernels, float(torch.exp(loaded.network.log_constant).detach()))
    ours, judged = table.totals(rows, constant), np.where(bench.judged)[0]
    largest = float(np.abs(ours / totals - 1).max())
    return {**figures(ours[judged], bench.latencies[judged]), "models": len(totals), "largest": largest}


def other_seed(bench):
    """How far kernels of the shipped predictor are from those of one trained from another seed."""
    table = bench.table
    rows, _, _ = table.estimate(bench.shipped())
    evidence = bench.evidence()
    network = training.fit(evidence, bench.settings(seed=1))
    others, _, _ = table.estimate(bench.predictor(network, evidence))
    carried = np.bincount(table.rows, rows[table.rows] * table.turns, len(rows))
    order = np.argsort(-carried)
    most = order[: 1 + np.searchsorted(np.cumsum(carried[order]), CARRIED * carried.sum())]
    spread = 100 * np.abs(rows - others)[most] / ((rows + others)[most] / 2)
    judged = np.where(bench.judged)[0]
    return {
        "kernels": len(most),
        "median_spread": float(np.median(spread)),
        "spread_90": float(np.quantile(spread, 0.9)),
        "other_seed": figures(training.predict(network, evidence, judged), bench.latencies[judged]),
    }


def moved(source, target, options):
    """{count: few_shot} of the shipped predictor of one device, calibrated to another."""
    bench = Bench(target, options)
    data = Predictor((ROOT / "devices" / source / "predictor.nnmeter").read_bytes()).data
    loaded = predictor_file.read_section(data, bench.table.features, bench.table.types)
    judged, pool = np.where(bench.judged)[0], bench.pool(bench.learned)
    return {str(count): few_shot(loaded, bench, pool, judged, count) for count in COUNTS}


def drift(bench):
    """Whether neighbours in the order of the data set, which is that of their measuring, are off alike: {"neighbours":
    correlation of their residuals, "slow": percent of all that were measured more than SLOW above the prediction, "within_5", "within_10": shares of the judged when each is corrected by the median
    residual of the nearest two models before and after it that were learned from, and are of its family}."""
    table = bench.table
    rows, _, constant = table.estimate(bench.shipped())
    predicted = table.totals(rows, constant)
    residuals = np.log(bench.latencies / predicted)
    together = bench.families[1:] == bench.families[:-1]
    correlation = np.corrcoef(residuals[:-1][together], residuals[1:][together])[0, 1]
    learned, judged = np.where(bench.learned)[0], np.where(bench.judged)[0]
    corrected = predicted.copy()
    for model in judged:
        at = np.searchsorted(learned, model)
        near = [other for other in learned[max(0, at - 2) : at + 2] if bench.families[other] == bench.families[model]]
        corrected[model] *= np.exp(np.median(residuals[near])) if near else 1
    slow = 100 * float((residuals > SLOW).mean())
    return {"neighbours": float(correlation), "slow": slow, **figures(corrected[judged], bench.latencies[judged])}


def trained_together(benches, epochs):
    """(networks with one trunk, their training.Evidence)"""
    evidences = trunk.with_common_inputs([bench.evidence() for bench in benches])
    return trunk.fit_together(evidences, benches[-1].settings(epochs=epochs)), evidences


def together(data_sets, options):
    """{device: figures} when the devices of some data sets have one trunk."""
    benches = [Bench(device, options) for device in benchmark.devices_of(*data_sets)]
    results = {}
    for bench, network, evidence in zip(benches, *trained_together(benches, TRUNK_EPOCHS[data_sets]), strict=True):
        judged = np.where(bench.judged)[0]
        results[bench.device] = figures(training.predict(network, evidence, judged), bench.latencies[judged])
    return results


def from_trunk(device, options):
    """{count: few_shot} of the typical one of the other phones, calibrated to this one."""
    networks, evidences = trained_together(
        [Bench(other, options) for other in PHONES if other != device], TYPICAL_EPOCHS
    )
    loaded = loaded_from(trunk.typical(networks), evidences[0])
    bench = Bench(device, options)
    judged, pool = np.where(bench.judged)[0], bench.pool(bench.learned)
    return {str(count): few_shot(loaded, bench, pool, judged, count) for count in COUNTS}


OF_ONE_DEVICE = {"family": left_out, "seed": other_seed, "agreement": agreement, "drift": drift}


def run(job):
    kind, names, options = job
    began = time.time()
    with training.Reproducible(threads=1):
        if kind == "move":
            result = moved(*names, options)
        elif kind == "together":
            result = together(names, options)
        elif kind == "trunk":
            result = from_trunk(*names, options)
        else:
            result = OF_ONE_DEVICE[kind](Bench(names[0], options), *names[1:])
    shown = {name: value for name, value in result.items() if name != "needed"}
    print(f"{kind} {' '.join(names)}: {time.time() - began:.0f} s {json.dumps(shown)}", file=sys.stderr, flush=True)
    return kind, names, result


def needed_doubt(needed):
    """What the doubt must be for COVERED of the models, each family counting the same: {family: what each model needs}.
    None: no factor is enough, because models are off that have no doubt."""
    every = np.concatenate([np.asarray(values) for values in needed.values()])
    weights = np.concatenate([np.full(len(values), 1 / len(values)) for values in needed.values()])
    order = np.argsort(every)
    share = np.cumsum(weights[order]) / weights.sum()
    needed = float(every[order][min(np.searchsorted(share, COVERED), len(order) - 1)])
    return needed if np.isfinite(needed) else None


def collect(jobs, options):
    results = {"left_out": {}, "moved": {}, "seed": {}, "agreement": {}, "drift": {}, "together": {}, "trunk": {}}
    needed = {}
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        for kind, names, result in pool.imap_unordered(run, jobs, chunksize=1):
            if kind == "family":
                needed.setdefault(names[0], {})[names[1]] = result.pop("needed")
                results["left_out"].setdefault(names[0], {})[names[1]] = result
            elif kind == "move":
                results["moved"][" to ".join(names)] = result
            elif kind == "together":
                results["together"][" and ".join(names)] = result
            else:
                results[kind][names[0]] = result
    results["needed_doubt"] = {device: needed_doubt(families) for device, families in needed.items()}
    return results


def compare(what, found, expected, margin):
    """A line when a figure fell, else nothing."""
    fell = found["within_10"] < expected["within_10"] - margin
    return [f"{what}: within 10 % {found['within_10']:.1f}, was {expected['within_10']:.1f}"] if fell else []


def check(results, path):
    expected, worse = json.loads(path.read_text()), []
    for name, counts in results["moved"].items():
        for count, kinds in counts.items():
            for kind, found in kinds.items():
                was = expected["moved"][name][count][kind]
                worse += compare(f"{name}, {count} models, {kind}", found, was, MARGIN)
    for device, families in results["left_out"].items():
        for family, found in families.items():
            was = expected["left_out"][device][family]
            worse += compare(f"{device} without {family}", found["before"], was["before"], TRAINED_MARGIN)
    for line in worse:
        print(f"accuracy fell: {line}", file=sys.stderr)
    return 1 if worse else 0


def all_jobs(options):
    """[(kind, names, options)], the long ones first."""
    wanted = options.device or DEVICES + PHONES
    jobs = [("together", data_sets, options) for data_sets in sorted(TRUNK_EPOCHS) if not options.device]
    jobs += [("trunk", (phone,), options) for phone in PHONES if phone in wanted]
    jobs += [("move", move, options) for move in MOVES if move[1] in wanted]
    for device in wanted:
        bench = Bench(device, options)
        names, counts = np.unique(bench.families[bench.judged], return_counts=True)
        jobs += [("family", (device, str(family)), options) for family in names[counts >= LEAST_JUDGED]]
        jobs += [(kind, (device,), options) for kind in ("seed", "agreement")]
        jobs += [("drift", (device,), options)] if device in PHONES else []
    return [job for job in jobs if not options.only or job[0] in options.only]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", action="append", choices=DEVICES + PHONES)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--shared", help="folder with bench/ and phones/ (default: beside the repository)")
    parser.add_argument("--build", type=Path, default=ROOT / "build")
    parser.add_argument("--output", type=Path, default=ROOT / "tools" / "accuracy" / "protocol.json")
    parser.add_argument(
        "--only", action="append", choices=("move", "together", "trunk", *OF_ONE_DEVICE), help="keep the other figures"
    )
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    shared = Path(options.shared or ROOT.parent / "shared")
    missing = [name for name in benchmark.DATA_SETS if not (shared / name / "latency.csv").exists()]
    if missing:
        print(
            f"SKIPPED: no figures for families and devices left out, because {' and '.join(missing)} of the shared data are not "
            "there. docs/accuracy.md says where they come from."
        )
        return 0
    if options.quick:
        jobs = [("move", move, options) for move in QUICK_MOVES] + [("family", QUICK_FAMILY, options)]
        return check(collect(jobs, options), options.output)
    results = collect(all_jobs(options), options)
    if options.only and options.output.exists():
        before = json.loads(options.output.read_text())
        results = {part: {**before.get(part, {}), **found} for part, found in results.items()}
    options.output.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
