#!/usr/bin/env python3
"""What make bench times of the Python package: run by a Python that has it, one question each time.

usage: package.py import | many MODELS... | search       prints JSON
"""

import json
import logging
import os
import sys
import time

DEVICE = "cortexA76cpu_tflite21"
MANY = 4000
CANDIDATES = 2_000_000
CHECKED = 32
LAYERS = 20


def inverted_bottleneck(channels_in, channels_out, kernel, stride, expansion):
    wide = channels_in * expansion
    ops = [["input", [], [1, 1, channels_in]], ["conv", [0], wide, 1, 1, "SAME"], ["relu", [1]]]
    ops += [["dwconv", [2], kernel, stride, "SAME"], ["relu", [3]], ["conv", [4], channels_out, 1, 1, "SAME"]]
    return ops + ([["add", [0, 5]]] if stride == 1 and channels_in == channels_out else [])


def layers():
    """A stem, LAYERS layers of six choices or seven, a head."""
    found = [[[["input", [], [224, 224, 3]], ["conv", [0], 16, 3, 2, "SAME"], ["relu", [1]]]]]
    channels = 16
    for number in range(LAYERS):
        stride = 2 if number in (2, 6, 10) else 1
        choices = [inverted_bottleneck(channels, channels * stride, k, stride, e) for k in (3, 5, 7) for e in (3, 6)]
        found.append(choices + ([None] if stride == 1 else []))
        channels *= stride
    return [
        *found,
        [[["input", [], [7, 7, channels]], ["mean", [0]], ["reshape", [1], [1, channels]], ["fc", [2], 1000]]],
    ]


def time_import():
    began = time.perf_counter()
    import nn_meter

    return {"seconds": time.perf_counter() - began, "version": nn_meter.__version__}


def time_many(models):
    import nn_meter

    logging.disable()  # standard output is for the answer
    predictor = nn_meter.load_latency_predictor(DEVICE)
    files = [models[i % len(models)] for i in range(MANY)]
    result = {"models": MANY, "cores": len(os.sched_getaffinity(0))}
    for jobs in (1, result["cores"], 1, result["cores"]):
        began = time.perf_counter()
        found = list(predictor.predict_many(files, "onnx", jobs=jobs))
        taken = time.perf_counter() - began
        assert len(found) == MANY
        result[str(jobs)] = min(taken, result.get(str(jobs), taken))
    return result


def time_search():
    import numpy as np
    from nn_meter.search import LatencyTable, Space

    space = Space(layers(), (224, 224, 3))
    began = time.perf_counter()
    table = LatencyTable(space, DEVICE)
    made = time.perf_counter() - began
    candidates = space.draw(CANDIDATES, seed=0)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    taken = []
    for _ in range(3):
        began = time.process_time()
        sums = table.latencies(candidates)
        taken.append(time.process_time() - began)
    assert np.isfinite(sums).all()
    return {
        "layers": LAYERS,
        "table_seconds": made,
        "per_second": CANDIDATES / min(taken),
        "difference": table.difference,
    }


if __name__ == "__main__":
    question, *arguments = sys.argv[1:]
    answers = {"import": time_import, "many": lambda: time_many(arguments), "search": time_search}
    print(json.dumps(answers[question]()))
