"""The bundled models are what examples/README.md says: small, without weights, and predicted on every device."""

import json
from pathlib import Path

import onnx
import pytest

ROOT = Path(__file__).resolve().parents[2]
MODELS = sorted((ROOT / "examples").glob("*.onnx"))
# Measured on whole networks of these families, and on blocks of mobile ones.
NETWORKS = ["adreno630gpu_tflite21", "adreno640gpu_tflite21", "cortexA76cpu_tflite21", "myriadvpu_openvino2019r2"]
BLOCKS = ["pixel1cpu_tflite", "pixel4cpu_tflite", "pixel6cpu_tflite", "xiaomi11cpu_tflite"]


def test_there_are_models():
    assert {path.stem for path in MODELS} == {"mobilenet_v2", "resnet18", "squeezenet"}


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_holds_no_weights(path):
    assert path.stat().st_size < 100_000
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        assert not tensor.float_data and not tensor.external_data
        assert tensor.data_type == onnx.TensorProto.INT64 or not tensor.raw_data, tensor.name


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_every_device_knows_it(nn_meter, path):
    """Ordinary networks of families that predictors were trained on: nothing may be a guess, and where it is, it is said."""
    result = nn_meter("predict", "--predictor", "all", "--onnx", path, "--json", "--breakdown")
    assert result.returncode == 0, result.stderr
    results = json.loads(result.stdout)["results"]
    assert sorted(entry["predictor"] for entry in results) == NETWORKS + BLOCKS
    for entry in results:
        assert 1 < entry["latency_ms"] < 1000
        if entry["predictor"] in NETWORKS or path.stem == "mobilenet_v2":
            assert entry["coverage"] > 0.9, (entry["predictor"], entry["notes"])
        else:
            assert entry["coverage"] < 0.9 and any("never measured" in note for note in entry["notes"])
        total = sum(kernel["latency_ms"] for kernel in entry["kernels"])
        assert 0 <= entry["latency_ms"] - total < 0.2 * entry["latency_ms"]
