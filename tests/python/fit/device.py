"""A device whose latencies are known: a built-in predictor's, with the noise of a measurement."""

import nn_meter
import numpy as np
from nn_meter.fit import families

START, TRUTH = "adreno640gpu_tflite21", "adreno630gpu_tflite21"
SMALL = ("squeezenet", "mobilenetv1", "nasbench201", "alexnet", "shufflenetv2", "mobilenetv3")
NOISE = 0.01


def measure(sources, seed=0):
    """{name: ms} of {name: nn_meter.Model}."""
    noise, truth = np.random.default_rng(seed), nn_meter.Predictor(TRUTH)
    return {
        name: truth.predict(model).latency_ms * float(np.exp(noise.normal(0, NOISE))) for name, model in sources.items()
    }


def as_models(graphs):
    return {graph["id"]: nn_meter.Model(families.as_line(graph), name=graph["id"]) for graph in graphs}


def write_csv(path, latencies, header="model,latency_ms"):
    path.write_text(header + "\n" + "".join(f"{name},{value}\n" for name, value in latencies.items()))
    return path
