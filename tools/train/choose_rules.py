#!/usr/bin/env python3
"""Chooses the fusion rules of the shipped predictors by what explains the measurements: devices/NAME/fusion_rules.json.

usage: choose_rules.py [--device NAME ...] [--rule NAME ...] [--models N] [--steps N] [--jobs N] [--shared FOLDER] [--write]
       choose_rules.py --device NAME --confirm RULE=yes|no ... --family NAME ...

Every pair of operators that the fusion rules can tell apart and that stands in some measured model is tried the other way
round, and so are MON and the rules that keep a block in its parts. Among models of families that training has seen, a network flexible enough explains the
measurements under almost any rules; what tells rules apart is a family that it has not seen. So each rule is judged by the
two families whose kernels it changes most: left out of a short training, with the rule as it is and the other way round. Where
the other way is better by MARGIN, all families concerned are left out in turn, by trainings from another seed; the rule is
changed when it is better for those two again and for all of them by LEAST_GAIN on average. That is a first choice:
short trainings on few models may misjudge a kernel type that one family alone has. --confirm leaves families out of
trainings on all models, under the device's rules and with the given ones changed; what it says goes into the row's "note".
After a change the other rules may say something else: run it again.

The fifth kept for the final tables (benchmark.HELD_OUT) is never read. What was measured is printed, and with --write kept
in rule_evidence.json, from which the card takes it, with the rules.
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
LEADING = (
    *("conv", "dwconv", "convtrans", "fc", "gap", "maxpool", "avgpool", "concat", "split", "channelshuffle", "se"),
    *("softmax", "reduce", "transpose", "pad", "reshape"),
    *SECOND,
)
BLOCKS = ("BF_matmul_softmax", "BF_gap_conv")  # attention, squeeze-and-excite: one kernel unless a rule says no
PROBE = 12  # models per family that tell whether a rule makes a difference at all
FIRST = 2  # families that a rule is judged by
CONCERNED = 0.05  # share of its kernels that a rule changes in a family for it to be asked
MARGIN = 0.5  # percentage points of the mean error
LEAST_GAIN = 0.25
LONG_EPOCHS = 6  # turns over all models, of the trainings that confirm
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
    return bool(rules.get(name, {"obey": name in BLOCKS}).get("obey"))


class Sample:
    """Some of the models of each family that one device has latencies of; count None: all of them."""

    def __init__(self, device, count, shared):
        graphs, measured = benchmark.data_of(device, shared)
        taken = {}
        self.lines, self.latencies, families = [], [], []
        with lzma.open(graphs) as file:
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


def concerned_families(before, after, families):
    """The families whose models get other kernels, the most concerned first; [] when none is."""
    shares = {}
    for old, new, family in zip(before, after, families, strict=True):
        changed = len(set(old) ^ set(new)) / (len(set(old)) + len(set(new)))
        shares.setdefault(family, []).append(changed)
    means = {family: float(np.mean(values)) for family, values in shares.items()}
    order = sorted(means, key=means.get, reverse=True)
    return [family for family in order if means[family] >= CONCERNED or (family == order[0] and means[family] > 0)]


def rules_that_matter(sample, rules, wanted):
    """{name of a rule: the families whose kernels it changes}. wanted: names; all when there are none."""
    lines, concerned = sample.probe(), {}
    table = sample.table(rules, lines)
    before = kernels_of(table)
    for name in wanted or [f"BF_{first}_{second}" for first in LEADING for second in SECOND] + [*BLOCKS, "MON"]:
        other = sample.table(with_rule(rules, name, not obeyed(rules, name)), lines)
        concerned[name] = concerned_families(before, kernels_of(other), table.families)
    return {name: families for name, families in concerned.items() if families}


def left_out(job):
    """Predicted by measured, of each model of a family left out."""
    sample, rules, family, settings, seed = job
    learned, judged = np.where(sample.families != family)[0], np.where(sample.families == family)[0]
    evidence = training.Evidence(sample.table(rules), sample.latencies, learned)
    settings.seed = seed
    with training.Reproducible(threads=1):
        predicted = training.predict(training.fit(evidence, settings), evidence, judged)
    return predicted / sample.latencies[judged]


def error_under(job):
    """Mean |log(predicted / measured)| of a family left out, in percent."""
    return 100 * float(np.minimum(np.abs(np.log(left_out(job))), LARGEST_ERROR).mean())


def settings_of(device, sample, steps):
    chosen = training.Settings(**benchmark.facts_of(device)["training"])
    chosen.batch = BATCH
    chosen.epochs = max(1, round(steps * BATCH / len(sample.latencies)))
    return chosen


class Trial:
    """Errors of families left out, under the rules as they are and with one of them the other way round."""

    def __init__(self, device, options, pool):
        self.rules = json.loads((ROOT / "devices" / device / "fusion_rules.json").read_text())
        self.sample = Sample(device, options.models, options.shared)
        self.settings = settings_of(device, self.sample, options.steps)
        self.concerned = rules_that_matter(self.sample, self.rules, options.rule)
        self.pool, self.known = pool, {}

    def other(self, name):
        return with_rule(self.rules, name, not obeyed(self.rules, name)) if name else self.rules

    def measure(self, wanted, seed):
        """Errors of [(rule or "", family)] by (rule, family, seed)."""
        wanted = [key for key in dict.fromkeys(wanted) if (*key, seed) not in self.known]
        jobs = [(self.sample, self.other(name), family, self.settings, seed) for name, family in wanted]
        for key, error in zip(wanted, self.pool.map(error_under, jobs, 1), strict=True):
            self.known[(*key, seed)] = error

    def gains(self, name, families, seed):
        """Percentage points that the other way round is better by."""
        wanted = [(which, family) for family in families for which in ("", name)]
        self.measure(wanted, seed)
        return np.array([self.known["", family, seed] - self.known[name, family, seed] for family in families])

    def is_better(self, name):
        families = self.concerned[name]
        if self.gains(name, families[:FIRST], 0).mean() < MARGIN:
            return False
        gains = self.gains(name, families, 1)
        print(f"  {name}, other seed: {dict(zip(families, gains.round(2).tolist(), strict=True))}", flush=True)
        return bool(gains[:FIRST].mean() > 0 and gains.mean() >= LEAST_GAIN)


def judge(device, options, pool):
    """What speaks for each rule that matters, as rows for rule_evidence.json, and the rules that follow."""
    trial = Trial(device, options, pool)
    print(f"{device}: {len(trial.sample.latencies)} models, {len(trial.concerned)} rules make a difference", flush=True)
    judges = {name: families[:FIRST] for name, families in trial.concerned.items()}
    trial.measure(
        [(rule, family) for name, families in judges.items() for family in families for rule in ("", name)], 0
    )
    rows, chosen = [], trial.rules
    for name, families in judges.items():
        was, change = obeyed(trial.rules, name), trial.is_better(name)
        present, other = (np.mean([trial.known[rule, family, 0] for family in families]) for rule in ("", name))
        rows.append(
            {
                "rule": name,
                "obey": was != change,
                "changed": change,
                "family": ", ".join(families),
                "error_obeyed": round(float(present if was else other), 2),
                "error_ignored": round(float(other if was else present), 2),
            }
        )
        print(f"  {json.dumps(rows[-1])}", flush=True)
        if change:
            chosen = with_rule(chosen, name, not was)
    return rows, chosen


def confirm(device, options, pool):
    """Prints how far off, in the median, families are that long trainings on all models left out: under the rules as they
    are, and with those of options.confirm."""
    rules = json.loads((ROOT / "devices" / device / "fusion_rules.json").read_text())
    changed = rules
    for name, _, answer in (text.partition("=") for text in options.confirm):
        changed = with_rule(changed, name, answer == "yes")
    sample = Sample(device, None, options.shared)
    settings = settings_of(device, sample, LONG_EPOCHS * len(sample.latencies) // BATCH)
    jobs = [(sample, tried, family, settings, 0) for family in options.family for tried in (rules, changed)]
    ratios = pool.map(left_out, jobs, 1)
    for i, family in enumerate(options.family):
        now, then = (100 * (np.median(ratio) - 1) for ratio in ratios[2 * i : 2 * i + 2])
        print(f"{device} without {family}: {now:+.1f} %, with {', '.join(options.confirm)}: {then:+.1f} %", flush=True)


def rules_text(rules):
    lines = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in rules.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def write(device, rows, chosen):
    """rule_evidence.json, in which rules that were not tried now keep what was found of them, and fusion_rules.json."""
    folder = ROOT / "devices" / device
    path, tried = folder / "rule_evidence.json", {row["rule"] for row in rows}
    before = json.loads(path.read_text()) if path.exists() else []
    rows = sorted([row for row in before if row["rule"] not in tried] + rows, key=lambda row: row["rule"])
    path.write_text("[\n" + ",\n".join(f"  {json.dumps(row)}" for row in rows) + "\n]\n")
    (folder / "fusion_rules.json").write_text(rules_text(chosen))


def main():
    devices = benchmark.devices_of(*benchmark.DATA_SETS)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", action="append", choices=devices)
    parser.add_argument("--rule", action="append", metavar="NAME", help="try only these, as BF_conv_relu or MON")
    parser.add_argument("--confirm", action="append", metavar="NAME=yes|no", help="long trainings under other rules")
    parser.add_argument("--family", action="append", default=[], help="to be left out of them")
    parser.add_argument("--models", type=int, default=250, help="of each family (default 250)")
    parser.add_argument("--steps", type=int, default=1200, help="of each training (default 1200)")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--shared", help="folder with bench/ and phones/ (default: beside the repository)")
    parser.add_argument("--write", action="store_true", help="change devices/NAME")
    options = parser.parse_args()
    options.shared = benchmark.shared_folder(options.shared)
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        for device in options.device or devices:
            if options.confirm:
                confirm(device, options, pool)
                continue
            rows, chosen = judge(device, options, pool)
            if options.write:
                write(device, rows, chosen)


if __name__ == "__main__":
    sys.exit(main())
