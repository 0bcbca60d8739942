"""More work is not predicted to be faster: over single convolutions of all ordinary sizes, on every built-in device."""

import itertools
import json
import struct

import nn_meter
import pytest
from nn_meter.fit.predictor_file import container

CHANNELS = (16, 32, 64, 128, 256, 512)
SIZES = (7, 14, 28, 56, 112)
WINDOWS = (1, 3, 5, 7)
SLACK = 0.05  # a device may like one shape better than the next smaller one
MOST = 3  # pairs, of 2,316
WORST, WORST_OUTSIDE = 0.15, 0.3  # within the measured range, and outside of it, however little
HEADER, FEATURE = 64, 64  # bytes; a feature's tolerance is its last number (docs/predictor-format.md)

BUILT_IN = [name for name, _, _, origin, _ in nn_meter.predictors() if origin == "built in"]


@pytest.fixture(scope="module")
def models():
    made = {}
    for inputs, outputs, size, window in itertools.product(CHANNELS, CHANNELS, SIZES, WINDOWS):
        ops = [["input", [], [size, size, inputs]], ["conv", [0], outputs, window, 1, "SAME"]]
        line = json.dumps({"id": "conv", "family": "conv", "ops": ops}).encode()
        made[inputs, outputs, size, window] = nn_meter.Model(line, "conv", "benchmark")
    return made


def larger(inputs, outputs, size, window):
    """Twice the channels or the size, or the next larger window."""
    return (
        (2 * inputs, outputs, size, window),
        (inputs, 2 * outputs, size, window),
        (inputs, outputs, 2 * size, window),
        (inputs, outputs, size, window + 2),
    )


def without_tolerance(predictor):
    """The same predictor, for which the measured range ends where it ends."""
    data = bytearray(predictor.data)
    for feature in range(len(nn_meter.FEATURES)):
        struct.pack_into("<f", data, HEADER + FEATURE * feature + FEATURE - 4, 0.0)
    return nn_meter.Predictor(container(predictor.name, predictor.version, "", predictor.rules, bytes(data)))


@pytest.mark.parametrize("device", BUILT_IN)
def test_more_work_takes_no_less_time(device, models):
    predictor = without_tolerance(nn_meter.Predictor(device))
    found = {shape: predictor.predict(model) for shape, model in models.items()}
    pairs = [(found[shape], found[more]) for shape in found for more in larger(*shape) if more in found]
    assert len(pairs) == 2316
    cheaper = [(b.latency_ms / a.latency_ms - 1, min(a.coverage, b.coverage) == 1) for a, b in pairs]
    cheaper = sorted(pair for pair in cheaper if pair[0] < -SLACK)
    assert len(cheaper) <= MOST, cheaper
    assert all(change > -(WORST if measured else WORST_OUTSIDE) for change, measured in cheaper), cheaper
