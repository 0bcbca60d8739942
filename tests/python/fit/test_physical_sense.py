"""More work is not predicted to be faster: over single convolutions of all ordinary sizes, on every built-in device."""

import itertools
import json

import nn_meter
import pytest

CHANNELS = (16, 32, 64, 128, 256, 512)
SIZES = (7, 14, 28, 56, 112)
WINDOWS = (1, 3, 5, 7)
SLACK = 0.05  # a device may like one shape better than the next smaller one
MOST = 3  # pairs, of 2,316
WORST, WORST_AT_EDGE = 0.15, 0.3  # the latter for one pair at the most, at the edge of what was measured or beyond

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


@pytest.mark.parametrize("device", BUILT_IN)
def test_more_work_takes_no_less_time(device, models):
    predictor = nn_meter.Predictor(device)
    found = {shape: predictor.predict(model) for shape, model in models.items()}
    pairs = [(found[shape], found[more]) for shape in found for more in larger(*shape) if more in found]
    assert len(pairs) == 2316
    cheaper = sorted(change for change in (b.latency_ms / a.latency_ms - 1 for a, b in pairs) if change < -SLACK)
    assert len(cheaper) <= MOST, cheaper
    assert all(change > -WORST for change in cheaper[1:]) and min(cheaper, default=0) > -WORST_AT_EDGE, cheaper
