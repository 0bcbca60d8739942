#!/usr/bin/env python3
"""Exports the bundled models: three well-known architectures in plain torch, random weights, then without weights.

usage: export.py [FOLDER]     (default: the folder of this script; needs torch, onnx and onnxscript: `make examples`)

A latency predictor needs the structure of a model and the sizes of its weights, not their values. So each initializer
keeps its name, type and dimensions and loses its bytes, and a model of 45 MB becomes a file of some kilobytes.
"""

import sys
from pathlib import Path

import onnx
import torch
from torch import nn

SEED = 0
# A shape is computed from small integer constants, so those keep their values; anything longer is a weight.
LARGEST_CONSTANT = 64


def convolution(inputs, outputs, kernel=1, stride=1, groups=1, activation=nn.ReLU6):
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    if activation:
        layers.append(activation())
    return nn.Sequential(*layers)


class InvertedResidual(nn.Module):
    """MobileNetV2's block: widen, filter each channel on its own, narrow; add the input where the shapes agree."""

    def __init__(self, inputs, outputs, stride, expansion):
        super().__init__()
        hidden = inputs * expansion
        self.body = nn.Sequential(
            *([convolution(inputs, hidden)] if expansion > 1 else []),
            convolution(hidden, hidden, 3, stride, groups=hidden),
            convolution(hidden, outputs, activation=None),
        )
        self.adds_input = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.body(x) if self.adds_input else self.body(x)


def mobilenet_v2():
    # expansion, channels, blocks, stride of the first block
    stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    layers, channels = [convolution(3, 32, 3, 2)], 32
    for expansion, outputs, blocks, first_stride in stages:
        for block in range(blocks):
            layers.append(InvertedResidual(channels, outputs, first_stride if block == 0 else 1, expansion))
            channels = outputs
    head = [convolution(channels, 1280), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000)]
    return nn.Sequential(*layers, *head)


class BasicBlock(nn.Module):
    """ResNet's block of two 3x3 convolutions beside a shortcut."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.body = nn.Sequential(
            convolution(inputs, outputs, 3, stride, activation=nn.ReLU),
            convolution(outputs, outputs, 3, activation=None),
        )
        changes = stride != 1 or inputs != outputs
        self.shortcut = convolution(inputs, outputs, 1, stride, activation=None) if changes else nn.Identity()
        self.activation = nn.ReLU()

    def forward(self, x):
        return self.activation(self.body(x) + self.shortcut(x))


def resnet18():
    layers, channels = [convolution(3, 64, 7, 2, activation=nn.ReLU), nn.MaxPool2d(3, 2, 1)], 64
    for outputs, stride in [(64, 1), (128, 2), (256, 2), (512, 2)]:
        layers += [BasicBlock(channels, outputs, stride), BasicBlock(outputs, outputs, 1)]
        channels = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


class Fire(nn.Module):
    """SqueezeNet's block: a narrow 1x1 convolution feeding a 1x1 and a 3x3 one side by side."""

    def __init__(self, inputs, squeeze, expand):
        super().__init__()
        self.squeeze = nn.Sequential(nn.Conv2d(inputs, squeeze, 1), nn.ReLU())
        self.point = nn.Sequential(nn.Conv2d(squeeze, expand, 1), nn.ReLU())
        self.area = nn.Sequential(nn.Conv2d(squeeze, expand, 3, padding=1), nn.ReLU())

    def forward(self, x):
        x = self.squeeze(x)
        return torch.cat([self.point(x), self.area(x)], 1)


def squeezenet():
    def pool():
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    return nn.Sequential(
        *(nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool()),
        *(Fire(64, 16, 64), Fire(128, 16, 64), pool()),
        *(Fire(128, 32, 128), Fire(256, 32, 128), pool()),
        *(Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256)),
        *(nn.Conv2d(512, 1000, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )


MODELS = {"mobilenet_v2": mobilenet_v2, "resnet18": resnet18, "squeezenet": squeezenet}


def strip(model):
    """Takes the bytes of every weight away, and what only describes how the model was traced."""
    for tensor in model.graph.initializer:
        size = 1
        for dimension in tensor.dims:
            size *= dimension
        if tensor.data_type == onnx.TensorProto.INT64 and size <= LARGEST_CONSTANT:
            continue
        kept = onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
        tensor.CopyFrom(kept)
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    del model.graph.value_info[:]  # what shape inference finds, a file need not say
    return model


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for name, build in MODELS.items():
        torch.manual_seed(SEED)
        program = torch.onnx.export(
            build().eval(),
            (torch.zeros(1, 3, 224, 224),),
            input_names=["image"],
            output_names=["scores"],
            verbose=False,
        )
        path = folder / f"{name}.onnx"
        path.write_bytes(strip(program.model_proto).SerializeToString(deterministic=True))
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
