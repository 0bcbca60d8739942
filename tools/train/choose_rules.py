#!/usr/bin/env python3
"""Chooses the fusion rules of the shipped predictors by what explains the measurements: devices/NAME/fusion_rules.json.

usage: choose_rules.py [--device NAME ...] [--models N] [--steps N] [--jobs N] [--shared FOLDER] [--write]

Every pair of operators that the fusion rules can tell apart and that stands in some benchmark network is tried the other
way round, and so is MON. Among models of families that training has seen, a network flexible enough explains the
measurements under almost any rules; what tells rules apart is a family that it has not seen. So each rule is judged by the
family whose kernels it changes most: left out, with the rule as it is and the other way round. Where the other way is better by MARGIN, more trainings with other
SEEDS follow, and the rule is changed when each of them is better than the one of the same seed with the rule as it is. After
a change the other rules may say something else: run it again.
The fifth kept for the final tables (benchmark.HELD_OUT) is never read. What was measured is printed, and with --write kept
in device.json, from which the card takes it, with the rules.
"""

import argparse
import json
import lzma
import multiprocessing
import sys
from pathlib import Path

import benchmark
import numpy as np
from nn_meter.fit import training
from nn_meter.fit.kernel_table import TableBuilder

ROOT = Path(__file__).resolve().parents[2]
# Operators by the names of fusion rules: any may be first, only what works element by element may be fused behind it.
SECOND = ("add", "mul", "hswish", "bn", "relu", "hardsigmoid", "elementwise")
FIRST = (
    *("conv", "dwconv", "convtrans", "fc", "gap", "maxpool", "avgpool", "concat", "split", "channelshuffle", "se"),
    *("softmax", "reduce", "transpose", "pad", "reshape"),
    *SECOND,
)
PROBE = 12  # models per family that tell whether a rule makes a difference at all
SEEDS = (0, 1, 2)
MARGIN = 0.5  # percentage points of the mean error
LARGEST_ERROR = 0.5  # larger ones, of logarithms, count as this
BATCH = 64


def with_rule(rules, name, obey):
    """The rules with one of them changed; MON stays last, where people look for it."""
    changed = {key: value for key, value in rules.items() if key != "MON"}
    if name != "MON":
        changed[name] = {"obey": obey}
    changed["MON"] = {"obey": obey} if name == "MON" else rules.get("MON", {"obey": None})
    return changed


def obeyed(rules, name):
    return bool(rules.get(name, {}).get("obey"))


class Sample:
    """Some of the models of each family that one device has latencies of."""

    def __init__(self, device, count, shared):
        measured = benchmark.read_latencies(shared / "bench" / "latency.csv")[device]
        taken = {}
        self.lines, self.latencies, families = [], [], []
        with lzma.open(shared / "bench" / "graphs.jsonl.xz") as file:
            for line in file:
                graph = json.loads(line)
                family = graph["family"]
                unread = benchmark.fold_of(graph["id"]) == benchmark.HELD_OUT or graph["id"] not in measured
                if unread or taken.get(family, 0) == count:
                    continue
                taken[family] = taken.get(family, 0) + 1
                self.lines.append(line)
                self.latencies.append(measured[graph["id"]])
                families.append(family)
        self.latencies, self.families = np.array(self.latencies), np.array(families)

    def table(self, rules, lines=None):
        builder = TableBuilder(json.dumps(rules).encode())
        for line in lines or self.lines:
            builder.add_graph(line)
        return builder.finish()

    def probe(self):
        """The first models of each family."""
        firsts = [np.where(self.families == family)[0][:PROBE] for family in np.unique(self.families)]
        return [self.lines[i] for i in np.concatenate(firsts)]


def kernels_of(table):
    """{model: its kernels, as something to compare}"""
    spans = zip(table.start, table.start[1:])
    rows = [row.tobytes() + bytes([kind]) for row, kind in zip(table.values, table.type_of)]
    return [sorted((rows[table.rows[i]], table.turns[i]) for i in range(*span)) for span in spans]


def most_concerned(before, after, families):
    """The family of which most models get other kernels; "" when none does."""
    concerned = {}
    for old, new, family in zip(before, after, families):
        concerned[family] = concerned.get(family, 0) + len(set(old) ^ set(new)) / len(old)
    family = max(concerned, key=concerned.get)
    return family if concerned[family] else ""


