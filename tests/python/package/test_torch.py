"""Modules of torch: exported in memory, without weights, and left as they were."""

import os

import nn_meter
import onnx
import pytest
import torch
from nn_meter.torch_models import onnx_of, traced_onnx
from torch import nn

CPU = "cortexA76cpu_tflite21"


@pytest.fixture(scope="module")
def predictor():
    return nn_meter.load_latency_predictor(CPU)


def small():
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 1))


class Sum(nn.Module):
    def forward(self, a, b):
        return torch.relu(a) + b


class OnlyTraced(nn.Module):
    """Depends on the values of its input: torch.export refuses it, a trace goes through."""

    def forward(self, x):
        return x * 2 if float(x.sum()) >= 0 else x


class OnlyCaptured(nn.Module):
    """An operator that the older exporter has no form for."""

    def forward(self, x):
        return torch.nn.functional.rms_norm(torch.special.logit(x, 1e-6), [x.shape[-1]])


class Neither(nn.Module):
    def forward(self, x):
        raise RuntimeError("the model's own fault")


def test_as_the_exported_file(predictor, tmp_path):
    path = tmp_path / "small.onnx"
    torch.onnx.export(small().eval(), (torch.zeros(1, 3, 64, 64),), path, dynamo=False)
    assert predictor.predict(small(), "torch", input_shape=(1, 3, 64, 64)) == predictor.predict(path, "onnx")


class ClassToken(nn.Module):
    def __init__(self):
        super().__init__()
        self.class_token = nn.Parameter(torch.rand(1, 1, 64))
        self.layer = nn.Linear(64, 64)

    def forward(self, x):
        return self.layer(torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], dim=1))


def test_a_class_token_is_no_input(predictor, tmp_path):
    """Without its weights the file has the token in the place of data; with them it is a weight."""
    path = tmp_path / "token.onnx"
    torch.onnx.export(ClassToken().eval(), (torch.zeros(1, 49, 64),), path, dynamo=False)
    assert predictor.predict(ClassToken(), "torch", input_shape=(1, 49, 64)) == predictor.predict(path, "onnx")


