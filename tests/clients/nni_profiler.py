"""NNI 3.0's NnMeterProfiler, unmodified, on three model spaces, with whatever nn_meter is installed beside it. Prints JSON.

usage: nni_profiler.py SPACE [FOLDER] [--predictor NAME]
    FOLDER: where to keep every tenth sub-module that the profiler asks about, and three whole networks of the space

What changed under NNI since 2023 is put back first: torch exports through torch.export unless told otherwise, and onnx does
not read a temporary file without a name.
"""

import argparse
import functools
import json
import random
import tempfile
import time
import warnings
from pathlib import Path

import torch
from torch import nn

warnings.filterwarnings("ignore")
torch.onnx.export = functools.partial(torch.onnx.export, dynamo=False)
tempfile.TemporaryFile = tempfile.NamedTemporaryFile

import nn_meter  # noqa: E402
from nni.nas.hub.pytorch import MobileNetV3Space, ProxylessNAS  # noqa: E402
from nni.nas.nn.pytorch import LayerChoice, ModelSpace  # noqa: E402
from nni.nas.profiler.pytorch.nn_meter import NnMeterProfiler  # noqa: E402

DEVICE = "cortexA76cpu_tflite21"
SHAPE = (1, 3, 224, 224)


def conv(channels_in, channels_out, kernel, stride=1):
    padding = kernel // 2
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, stride, padding), nn.BatchNorm2d(channels_out), nn.ReLU()
    )


class Block(ModelSpace):
    def __init__(self, channels, label):
        super().__init__()
        kernels = {str(k): conv(channels, channels, k) for k in (3, 5, 7)}
        self.body = LayerChoice(kernels | {"none": nn.Identity()}, label=label)
        self.last = nn.Conv2d(channels, channels, 3, 1, 1)

    def forward(self, x):
        return torch.relu(x + self.last(self.body(x)))


class ResNet(ModelSpace):
    def __init__(self):
        super().__init__()
        self.stem = conv(3, 32, 7, 2)
        self.blocks = nn.Sequential(*[Block(32, f"block{i}") for i in range(4)])
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 1000))

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)))


SPACES = {
    "proxylessnas": ProxylessNAS,
    "mobilenetv3": lambda: MobileNetV3Space(width_multipliers=1.0, expand_ratios=(3.0, 6.0)),
    "resnet": ResNet,
}


def watch(space, folder):
    """Counts what the profiler asks, how long that takes, and keeps some of it. Where nn-Meter 2.0 stops, the answer is 0 ms."""
    asked = {"count": 0, "seconds": 0.0, "stopped": 0}
    predict = nn_meter.nnMeterPredictor.predict
    stops = Exception if nn_meter.__version__.startswith("2.") else ()

    def watched(self, model, *arguments, **options):
        if folder and asked["count"] % 10 == 0:
            (folder / f"{space}-{asked['count']:05}.onnx").write_bytes(model.SerializeToString())
        began = time.perf_counter()
        try:
            latency = predict(self, model, *arguments, **options)
        except stops:
            asked["stopped"] += 1
            latency = 0.0
        asked["seconds"] += time.perf_counter() - began
        asked["count"] += 1
        return latency

    nn_meter.nnMeterPredictor.predict = watched
    return asked


def keep_networks(name, space, samples, folder):
    """Whole networks as files, as the profiler makes them of sub-modules."""
    for number, sample in enumerate(samples):
        model = space.freeze(sample).eval()
        path = folder / f"{name}-network-{number}.onnx"
        torch.onnx.export(model, torch.randn(SHAPE), path, export_params=False)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("space", choices=SPACES)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--predictor", default=DEVICE)
    arguments = parser.parse_args()
    nn_meter.logger.setLevel("WARNING")
    asked = watch(arguments.space, arguments.folder)
    random.seed(0)
    space = SPACES[arguments.space]()
    simplify = (
        arguments.space == "mobilenetv3"
    )  # else its profiler tries the sizes of kernels that do not change a shape
    began = time.perf_counter()
    profiler = NnMeterProfiler(space, torch.randn(SHAPE), arguments.predictor, simplify_shapes=simplify)
    samples = [{label: mutable.random() for label, mutable in space.simplify().items()} for _ in range(20)]
    latencies = [float(profiler.profile(sample)) for sample in samples]
    whole_seconds = time.perf_counter() - began
    if arguments.folder:
        keep_networks(arguments.space, space, samples[:3], arguments.folder)
    result = {"nn_meter": nn_meter.__version__, "latencies": latencies, "whole_seconds": whole_seconds, **asked}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