def rules_that_matter(sample, rules):
    """{name of a rule: the family whose kernels it changes most}"""
    lines, concerned = sample.probe(), {}
    table = sample.table(rules, lines)
    before = kernels_of(table)
    for name in [f"BF_{first}_{second}" for first in FIRST for second in SECOND] + ["MON"]:
        other = sample.table(with_rule(rules, name, not obeyed(rules, name)), lines)
        concerned[name] = most_concerned(before, kernels_of(other), table.families)
    return {name: family for name, family in concerned.items() if family}


def error_under(job):
    """Mean |log(predicted / measured)| of a family left out, in percent."""
    sample, rules, family, settings, seed = job
    learned, judged = np.where(sample.families != family)[0], np.where(sample.families == family)[0]
    evidence = training.Evidence(sample.table(rules), sample.latencies, learned)
    settings.seed = seed
    with training.Reproducible(threads=1):
        predicted = training.predict(training.fit(evidence, settings), evidence, judged)
    error = np.abs(np.log(predicted / sample.latencies[judged]))
    return 100 * float(np.minimum(error, LARGEST_ERROR).mean())


def settings_of(device, sample, steps):
    facts = json.loads((ROOT / "devices" / device / "device.json").read_text())
    chosen = training.Settings(**facts["training"])
    chosen.batch = BATCH
    chosen.epochs = max(1, round(steps * BATCH / len(sample.latencies)))
    return chosen


def judge(device, options, pool):
    """What speaks for each rule that matters, as rows for device.json, and the rules that follow."""
    rules = json.loads((ROOT / "devices" / device / "fusion_rules.json").read_text())
    sample = Sample(device, options.models, options.shared)
    concerned = rules_that_matter(sample, rules)
    print(f"{device}: {len(sample.latencies)} models, {len(concerned)} rules make a difference", flush=True)
    settings = settings_of(device, sample, options.steps)
    other = {name: with_rule(rules, name, not obeyed(rules, name)) for name in concerned}
    families = sorted(set(concerned.values()))
    now, otherwise = {family: [] for family in families}, {name: [] for name in concerned}
    doubtful = list(concerned)
    for seed in SEEDS:
        jobs = [(sample, rules, family, settings, seed) for family in families]
        jobs += [(sample, other[name], concerned[name], settings, seed) for name in doubtful]
        for errors, error in zip(
            [now[f] for f in families] + [otherwise[n] for n in doubtful], pool.map(error_under, jobs, 1)
        ):
            errors.append(error)
        doubtful = [name for name in doubtful if np.mean(now[concerned[name]]) - np.mean(otherwise[name]) >= MARGIN]
        families = [family for family in families if family in {concerned[name] for name in doubtful}]
    rows, chosen = [], rules
    for name, family in concerned.items():
        was, present, trial = obeyed(rules, name), now[family], otherwise[name]
        change = name in doubtful and all(new < old for new, old in zip(trial, present, strict=True))
        rows.append(
            {
                "rule": name,
                "obey": was != change,
                "changed": change,
                "family": family,
                "error_obeyed": round(float(np.mean(present if was else trial)), 2),
                "error_ignored": round(float(np.mean(trial if was else present)), 2),
            }
        )
        print(
            f"  {name:20} {'on' if was else 'off':4}{family:14} {present} {trial} {'CHANGED' if change else ''}",
            flush=True,
        )
        if change:
            chosen = with_rule(chosen, name, not was)
    return rows, chosen


def rules_text(rules):
    lines = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in rules.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def write(device, rows, chosen):
    folder = ROOT / "devices" / device
    facts = json.loads((folder / "device.json").read_text())
    facts["rule_evidence"] = rows
    (folder / "device.json").write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
    (folder / "fusion_rules.json").write_text(rules_text(chosen))


def main():
    devices = sorted(path.parent.name for path in (ROOT / "devices").glob("*/device.json"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", action="append", choices=devices)
    parser.add_argument("--models", type=int, default=250, help="of each family (default 250)")
    parser.add_argument("--steps", type=int, default=1200, help="of each training (default 1200)")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--shared", help="folder with bench/ (default: beside the repository)")
    parser.add_argument("--write", action="store_true", help="change devices/NAME")
    options = parser.parse_args()
    options.shared = benchmark.shared_folder(options.shared)
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        for device in options.device or devices:
            rows, chosen = judge(device, options, pool)
            if options.write:
                write(device, rows, chosen)


if __name__ == "__main__":
    sys.exit(main())
