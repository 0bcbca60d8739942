#!/usr/bin/env python3
"""Trains the shipped predictors from the public measurements: devices/NAME/predictor.nnmeter and its golden rows.

usage: train.py [--device NAME ...] [--typical] [--validate FOLD] [--shared FOLDER] [--build BUILD] [--epochs N] [--threads N]

Needs torch and numpy (tools/requirements/fit.txt) and nn_meter (make python). One fifth of the models (benchmark.fold_of) is
never read here; a twenty-fifth is not learned from either and tells how wide the interval must be. With --validate a
second fifth (1 to 4) is left out too and judged, and nothing is written: that is how settings and fusion rules are chosen. The same seed gives the same file on the same machine.
"""

import argparse
import sys
import time
from pathlib import Path

import benchmark
import numpy as np
import torch
from nn_meter.fit import predictor_file, start, training, trunk
from nn_meter.fit.interval import Interval

ROOT = Path(__file__).resolve().parents[2]
VERSION = "1.0"
GOLDEN_ROWS = 100


def shares(predicted, measured):
    error = np.abs(predicted / measured - 1)
    return (
        f"within 5 % {100 * (error < 0.05).mean():6.2f}  within 10 % {100 * (error < 0.1).mean():6.2f}  "
        f"median {100 * np.median(error):5.2f}  RMS {100 * np.sqrt((error**2).mean()):5.2f}"
    )


def print_families(table, latencies, models, predicted):
    families = np.array(table.families)[models]
    for family in np.unique(families):
        chosen = families == family
        print(f"  {family:20}{chosen.sum():5}  {shares(predicted[chosen], latencies[models[chosen]])}")


def read_device(device, options, shared):
    """(kernel table, milliseconds of each of its models, their folds, rules as a path)"""
    graphs, measured = benchmark.data_of(device, shared)
    rules = ROOT / "devices" / device / "fusion_rules.json"
    table = benchmark.kernel_table(graphs, measured, rules, options.build / f"{device}.table.npz")
    latencies = np.array([measured[model] for model in table.models])
    return table, latencies, np.array([benchmark.fold_of(model) for model in table.models]), rules


def learned_and_aside(table, folds, validate=None):
    """Indices of the models that training learns from, and of those that tell how wide the interval must be."""
    chosen = np.where((folds != benchmark.HELD_OUT) & (folds != validate))[0]
    aside = np.array([benchmark.is_for_interval(table.models[m]) for m in chosen])
    return chosen[~aside], chosen[aside]


def train_device(device, options, shared):
    facts = benchmark.facts_of(device)
    settings = training.Settings(**facts["training"])
    if options.epochs:
        settings.epochs = options.epochs
    table, latencies, folds, rules = read_device(device, options, shared)
    chosen, aside = learned_and_aside(table, folds, options.validate)
    validation = np.where(folds == options.validate)[0] if options.validate else chosen[::4]
    evidence = training.Evidence(table, latencies, chosen)
    began = time.time()

    def report(share, network):
        predicted = training.predict(network, evidence, validation)
        print(
            f"{device} {100 * share:4.0f} % {time.time() - began:5.0f} s  "
            f"{'left out' if options.validate else 'seen'}: {shares(predicted, latencies[validation])}",
            flush=True,
        )

    network = training.fit(evidence, settings, report)
    if options.validate:
        print_families(table, latencies, validation, training.predict(network, evidence, validation))
        return
    card = facts["card"].format(models=len(chosen))
    interval = Interval.of(np.log(latencies[aside] / training.predict(network, evidence, aside)))
    data = predictor_file.network_section(network, evidence, interval)
    path = ROOT / "devices" / device / "predictor.nnmeter"
    path.write_bytes(predictor_file.container(device, VERSION, card, rules.read_bytes(), data))
    golden = ROOT / "tests" / "data" / "network" / f"{device}.json"
    golden.parent.mkdir(parents=True, exist_ok=True)
    golden.write_text(predictor_file.golden_text(network, evidence, GOLDEN_ROWS))
    print(f"{path}: {path.stat().st_size} bytes")


TYPICAL_CARD = """\
The typical one of {phones}: the mean of what they differ in, from networks with one trunk, learned from {blocks:,} blocks on \
each. It is no device, but where the calibration of a phone that nobody has measured starts (docs/fit.md). The interval is that \
of the four phones."""


def train_typical(options, shared):
    """nn_meter.fit's start for phones that nobody has measured."""
    phones = list(benchmark.devices_of("phones"))
    found = [read_device(phone, options, shared) for phone in phones]
    rules = {path.read_bytes() for *_, path in found}
    if len(rules) > 1:
        raise SystemExit(f"{', '.join(phones)}: have different fusion rules, and no typical phone therefore")
    splits = [learned_and_aside(table, folds) for table, _, folds, _ in found]
    evidences = trunk.with_common_inputs(
        [training.Evidence(table, ms, chosen) for (table, ms, *_), (chosen, _) in zip(found, splits, strict=True)]
    )
    settings = training.Settings(**benchmark.facts_of(phones[0])["training"])
    network = trunk.typical(trunk.fit_together(evidences, settings))
    off = [
        np.log(ms[aside] / training.predict(network, evidence, aside))
        for (_, ms, *_), (_, aside), evidence in zip(found, splits, evidences, strict=True)
    ]
    bounds = Interval.of(np.concatenate(off))
    card = TYPICAL_CARD.format(phones=", ".join(phones), blocks=len(evidences[0].training))
    section = predictor_file.network_section(network, evidences[0], bounds)
    data = predictor_file.container(start.TYPICAL_PHONE, VERSION, card, rules.pop(), section)
    path = ROOT / "python" / "nn_meter" / "fit" / start.TYPICAL_PHONE_FILE.name
    path.write_bytes(data)
    print(f"{path}: {path.stat().st_size} bytes")


def main():
    devices = benchmark.devices_of(*benchmark.DATA_SETS)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", action="append", choices=devices)
    parser.add_argument("--typical", action="store_true", help="the typical phone alone, which fit may start from")
    parser.add_argument("--validate", type=int, choices=range(1, benchmark.FOLDS))
    parser.add_argument("--shared", help="folder with bench/ and phones/ (default: beside the repository)")
    parser.add_argument("--build", type=Path, default=ROOT / "build")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    shared = benchmark.shared_folder(options.shared)
    for device in options.device or ([] if options.typical else devices):
        train_device(device, options, shared)
    if options.typical or not (options.device or options.validate):
        train_typical(options, shared)


if __name__ == "__main__":
    sys.exit(main())
