"""Search spaces: sums of a table against whole networks, expectations against draws, and NNI's way to ask."""

import copy
import itertools
import json

import nn_meter
import numpy as np
import onnx
import pytest
import torch
from nn_meter import _core
from nn_meter.search import HardwareLatencyEstimator, LatencyFilter, LatencyTable, Space
from torch import nn

CPU, GPU, VPU = "cortexA76cpu_tflite21", "adreno640gpu_tflite21", "myriadvpu_openvino2019r2"


def inverted(channels_in, channels_out, kernel, stride, expansion):
    """A block of MobileNetV2 as a description."""
    wide = channels_in * expansion
    ops = [["input", [], [1, 1, channels_in]], ["conv", [0], wide, 1, 1, "SAME"], ["relu", [1]]]
    ops += [["dwconv", [2], kernel, stride, "SAME"], ["relu", [3]], ["conv", [4], channels_out, 1, 1, "SAME"]]
    return ops + ([["add", [0, 5]]] if stride == 1 and channels_in == channels_out else [])


def mobile_space(depth=20):
    layers = [[[["input", [], [224, 224, 3]], ["conv", [0], 16, 3, 2, "SAME"], ["relu", [1]]]]]
    channels = 16
    for number in range(depth):
        stride = 2 if number in (2, 6, 10) else 1
        wider = channels * stride
        choices = [inverted(channels, wider, k, stride, e) for k in (3, 5, 7) for e in (3, 6)]
        layers.append(choices + ([None] if stride == 1 else []))
        channels = wider
    head = [["input", [], [7, 7, channels]], ["mean", [0]], ["reshape", [1], [1, channels]], ["fc", [2], 1000]]
    return Space([*layers, [head]], (224, 224, 3))


def conv(channels_in, channels_out, kernel=3):
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, 1, kernel // 2), nn.BatchNorm2d(channels_out), nn.ReLU()
    )


def torch_space():
    """With blocks that are fused away: activations alone, and none at all."""
    return Space(
        [
            [conv(3, 8)],
            [conv(8, 8), conv(8, 8, 5), nn.Identity(), None],
            [nn.ReLU(), conv(8, 8, 1), nn.Conv2d(8, 8, 3)],
            [nn.BatchNorm2d(8), conv(8, 8), nn.Sequential(nn.BatchNorm2d(8), nn.ReLU())],
        ],
        (1, 3, 32, 32),
    )


def whole(space, predictor, candidates):
    predictor = nn_meter.Predictor(predictor)
    return np.array([predictor.predict(space.network(candidate)).latency_ms for candidate in candidates])


@pytest.fixture(scope="module")
def mobile():
    space = mobile_space()
    return space, LatencyTable(space, CPU)


def test_twenty_layers_are_exact(mobile):
    space, table = mobile
    assert space.size > 10**15 and table.is_exact and table.memory == 1
    candidates = space.draw(60, seed=7)
    assert table.latencies(candidates) == pytest.approx(whole(space, CPU, candidates), rel=1e-6)
    assert table.latency(candidates[3]) == table.latencies(candidates)[3]


@pytest.mark.parametrize("device", [CPU, GPU, VPU])
def test_torch_modules_with_fusion_across_borders(device):
    space = torch_space()
    table = LatencyTable(space, device, checked=200)
    every = np.stack(np.meshgrid(*[np.arange(n) for n in space.choices]), -1).reshape(-1, len(space.choices))
    error = np.abs(table.latencies(every) / whole(space, device, every) - 1).max()
    assert error <= 1e-6 and table.is_exact, f"memory {table.memory}, difference {table.difference}"


def test_fusion_across_borders_is_counted():
    """A convolution and an activation as two blocks cost what they cost as one kernel."""
    first = [["input", [], [32, 32, 8]], ["conv", [0], 8, 3, 1, "SAME"]]
    second = [["input", [], [32, 32, 8]], ["relu", [0]]]
    table = LatencyTable(Space([[first], [second]], (32, 32, 8)), CPU)
    together = Space([[[*first, ["relu", [1]]]]], (32, 32, 8))
    assert table.latency([0, 0]) == pytest.approx(whole(together, CPU, [[0]])[0], rel=1e-9)
    alone = [
        LatencyTable(Space([[block]], (32, 32, 8)), CPU).latency([0]) - table.constant_ms for block in (first, second)
    ]
    assert table.latency([0, 0]) < sum(alone) + table.constant_ms


