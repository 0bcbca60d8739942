"""Networks of torchvision by name: from the library's own graphs, and the same as torchvision's modules where it is there."""

import json
import subprocess
import sys
from pathlib import Path

import nn_meter
import pytest
from nn_meter.ir_converter import model_file_to_graph

CPU = "cortexA76cpu_tflite21"
TOOLS = Path(__file__).resolve().parents[3] / "tools"
# one of each family; the others are compared when they are exported, by make torchvision
FAMILIES = [
    "alexnet",
    "mnasnet0_5",
    "mobilenet_v3_small",
    "resnet18",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "vit_b_32",
]


@pytest.fixture(scope="module")
def predictor():
    return nn_meter.load_latency_predictor(CPU)


def test_by_name(predictor):
    latency = predictor.predict("resnet18", "torch")
    assert (
        latency
        == predictor.predict("resnet18", "torchvision")
        == predictor.predict("resnet18", "torch", apply_nni=True)
    )
    assert latency == nn_meter.Predictor(CPU).predict(nn_meter.Model("resnet18", format="torchvision")).latency_ms
    assert predictor.predict("resnet18", "torch", detail=True).model == "resnet18"


def test_names():
    assert len(nn_meter.TORCHVISION) >= 80 and list(nn_meter.TORCHVISION) == sorted(nn_meter.TORCHVISION)
    assert nn_meter.Model("ResNet18", format="torchvision").name == "resnet18"


def test_input_shape(predictor):
    own = predictor.predict("inception_v3", "torch")
    assert own == predictor.predict("inception_v3", "torch", input_shape=(1, 3, 299, 299))
    assert own == predictor.predict("inception_v3", "torch", input_shape=((1, 3, 299, 299),))
    assert own > 1.5 * predictor.predict("inception_v3", "torch", input_shape=(1, 3, 224, 224))


def test_as_a_graph():
    graph = model_file_to_graph("resnet18", "torch")
    assert sum(node["attr"]["type"] == "Conv" for node in graph.values()) == 20


def test_unknown_name(predictor):
    with pytest.raises(nn_meter.Error, match="did you mean resnet18") as caught:
        predictor.predict("resnet_18", "torch")
    assert (caught.value.status, caught.value.file) == ("not found", "")


def test_neither_torch_nor_torchvision_is_imported(tmp_path):
    code = (
        "import sys, json, nn_meter\n"
        f"ms = nn_meter.load_latency_predictor('{CPU}').predict('resnet18', 'torch')\n"
        "print(json.dumps([ms, sorted({'torch', 'torchvision', 'onnx', 'numpy'} & set(sys.modules))]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    latency, imported = json.loads(done.stdout.splitlines()[-1])  # behind the messages of nn-Meter 2.0
    assert latency > 0 and imported == []


@pytest.fixture(scope="module")
def torchvision():
    pytest.importorskip("torch", reason="torch is not installed")
    sys.path.insert(0, str(TOOLS))
    try:
        from torchvision_import import import_torchvision

        return import_torchvision()
    except ImportError:
        pytest.skip("torchvision is not installed; make torchvision runs this test where it is")
    finally:
        sys.path.remove(str(TOOLS))


@pytest.mark.parametrize(("name", "size"), [(name, 224) for name in FAMILIES] + [("swin_v2_t", 256)])
def test_as_its_module(predictor, torchvision, name, size):
    from nn_meter.torch_models import torchvision_model

    latency = predictor.predict(torchvision_model(name), "torch", input_shape=(1, 3, size, size))
    assert latency == pytest.approx(predictor.predict(name, "torch"), rel=1e-6)


def test_other_sizes_come_from_torchvision(predictor, torchvision):
    """Where the shipped graph is for one size."""
    assert predictor.predict("alexnet", "torch", input_shape=(1, 3, 288, 288)) > predictor.predict("alexnet", "torch")
