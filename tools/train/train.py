#!/usr/bin/env python3
"""Trains the shipped predictors from the public measurements: devices/NAME/predictor.nnmeter and its golden rows.

usage: train.py [--device NAME ...] [--validate FOLD] [--shared FOLDER] [--build BUILD] [--epochs N] [--threads N]

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
from nn_meter.fit import predictor_file, training
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


def train_device(device, options, shared):
    facts = benchmark.facts_of(device)
    settings = training.Settings(**facts["training"])
    if options.epochs:
        settings.epochs = options.epochs
    graphs, measured = benchmark.data_of(device, shared)
    rules = ROOT / "devices" / device / "fusion_rules.json"
    table = benchmark.kernel_table(graphs, measured, rules, options.build / f"{device}.table.npz")
    latencies = np.array([measured[model] for model in table.models])
    folds = np.array([benchmark.fold_of(model) for model in table.models])
    chosen = np.where((folds != benchmark.HELD_OUT) & (folds != options.validate))[0]
    aside = np.array([benchmark.is_for_interval(table.models[m]) for m in chosen])
    chosen, aside = chosen[~aside], chosen[aside]
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


def main():
    devices = benchmark.devices_of(*benchmark.DATA_SETS)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", action="append", choices=devices)
    parser.add_argument("--validate", type=int, choices=range(1, benchmark.FOLDS))
    parser.add_argument("--shared", help="folder with bench/ and phones/ (default: beside the repository)")
    parser.add_argument("--build", type=Path, default=ROOT / "build")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    shared = benchmark.shared_folder(options.shared)
    for device in options.device or devices:
        train_device(device, options, shared)


if __name__ == "__main__":
    sys.exit(main())
