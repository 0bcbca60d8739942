"""Networks with attention on the phones: a block that was measured is inside of the measured range however its file is
written, and what is outside is said, with kernel and quantity. `make hybrids` predicts whole networks (docs/hybrids.md)."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[2]
PHONES = ("pixel1cpu_tflite", "pixel4cpu_tflite", "pixel6cpu_tflite", "xiaomi11cpu_tflite")
TOKENS, CHANNELS, HEADS, KEY, VALUE = 100, 104, 6, 16, 32
ROW = 2 * KEY + VALUE  # a query, a key and a value


def attention_as_measured():
    """A block of attention as the data set of the phones has it, which a converter made for TFLite: channels last."""
    scores, result = [1, HEADS, TOKENS, TOKENS], [1, HEADS, TOKENS, VALUE]
    operators = [
        ["input", [], [TOKENS, CHANNELS]],
        ["layernorm", [0]],
        ["dense", [1], HEADS * ROW],
        ["reshape", [2], [1, TOKENS, HEADS, ROW]],
        ["transpose", [3], [1, HEADS, TOKENS, ROW]],
        ["split", [4], [1, HEADS, TOKENS, KEY]],
        ["split", [4], [1, HEADS, TOKENS, KEY]],
        ["split", [4], [1, HEADS, TOKENS, VALUE]],
        ["bmm", [5, 6], scores],
        ["mul_const", [8]],
        ["add_const", [9]],
        ["softmax", [10]],
        ["bmm", [11, 7], result],
        ["transpose", [12], [1, TOKENS, HEADS, VALUE]],
        ["reshape", [13], [1, TOKENS, HEADS * VALUE]],
        ["hswish", [14]],
        ["dense", [15], CHANNELS],
    ]
    return json.dumps({"id": "attention", "family": "transattn", "ops": operators})


class Writer:
    """An ONNX graph, written operator by operator; every operator has one name for itself and its result."""

    def __init__(self):
        self.nodes, self.weights = [], []

    def weight(self, name, *dims):
        values = numpy.random.default_rng(1).random(dims, numpy.float32)
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def integers(self, name, *values):
        self.weights.append(numpy_helper.from_array(numpy.array(values, numpy.int64), name))
        return name

    def add(self, kind, name, *inputs, outputs=None, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, outputs or [name], name=name, **attributes))
        return name

    def save(self, path, result, *dims):
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)],
            [helper.make_tensor_value_info(result, TensorProto.FLOAT, None)],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
        onnx.save(model, path)
        return path


def write_attention(path, spelling, tokens=TOKENS):
    """The same block in ONNX. spelling: "plain", as one writes it; "guarded", with scales on both sides and torch's guard
    against rows all masked, and a reshape behind the product, as torch's older exporter does it; "folded", with the keys
    transposed as matrices of a stack in three dimensions, as the newer one does it."""
    w = Writer()
    w.add("LayerNormalization", "norm", "x", w.weight("gamma", CHANNELS), w.weight("beta", CHANNELS), axis=-1)
    w.add("MatMul", "qkv", "norm", w.weight("w1", CHANNELS, HEADS * ROW))
    w.add("Reshape", "rows", "qkv", w.integers("s1", 1, tokens, HEADS, ROW))
    w.add("Transpose", "heads", "rows", perm=[0, 2, 1, 3])
    w.add("Split", "parts", "heads", w.integers("s2", KEY, KEY, VALUE), outputs=["q", "k", "v"], axis=-1)
    queries = "q"
    if spelling == "folded":
        w.add("Reshape", "stack", "k", w.integers("s3", HEADS, tokens, KEY))
        w.add("Transpose", "turned", "stack", perm=[0, 2, 1])
        w.add("Reshape", "keys", "turned", w.integers("s4", 1, HEADS, KEY, tokens))
    else:
        w.add("Transpose", "keys", "k", perm=[0, 1, 3, 2])
    keys = "keys"
    if spelling != "plain":
        queries = w.add("Mul", "scaled_q", "q", w.weight("scale1", 1))
        keys = w.add("Mul", "scaled_k", "keys", w.weight("scale2", 1))
    scores = w.add("MatMul", "scores", queries, keys)
    if spelling == "plain":
        scores = w.add("Mul", "scaled", "scores", w.weight("scale", 1))
    w.add("Add", "biased", scores, w.weight("bias", 1, HEADS, tokens, tokens))
    shares = w.add("Softmax", "shares", "biased", axis=-1)
    if spelling == "guarded":
        w.add("IsNaN", "nan", "shares")
        shares = w.add("Where", "kept", "nan", w.weight("zero", 1), "shares")
    result = w.add("MatMul", "mixed", shares, "v")
    if spelling == "guarded":
        result = w.add("Reshape", "again", "mixed", w.integers("s5", 1, HEADS, tokens, VALUE))
    w.add("Transpose", "back", result, perm=[0, 2, 1, 3])
    w.add("Reshape", "joined", "back", w.integers("s6", 1, tokens, HEADS * VALUE))
    w.add("HardSwish", "activated", "joined")
    w.add("MatMul", "y", "activated", w.weight("w2", HEADS * VALUE, CHANNELS))
    return w.save(path, "y", 1, tokens, CHANNELS)


def run(nn_meter, *arguments):
    result = nn_meter(*arguments)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def features_of(nn_meter, path, phone):
    shown = run(nn_meter, "inspect", "--stage=features", "--predictor", phone, "--json", path)
    return [(name, [round(value, 4) for value in row]) for name, row in shown["features"]]


@pytest.fixture
def measured_block(tmp_path):
    path = tmp_path / "attention.json"
    path.write_text(attention_as_measured(), encoding="utf-8")
    return path


@pytest.mark.parametrize("spelling", ["plain", "guarded", "folded"])
def test_a_measured_block_is_the_same_through_either_door(nn_meter, tmp_path, measured_block, spelling):
    path = write_attention(tmp_path / "attention.onnx", spelling)
    for phone in PHONES:
        assert features_of(nn_meter, path, phone) == features_of(nn_meter, measured_block, phone)
        (ours,) = run(nn_meter, "predict", "--predictor", phone, "--json", path)["results"]
        (theirs,) = run(nn_meter, "predict", "--predictor", phone, "--json", measured_block)["results"]
        assert math.isclose(ours["latency_ms"], theirs["latency_ms"], rel_tol=1e-6)
        assert ours["coverage"] == theirs["coverage"] == 1
        assert not ours["notes"]


def test_what_is_outside_is_named(nn_meter, tmp_path):
    """Four times as many tokens as in any block, in front of an operator that no block has."""
    path = write_attention(tmp_path / "long.onnx", "plain", tokens=1600)
    for phone in PHONES:
        (result,) = run(nn_meter, "predict", "--predictor", phone, "--breakdown", "--json", path)["results"]
        outside = sum(kernel["latency_ms"] for kernel in result["kernels"] if not kernel["in_range"])
        assert 0 <= result["coverage"] < 0.9
        assert math.isclose(1 - result["coverage"], outside / result["latency_ms"], abs_tol=1e-6)
        notes = [note for note in result["notes"] if "outside the training range" in note]
        assert any("attention kernel" in note and "above the largest measured" in note for note in notes), notes
        assert any("fc kernel" in note and "above the largest measured" in note for note in notes), notes
        low, high = result["interval_ms"]
        assert low < result["latency_ms"] < high
    strict = nn_meter("predict", "--predictor", PHONES[0], "--strict", path)
    assert strict.returncode == 1 and not strict.stdout.strip()
    assert "--strict" in strict.stderr and "above the largest measured" in strict.stderr


def test_within_the_range_strict_has_nothing_against_it(nn_meter, tmp_path):
    path = write_attention(tmp_path / "attention.onnx", "plain")
    for phone in PHONES:
        assert nn_meter("predict", "--predictor", phone, "--strict", path).returncode == 0


def test_interval_is_wider_outside(nn_meter, tmp_path):
    for phone in PHONES:
        widths = []
        for tokens in (TOKENS, 1600):
            path = write_attention(tmp_path / f"{tokens}.onnx", "plain", tokens=tokens)
            (result,) = run(nn_meter, "predict", "--predictor", phone, "--json", path)["results"]
            low, high = result["interval_ms"]
            widths.append((high - low) / result["latency_ms"])
        assert widths[1] > widths[0]


@pytest.mark.parametrize("network", ["mobilenetv3_small_100", "levit_128s"])
def test_network_of_timm(program, network):
    """One of `make hybrids`: multiply-adds as torch counts them, two exporters, the same latency."""
    python = ROOT / ".venv-hybrids" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{network} of timm: no {python}; `make hybrids` installs it")
    command = [sys.executable, ROOT / "tools" / "hybrids" / "hybrids.py", "--program", program, "--python", python]
    result = subprocess.run([*command, "--only", network], capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stderr
    assert f"| {network} | timm | 224 |" in result.stdout
