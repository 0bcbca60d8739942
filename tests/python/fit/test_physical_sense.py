"""More work is not predicted to be faster: over single kernels of all ordinary sizes, on every built-in device."""

import itertools
import json
import struct

import nn_meter
import pytest
from nn_meter.fit.predictor_file import container

CHANNELS = (16, 32, 64, 128, 256, 512)
SIZES = (7, 14, 28, 56, 112)
TOKENS = (16, 32, 64, 128, 256, 512)
SLACK = 0.05  # a device may like one shape better than the next smaller one
WORST, WORST_OUTSIDE = 0.15, 0.3  # within the measured range, and outside of it, however little
HEADER, FEATURE = 64, 64  # bytes; a feature's tolerance is its last number (docs/predictor-format.md)

BUILT_IN = [name for name, _, _, origin, _ in nn_meter.predictors() if origin == "built in"]


def conv(inputs, outputs, size, window):
    return [["input", [], [size, size, inputs]], ["conv", [0], outputs, window, 1, "SAME"]]


def depthwise(channels, size, window):
    return [["input", [], [size, size, channels]], ["dwconv", [0], window, 1, "SAME"]]


def dense(tokens, inputs, outputs):
    return [["input", [], [tokens, inputs]], ["dense", [0], outputs]]


def attention(tokens, heads, values):
    """Heads of 16 for queries and keys, of 16 times `values` for the values."""
    width = 16 * values
    part, wide = [1, heads, tokens, 16], [1, heads, tokens, width]
    return [
        ["input", [], [tokens, heads * (32 + width)]],
        ["reshape", [0], [1, tokens, heads, 32 + width]],
        ["transpose", [1], [1, heads, tokens, 32 + width]],
        *(["split", [2], shape] for shape in (part, part, wide)),
        ["bmm", [3, 4], [1, heads, tokens, tokens]],
        ["mul_const", [6]],
        ["add_const", [7]],
        ["softmax", [8]],
        ["bmm", [9, 5], wide],
    ]


def layer_norm(tokens, channels):
    return [["input", [], [tokens, channels]], ["layernorm", [0]]]


def hard_swish(size, channels):
    return [["input", [], [size, size, channels]], ["hswish", [0]]]


def squeeze_excite(size, channels):
    return [
        ["input", [], [size, size, channels]],
        ["mean", [0], "keepdims"],
        ["conv", [1], channels // 4, 1, 1, "SAME", "bias"],
        ["relu", [2]],
        ["conv", [3], channels, 1, 1, "SAME", "bias"],
        ["add_const", [4]],
        ["relu6", [5]],
        ["mul_const", [6]],
        ["mul", [7, 0]],
    ]


# What is tried of each: values of each parameter, and the next larger of one; pairs there are; pairs that may be cheaper.
GRIDS = {
    conv: ((CHANNELS, CHANNELS, SIZES, (1, 3, 5, 7)), 2316, 3),
    depthwise: ((CHANNELS, SIZES, (3, 5, 7)), 207, 0),
    dense: ((TOKENS, CHANNELS, CHANNELS), 540, 0),
    attention: (((16, 32, 64, 128, 256), (1, 2, 4, 8, 16), (1, 2, 4)), 170, 0),
    layer_norm: ((TOKENS, CHANNELS), 60, 0),
    hard_swish: ((SIZES, CHANNELS), 49, 0),
    squeeze_excite: (((7, 14, 28, 56), CHANNELS), 38, 1),
}


@pytest.fixture(scope="module", params=GRIDS, ids=lambda kernel: kernel.__name__)
def grid(request):
    """({place in the grid: model}, pairs, pairs that may be cheaper)"""
    axes, pairs, most = GRIDS[request.param]
    made = {}
    for place in itertools.product(*(range(len(axis)) for axis in axes)):
        ops = request.param(*(axis[i] for axis, i in zip(axes, place, strict=True)))
        line = json.dumps({"id": "kernel", "family": "kernel", "ops": ops}).encode()
        made[place] = nn_meter.Model(line, "kernel", "benchmark")
    return made, pairs, most


def larger(place):
    """Twice the channels, size, tokens or heads, or the next larger window: one parameter at a time."""
    return (place[:i] + (place[i] + 1,) + place[i + 1 :] for i in range(len(place)))


def without_tolerance(predictor):
    """The same predictor, for which the measured range ends where it ends."""
    data = bytearray(predictor.data)
    for feature in range(len(nn_meter.FEATURES)):
        struct.pack_into("<f", data, HEADER + FEATURE * feature + FEATURE - 4, 0.0)
    return nn_meter.Predictor(container(predictor.name, predictor.version, "", predictor.rules, bytes(data)))


@pytest.mark.parametrize("device", BUILT_IN)
def test_more_work_takes_no_less_time(device, grid):
    models, count, most = grid
    predictor = without_tolerance(nn_meter.Predictor(device))
    found = {place: predictor.predict(model) for place, model in models.items()}
    pairs = [(found[place], found[more]) for place in found for more in larger(place) if more in found]
    assert len(pairs) == count
    cheaper = [(b.latency_ms / a.latency_ms - 1, min(a.coverage, b.coverage) == 1) for a, b in pairs]
    cheaper = sorted(pair for pair in cheaper if pair[0] < -SLACK)
    assert len(cheaper) <= most, cheaper
    assert all(change > -(WORST if measured else WORST_OUTSIDE) for change, measured in cheaper), cheaper