def test_onnx_blocks_as_bytes_files_and_objects(tmp_path):
    from nn_meter.torch_models import onnx_of

    data = onnx_of(conv(8, 8), (1, 8, 16, 16))
    path = tmp_path / "block.onnx"
    path.write_bytes(data)
    space = Space([[data, path, str(path), onnx.load_model_from_string(data)]] * 2, (1, 8, 16, 16))
    latencies = LatencyTable(space, CPU).latencies(space.draw(20))
    assert np.ptp(latencies) == 0
    other_size = Space([[data]], (1, 8, 64, 64))
    assert LatencyTable(other_size, CPU).latency([0]) > latencies[0] / 2, "blocks take the shape of what is in front"


def test_what_was_guessed_is_said(mobile):
    assert mobile[1].notes == tuple(dict.fromkeys(mobile[1].notes))
    odd = [["input", [], [3, 3, 5000]], ["conv", [0], 5000, 11, 1, "SAME"]]
    table = LatencyTable(Space([[odd]], (3, 3, 5000)), CPU)
    assert any("outside the training range" in note for note in table.notes)


def test_a_difference_is_reported_not_hidden(mobile, monkeypatch):
    space, table = mobile
    assert LatencyTable(space, CPU, checked=0).difference is None
    monkeypatch.setattr(table, "costs", table.costs * 1.1)
    monkeypatch.setattr(table, "arrays", (table.arrays[0], table.costs.tobytes(), table.arrays[2]))
    assert table.check(5) == pytest.approx(0.1, rel=0.1)


def test_expected_latency_is_the_mean_and_has_a_gradient(mobile):
    space, table = mobile
    random = np.random.default_rng(3)
    weights = [random.random(n) + 0.1 for n in space.choices]
    parts = [torch.tensor(w / w.sum(), requires_grad=True) for w in weights]
    expected = table.expected(parts)
    drawn = np.stack([random.choice(n, 200_000, p=p.detach().numpy()) for n, p in zip(space.choices, parts)], 1)
    latencies = table.latencies(drawn)
    assert float(expected.detach()) == pytest.approx(latencies.mean(), abs=6 * latencies.std() / 200_000**0.5)
    expected.backward()
    certain = [torch.nn.functional.one_hot(torch.tensor(0), n).double() for n in space.choices]
    assert float(table.expected(certain)) == pytest.approx(table.latency([0] * len(space.layers)), rel=1e-9)
    step = [p.detach().clone() for p in parts]
    step[4][2] += 1e-5
    slope = (float(table.expected(step)) - float(expected.detach())) / 1e-5
    assert float(parts[4].grad[2]) == pytest.approx(slope, rel=1e-4)


@pytest.mark.parametrize(
    ("candidates", "kind"),
    [
        (np.zeros((2, 3), np.int32), ValueError),
        (np.zeros(22, np.int32), ValueError),
        (np.zeros((2, 22)), ValueError),
        (np.full((2, 22), 7), IndexError),
        (np.full((2, 22), -1), IndexError),
    ],
)
def test_wrong_candidates(mobile, candidates, kind):
    with pytest.raises(kind):
        mobile[1].latencies(candidates)


def test_candidates_of_any_integer_type(mobile):
    space, table = mobile
    candidates = space.draw(10)
    for kind in (np.int8, np.uint8, np.int64):
        assert (table.latencies(candidates.astype(kind)) == table.latencies(candidates)).all()
    assert len(table.latencies(candidates[:0])) == 0