class ComputedConstant(nn.Module):
    """As in torchvision's swin_v2: a part of a weight is set to zero, by a shape that torch takes for a weight itself."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 192)

    def forward(self, x):
        bias = self.layer.bias.clone()
        bias[64:128].zero_()
        return torch.relu(nn.functional.linear(x, self.layer.weight, bias))


def test_a_constant_that_a_shape_follows_from(predictor, tmp_path):
    path = tmp_path / "constant.onnx"
    torch.onnx.export(ComputedConstant().eval(), (torch.zeros(1, 49, 64),), path, dynamo=False)
    with pytest.raises(nn_meter.Error, match="depends on the value of"):  # else this tests nothing
        predictor.predict(traced_onnx(ComputedConstant(), (torch.zeros(1, 49, 64),)), "onnx")
    assert predictor.predict(ComputedConstant(), "torch", input_shape=(1, 49, 64)) == predictor.predict(path, "onnx")


def test_too_many_weights_to_export_their_values(predictor, monkeypatch):
    """Then the other exporter is asked."""
    expected = predictor.predict(ComputedConstant(), "torch", input_shape=(1, 49, 64))
    monkeypatch.setattr("nn_meter.torch_models.MOST_VALUES", 1000)
    assert predictor.predict(ComputedConstant(), "torch", input_shape=(1, 49, 64)) == pytest.approx(expected, rel=0.1)
    monkeypatch.setattr("nn_meter.torch_models._captured", lambda *_: 1 // 0)
    with pytest.raises(
        nn_meter.Error, match="ComputedConstant: ValueError: shapes follow from constants among 0 MB of w"
    ):
        predictor.predict(ComputedConstant(), "torch", input_shape=(1, 49, 64))


def test_the_shape_counts(predictor):
    model = small()
    large = predictor.predict(model, "torch")
    assert large > 4 * predictor.predict(model, "torch", input_shape=(1, 3, 96, 96))
    assert large == predictor.predict(model, "torch", input_shape=(1, 3, 224, 224))


def test_training_mode_hooks_and_files_stay_as_they_were(predictor, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = small().train()
    model[1].eval()
    before = [part.training for part in model.modules()], torch.backends.mha.get_fastpath_enabled()
    predictor.predict(model, "torch", input_shape=(1, 3, 32, 32))
    assert ([part.training for part in model.modules()], torch.backends.mha.get_fastpath_enabled()) == before
    assert os.listdir(tmp_path) == []


def test_weights_are_not_exported():
    model = nn.Linear(2048, 2048)
    assert len(onnx_of(model, (1, 2048))) < 10_000
    program = torch.export.export(model, (torch.zeros(1, 2048),))
    assert len(onnx_of(program, None)) < 20_000


@pytest.mark.parametrize(
    "inputs",
    [
        [(1, 3, 8, 8), (1, 3, 8, 8)],
        ((1, 3, 8, 8), (1, 3, 8, 8)),
        (torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)),
        [torch.zeros(1, 3, 8, 8), (1, 3, 8, 8)],
    ],
)
def test_several_inputs(predictor, inputs):
    report = predictor.predict(Sum(), "torch", input_shape=inputs, detail=True)
    assert [kernel.type for kernel in report.kernels] == ["relu", "add"] or len(report.kernels) == 1


def test_one_tensor_as_input(predictor):
    as_tensor = predictor.predict(small(), "torch", input_shape=torch.zeros(1, 3, 64, 64))
    assert as_tensor == predictor.predict(small(), "torch", input_shape=(1, 3, 64, 64))


def test_exported_program(predictor):
    program = torch.export.export(small().eval(), (torch.zeros(1, 3, 64, 64),))
    expected = predictor.predict(small(), "torch", input_shape=(1, 3, 64, 64))
    assert predictor.predict(program, "torch") == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("model", [OnlyTraced(), OnlyCaptured()])
def test_both_exporters_are_tried(predictor, model, capsys):
    assert predictor.predict(model, "torch", input_shape=(1, 3, 8, 8)) > 0
    output = capsys.readouterr()
    lines = output.out.splitlines()
    assert output.err == "" and all(line.startswith("(nn-Meter) ") for line in lines), (
        "no messages of the exporters' own"
    )
    assert [line for line in lines if "Note: " not in line][1:] == [lines[-1]] and "Predict latency: " in lines[-1]


def test_what_cannot_be_exported_says_why(predictor):
    with pytest.raises(nn_meter.Error, match="torch cannot export this Neither: RuntimeError: the model's own fault"):
        predictor.predict(Neither(), "torch", input_shape=(1, 3, 8, 8))


@pytest.mark.parametrize(("model", "shape"), [(b"resnet18", (1, 3, 8, 8)), (small(), "1x3x8x8"), (small(), ())])
def test_wrong_arguments(predictor, model, shape):
    with pytest.raises(nn_meter.Error, match="neither a torch.nn.Module|is no shape; give"):
        predictor.predict(model, "torch", input_shape=shape)


def test_apply_nni_goes_on_and_says_what_it_does(predictor, capsys):
    expected = predictor.predict(small(), "torch", input_shape=(1, 3, 32, 32))
    capsys.readouterr()
    assert predictor.predict(small(), "torch", input_shape=(1, 3, 32, 32), apply_nni=True) == expected
    assert "NNI is not needed any more" in capsys.readouterr().out


def test_graph_of_a_module():
    graph = nn_meter.model_to_graph(small(), "torch", input_shape=(1, 3, 32, 32))
    assert [entry["attr"]["type"] for entry in graph.values()].count("Conv") == 2


def test_model_proto_without_weights(predictor):
    """As NNI's profiler gives sub-modules: exported with export_params=False, as an object."""
    import io

    buffer = io.BytesIO()
    torch.onnx.export(small(), (torch.zeros(1, 3, 64, 64),), buffer, export_params=False, dynamo=False)
    model = onnx.load_model_from_string(buffer.getvalue())
    assert predictor.predict(model, model_type="onnx") == predictor.predict(
        small(), "torch", input_shape=(1, 3, 64, 64)
    )
