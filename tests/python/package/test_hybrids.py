"""Blocks of networks with attention, as one writes them in torch: each is the kernels it is meant to be, from both exporters.

Whole networks of timm and transformers: `make hybrids`, tests/python/test_hybrids.py."""

import collections
import json
import os
import subprocess
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = os.environ.get("NN_METER", str(ROOT / "build" / "nn-meter"))
PHONE = "pixel6cpu_tflite"
SIDE, CHANNELS, HEADS = 14, 64, 4
TOKENS = SIDE * SIDE


class Inverted(nn.Module):
    """An inverted bottleneck with squeeze-and-excite, batch normalisation, hard swish and a layer scale."""

    def __init__(self):
        super().__init__()
        self.widen = nn.Sequential(nn.Conv2d(CHANNELS, 256, 1, bias=False), nn.BatchNorm2d(256), nn.Hardswish())
        self.depthwise = nn.Sequential(
            nn.Conv2d(256, 256, 3, 1, 1, groups=256, bias=False), nn.BatchNorm2d(256), nn.Hardswish()
        )
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(256, 64, 1), nn.ReLU(), nn.Conv2d(64, 256, 1), nn.Hardsigmoid()
        )
        self.narrow = nn.Sequential(nn.Conv2d(256, CHANNELS, 1, bias=False), nn.BatchNorm2d(CHANNELS))
        self.scale = nn.Parameter(torch.rand(CHANNELS, 1, 1))

    def forward(self, x):
        y = self.depthwise(self.widen(x))
        return x + self.scale * self.narrow(y * self.gate(y))


class Biased(nn.Module):
    """Attention as LeViT has it: batch normalisation behind the layers, keys of half the size, a bias for each distance."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(CHANNELS, HEADS * 64, bias=False)
        self.norm = nn.BatchNorm1d(HEADS * 64)
        self.bias = nn.Parameter(torch.rand(HEADS, TOKENS))
        self.register_buffer("distance", torch.randint(TOKENS, (TOKENS, TOKENS)))
        self.out = nn.Sequential(nn.Hardswish(), nn.Linear(HEADS * 32, CHANNELS, bias=False))

    def forward(self, x):
        tokens = self.qkv(x.flatten(2).transpose(1, 2))
        tokens = self.norm(tokens.flatten(0, 1)).reshape_as(tokens).view(1, TOKENS, HEADS, 64)
        q, k, v = tokens.split([16, 16, 32], dim=3)
        q, k, v = q.permute(0, 2, 1, 3), k.permute(0, 2, 3, 1), v.permute(0, 2, 1, 3)
        scores = (q @ k * 0.25 + self.bias[:, self.distance]).softmax(-1)
        return self.out((scores @ v).transpose(1, 2).reshape(1, TOKENS, HEADS * 32))


class Fused(nn.Module):
    """Attention of a vision transformer, by torch's own function, and the layers around it."""

    def __init__(self, causal=False):
        super().__init__()
        self.causal = causal
        self.norm, self.qkv, self.out = nn.LayerNorm(CHANNELS), nn.Linear(CHANNELS, 192), nn.Linear(CHANNELS, CHANNELS)
        self.layers = nn.Sequential(
            nn.LayerNorm(CHANNELS), nn.Linear(CHANNELS, 256), nn.GELU(), nn.Linear(256, CHANNELS)
        )
        self.scale = nn.Parameter(torch.rand(CHANNELS))

    def forward(self, x):
        x = x.flatten(2).transpose(1, 2)
        q, k, v = self.qkv(self.norm(x)).reshape(1, TOKENS, 3, HEADS, 16).permute(2, 0, 3, 1, 4).unbind(0)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.scale * self.out(y.transpose(1, 2).reshape(1, TOKENS, CHANNELS))
        return x + self.layers(x)


class Shifted(nn.Module):
    """Windows of Swin: rolled, cut out, normalised and put back."""

    def __init__(self):
        super().__init__()
        self.norm, self.layer = nn.LayerNorm(CHANNELS), nn.Linear(CHANNELS, CHANNELS)

    def forward(self, x):
        x = torch.roll(self.norm(x.permute(0, 2, 3, 1)), (-3, -3), (1, 2))
        windows = x.view(1, 2, 7, 2, 7, CHANNELS).permute(0, 1, 3, 2, 4, 5).reshape(4, 49, CHANNELS)
        return self.layer(windows)


class Talking(nn.Module):
    """Heads that talk: convolutions over the scores keep the products apart."""

    def __init__(self):
        super().__init__()
        self.before, self.after = nn.Conv2d(HEADS, HEADS, 1), nn.Conv2d(HEADS, HEADS, 1)

    def forward(self, x):
        heads = x.reshape(1, HEADS, 16, TOKENS)
        scores = self.after(self.before(heads.transpose(2, 3) @ heads).softmax(-1))
        return (scores @ heads.transpose(2, 3)).transpose(2, 3).reshape(1, CHANNELS, SIDE, SIDE)


class Pooled(nn.Module):
    """A block without attention where others have it: what pooling changes, scaled for each channel."""

    def __init__(self):
        super().__init__()
        self.pool, self.scale = nn.AvgPool2d(3, 1, 1, count_include_pad=False), nn.Parameter(torch.rand(CHANNELS, 1, 1))

    def forward(self, x):
        return x + self.scale * (self.pool(x) - x)


BLOCKS = {  # block: kernels that it is
    "inverted": (Inverted, "conv-bn hswish dwconv-bn hswish se conv-bn add"),
    "biased": (Biased, "transpose fc-bn split transpose transpose transpose attention transpose hswish fc"),
    "fused": (
        Fused,
        "transpose layernorm fc transpose split attention transpose fc-bn-add layernorm fc gelu fc-add",
    ),
    "shifted": (Shifted, "transpose layernorm split concat split concat transpose fc"),
    "talking": (Talking, "transpose matmul conv softmax conv matmul transpose"),
    "pooled": (Pooled, "avgpool sub mul add"),
}


def kernels_of(path):
    command = [PROGRAM, "inspect", "--stage=kernels", "--predictor", PHONE, "--json", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(result.stdout)["kernels"]


def count(kernels):
    """How often each type occurs; whether a file has a batch normalisation folded already is the exporter's matter."""
    return collections.Counter(kernel["type"].replace("-bn", "") for kernel in kernels)


@pytest.mark.parametrize("exporter", ["dynamo", "ts"])
@pytest.mark.parametrize("block", BLOCKS)
def test_kernels_of_a_block(tmp_path, block, exporter):
    make, names = BLOCKS[block]
    torch.manual_seed(1)
    path = tmp_path / "block.onnx"
    image = torch.rand(1, CHANNELS, SIDE, SIDE)
    torch.onnx.export(make().eval(), (image,), str(path), dynamo=exporter == "dynamo", verbose=False)
    assert count(kernels_of(path)) == collections.Counter(names.replace("-bn", "").split())


def test_causal_attention_is_one_kernel(tmp_path):
    path = tmp_path / "causal.onnx"
    image = torch.rand(1, CHANNELS, SIDE, SIDE)
    torch.onnx.export(Fused(causal=True).eval(), (image,), str(path), dynamo=True, verbose=False)
    found = count(kernels_of(path))
    assert found["attention"] == 1 and not found["matmul"] and not found["softmax"]