@pytest.mark.parametrize(
    ("sizes", "costs", "following", "message"),
    [
        ([], [1.0], [0], "sizes must be"),
        ([[1, 1]], [1.0, 2.0], [0, 0], "more costs"),
        ([[1, 2]], [1.0], [0], "every layer needs"),
        ([[1, 1], [2, 2]], [1.0] * 4, [0] * 4, "end before"),
        ([[1, 1], [1, 1]], [1.0] * 2, [5, 0], "next state"),
        ([[1, 1], [1, 1]], [1.0] * 2, [-1, 0], "next state"),
        ([[0, 1]], [], [], "every layer needs"),
        ([[1, 1]], [1.0], [0, 0], "of equal length"),
    ],
)
def test_the_c_side_checks_its_arrays(sizes, costs, following, message):
    arrays = np.array(sizes, np.int32), np.array(costs, float), np.array(following, np.int32)
    with pytest.raises(ValueError, match=message):
        _core.search_sums(b"\0" * 8, *(array.tobytes() for array in arrays), 0.0)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "needs layers"),
        ([[]], "needs layers"),
        ([[None]], "all descriptions, or all"),
        ([[[["input", [], [8, 8, 3]], ["relu", [0]]], nn.ReLU()]], "all descriptions, or all"),
        ([[[["relu", [0]]]]], "begins with"),
    ],
)
def test_wrong_spaces(layers, message):
    with pytest.raises(nn_meter.Error, match=message):
        LatencyTable(Space(layers, (8, 8, 3)), CPU)


# ------------------------------------------------------------------ NNI's way to ask


class LayerChoice(nn.Module):
    """As NNI's: names, items by name, a label; runs the first."""

    def __init__(self, candidates, label):
        super().__init__()
        self.label, self.names = label, list(candidates)
        for name, module in candidates.items():
            self.add_module(name, module)

    def __getitem__(self, name):
        return getattr(self, name)

    def forward(self, x):
        return self[self.names[0]](x)


def model_with_choices():
    return nn.Sequential(
        conv(3, 8),
        LayerChoice({"small": conv(8, 8), "large": conv(8, 8, 7)}, "kernel"),
        LayerChoice({"plain": conv(8, 16), "deep": nn.Sequential(conv(8, 16), conv(16, 16))}, "depth"),
    )


def test_estimator_of_a_model_with_choices(tmp_path):
    model = model_with_choices()
    estimator = HardwareLatencyEstimator(CPU, model, (1, 3, 32, 32), tmp_path / "table.json")
    predictor = nn_meter.load_latency_predictor(CPU)
    whole = predictor.predict(model, "torch", input_shape=(1, 3, 32, 32))
    assert estimator.export_latency({"kernel": "small", "depth": 0}) == pytest.approx(whole, rel=1e-6)
    chosen = nn.Sequential(model[0], model[1]["large"], model[2]["deep"])
    latency = predictor.predict(chosen, "torch", input_shape=(1, 3, 32, 32))
    assert estimator.export_latency({"kernel": "large", "depth": "deep"}) == pytest.approx(latency, rel=1e-6)
    half = torch.tensor([0.5, 0.5], requires_grad=True)
    expected = estimator.cal_expected_latency({"kernel": half, "depth": [1.0, 0.0]})
    expected.backward()
    assert half.grad[1] > half.grad[0] > 0
    table = json.loads((tmp_path / "table.json").read_text())
    assert table["choices"] == {"kernel": ["small", "large"], "depth": ["plain", "deep"]}
    with pytest.raises(nn_meter.Error, match="choices are called kernel, depth; given: kernel"):
        estimator.export_latency({"kernel": 0})
    with pytest.raises(nn_meter.Error, match="kernel: no candidate huge; there are small, large"):
        estimator.export_latency({"kernel": "huge", "depth": 0})


def activated(channels, kernel):
    return nn.Sequential(nn.Conv2d(channels, channels, kernel, 1, kernel // 2), nn.BatchNorm2d(channels))


class Residual(nn.Module):
    """What is fused across borders: an addition and an activation behind a choice, choices one behind the other, one that does
    nothing, one within another, one that stands in two places."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        inner = LayerChoice({"relu": nn.ReLU(inplace=True), "none": nn.Identity(), "swish": nn.Hardswish()}, "inner")
        self.first = LayerChoice({"k3": activated(8, 3), "none": nn.Identity(), "k5": activated(8, 5)}, "first")
        self.second = LayerChoice(
            {"relu": nn.ReLU(), "none": nn.Identity(), "deep": nn.Sequential(activated(8, 3), inner)}, "second"
        )
        self.third = LayerChoice({"k1": nn.Conv2d(8, 8, 1), "relu": nn.ReLU()}, "third")
        self.twice = nn.ModuleList(
            LayerChoice({"k3": activated(8, 3), "pool": nn.AvgPool2d(3, 1, 1)}, "twice") for _ in range(2)
        )
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = torch.relu(x + self.first(x))
        x = self.third(self.second(x))
        for part in self.twice:
            x = x + part(x)
        return self.head(torch.relu(x))


def with_choices_made(model, chosen):
    """A copy of a model in which each LayerChoice is the module that was chosen."""
    model = copy.deepcopy(model)
    for part in list(model.modules()):
        for key, child in list(part.named_children()):
            if isinstance(child, LayerChoice):
                part.add_module(key, child[child.names[chosen[child.label]]])
    return model


@pytest.fixture(scope="module", params=[CPU, GPU, VPU])
def residual(request):
    model = Residual()
    return model, HardwareLatencyEstimator(request.param, model, (1, 3, 64, 64))


def test_estimator_counts_fusion_across_borders(residual):
    model, estimator = residual
    assert estimator.names["first"] == ["k3", "none", "k5"] and list(estimator.names)[0] == "first"
    assert estimator.is_exact and estimator.difference < 1e-9
    predictor = nn_meter.load_latency_predictor(estimator.predictor.name)
    random = np.random.default_rng(1)
    for _ in range(12):
        chosen = {label: int(random.integers(len(names))) for label, names in estimator.names.items()}
        whole = predictor.predict(with_choices_made(model, chosen), "torch", input_shape=(1, 3, 64, 64))
        assert estimator.export_latency(chosen) == pytest.approx(whole, rel=1e-9)
        certain = {label: torch.eye(len(names))[chosen[label]] for label, names in estimator.names.items()}
        assert float(estimator.cal_expected_latency(certain)) == pytest.approx(whole, rel=1e-6)
    alone = {label: sum(ms) for label, ms in estimator.block_latency_table.items()}
    assert set(alone) == set(estimator.names) and estimator.rest_ms > 0


class Zero(nn.Module):
    def forward(self, x):
        return x * 0.0


class Cell(nn.Module):
    """As in NAS-Bench-201: edges between four nodes, several of which read the same and may compute the same of it."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 1, 1)
        self.edges = nn.ModuleDict()
        for to in range(1, 4):
            for start in range(to):
                choices = {
                    "none": Zero(),
                    "skip": nn.Identity(),
                    "conv": nn.Sequential(nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1), nn.BatchNorm2d(8)),
                    "pool": nn.AvgPool2d(3, 1, 1),
                }
                self.edges[f"{start}to{to}"] = LayerChoice(choices, f"{start}to{to}")

    def forward(self, x):
        nodes = [self.stem(x)]
        for to in range(1, 4):
            nodes.append(torch.stack([self.edges[f"{start}to{to}"](nodes[start]) for start in range(to)]).sum(0))
        return torch.relu(nodes[-1])


def test_order_of_readers_and_what_is_computed_twice_are_as_in_the_export():
    """Which of several readers a layer is fused with hangs on their order; the exporter merges what is the same."""
    model, shape = Cell(), (1, 3, 16, 16)
    estimator = HardwareLatencyEstimator(CPU, model, shape)
    assert estimator.difference < 1e-9
    predictor = nn_meter.load_latency_predictor(CPU)
    random = np.random.default_rng(3)
    fixed = [
        {"0to1": 3, "0to2": 3, "1to2": 3, "0to3": 2, "1to3": 3, "2to3": 3},
        {label: 0 for label in estimator.names},
    ]
    drawn = [{label: int(random.integers(4)) for label in estimator.names} for _ in range(12)]
    for chosen in fixed + drawn:
        whole = predictor.predict(with_choices_made(model, chosen), "torch", input_shape=shape)
        assert estimator.export_latency(chosen) == pytest.approx(whole, rel=1e-9), chosen


def test_expected_latency_is_the_mean(residual):
    """Over all networks, each as probable as its choices are."""
    _, estimator = residual
    random = np.random.default_rng(2)
    probabilities = {label: random.dirichlet(np.ones(len(names))) for label, names in estimator.names.items()}
    mean = 0.0
    for chosen in itertools.product(*(range(len(names)) for names in estimator.names.values())):
        share = np.prod([probabilities[label][i] for label, i in zip(estimator.names, chosen)])
        mean += share * estimator.export_latency(dict(zip(estimator.names, chosen)))
    assert float(estimator.cal_expected_latency(probabilities)) == pytest.approx(mean, rel=1e-9)
    as_tensors = {label: torch.tensor(p, requires_grad=True) for label, p in probabilities.items()}
    estimator.cal_expected_latency(as_tensors).backward()
    gradient = as_tensors["twice"].grad
    step = 1e-3
    shifted = {**probabilities, "twice": probabilities["twice"] + np.array([step, -step])}
    slope = (float(estimator.cal_expected_latency(shifted)) - mean) / step
    assert float(gradient[0] - gradient[1]) == pytest.approx(slope, rel=1e-6)


def test_the_model_stays_as_it_was(residual):
    model, _ = residual
    assert all("forward" not in vars(part) for part in model.modules())
    assert model.training and model(torch.zeros(1, 3, 64, 64)).shape == (1, 10)


class Pair(nn.Module):
    def forward(self, x):
        return x, x


@pytest.mark.parametrize(
    ("candidate", "message"),
    [
        (
            nn.Conv2d(3, 9, 1),
            r"choice it: its candidates give different shapes: a \(1, 8, 32, 32\), b \(1, 9, 32, 32\)",
        ),
        (Pair(), "choice it: its candidates give no single tensor; describe a Space"),
        (nn.Linear(7, 7), "torch cannot trace this Sequential: RuntimeError: .*; describe a Space"),
    ],
)
def test_estimator_of_what_is_no_choice_of_like_blocks(candidate, message):
    with pytest.raises(nn_meter.Error, match=message):
        HardwareLatencyEstimator(
            CPU, nn.Sequential(LayerChoice({"a": nn.Conv2d(3, 8, 1), "b": candidate}, "it")), (1, 3, 32, 32)
        )


def test_estimator_of_a_space(mobile):
    space, table = mobile
    estimator = HardwareLatencyEstimator(CPU, space)
    candidate = space.draw(1)[0]
    architecture = {str(layer): int(choice) for layer, choice in enumerate(candidate)}
    assert estimator.export_latency(architecture) == table.latency(candidate)
    certain = {key: np.eye(n)[architecture[key]] for key, n in zip(architecture, space.choices)}
    assert float(estimator.cal_expected_latency(certain)) == pytest.approx(table.latency(candidate), rel=1e-9)


def test_estimator_without_choices():
    with pytest.raises(nn_meter.Error, match="no LayerChoice ran"):
        HardwareLatencyEstimator(CPU, conv(3, 8), (1, 3, 32, 32))


def test_filter(tmp_path):
    from nn_meter.torch_models import onnx_of

    data = onnx_of(conv(3, 8), (1, 3, 64, 64))
    latency = nn_meter.load_latency_predictor(CPU).predict(data, "onnx")
    model = onnx.load_model_from_string(data)
    assert LatencyFilter(latency * 1.01, CPU)(model) and not LatencyFilter(latency * 0.99, CPU)(model)
    assert LatencyFilter(latency * 0.99, CPU, 1.0, True)(model)
    predictor = nn_meter.load_latency_predictor(CPU)
    assert LatencyFilter(threshold=latency * 1.01, predictor=predictor, model_type="onnx")(data)
