"""The extension: models, kernels, tables and predictors as Python sees them."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nn_meter
import numpy as np
import pytest
from nn_meter.fit.kernel_table import KernelTable, TableBuilder

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = sorted((ROOT / "examples").glob("*.onnx"))
DEVICE = "adreno640gpu_tflite21"


@pytest.fixture(scope="module")
def predictor():
    return nn_meter.Predictor(DEVICE)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_prediction_is_that_of_the_program(nn_meter_fit, predictor, path):
    ours = predictor.predict(nn_meter.Model(path))
    printed = nn_meter_fit("predict", "--json", "--breakdown", "--predictor", DEVICE, path)
    theirs = json.loads(printed.stdout)["results"][0]
    assert ours.latency_ms == theirs["latency_ms"]
    assert ours.coverage == theirs["coverage"]
    assert list(ours.interval_ms) == theirs["interval_ms"]
    assert ours.interval_ms[0] < ours.latency_ms < ours.interval_ms[1]
    assert list(ours.notes) == theirs["notes"]
    assert [kernel[1] for kernel in ours.kernels] == [kernel["type"] for kernel in theirs["kernels"]]
    assert [kernel[2] for kernel in ours.kernels] == [kernel["latency_ms"] for kernel in theirs["kernels"]]


def test_bytes_and_paths_are_one(predictor):
    path = EXAMPLES[0]
    from_bytes = nn_meter.Model(path.read_bytes(), name="copy")
    assert (from_bytes.name, from_bytes.format) == ("copy", "onnx")
    assert nn_meter.Model(str(path)).name == path.name
    assert predictor.predict(from_bytes).latency_ms == predictor.predict(nn_meter.Model(path)).latency_ms


def test_kernels_are_arrays(predictor):
    model, rules = nn_meter.Model(ROOT / "examples/squeezenet.onnx"), nn_meter.Rules(predictor.rules)
    kernels = model.kernels(rules)
    count = len(kernels["names"])
    features = np.frombuffer(kernels["features"], np.float32).reshape(count, len(nn_meter.FEATURES))
    work = np.frombuffer(kernels["work"]).reshape(count, len(nn_meter.WORK))
    types = np.frombuffer(kernels["types"], np.int32)
    assert kernels["names"][0] == "conv-relu#0" and kernels["members"][0] == ("node_conv2d", "node_relu")
    assert nn_meter.KERNEL_TYPES[types[0]] == "conv"
    assert dict(zip(nn_meter.WORK, work[0].tolist(), strict=True)) == {
        "multiply_adds": 111 * 111 * 64 * 27,
        "input_elements": 224 * 224 * 3,
        "output_elements": 111 * 111 * 64,
        "weight_elements": 64 * 27,
        "window_elements": 111 * 111 * 27,
    }
    assert np.expm1(features[0, nn_meter.FEATURES.index("log_input_channels")]) == pytest.approx(3)
    assert np.frombuffer(kernels["turns"]).tolist() == [1] * count
    assert np.isfinite(features).all()


def test_table_adds_up_to_the_prediction(predictor):
    builder = TableBuilder(predictor.rules)
    models = [nn_meter.Model(path) for path in EXAMPLES]
    for model in models:
        builder.add(model, model.name)
    table = builder.finish()
    rows, doubts, constant = table.estimate(predictor)
    assert (np.diff(table.type_of) >= 0).all(), "rows are ordered by type"
    assert len(rows) == len(doubts) == len(table.values) < len(table.turns) + 1
    expected = [predictor.predict(model).latency_ms for model in models]
    assert table.totals(rows, constant) == pytest.approx(expected, rel=1e-12)


def test_arrays_that_do_not_fit_together_are_refused(predictor):
    row = (
        np.int32(0).tobytes(),
        np.zeros(len(nn_meter.WORK)).tobytes(),
        np.zeros(len(nn_meter.FEATURES), "f4").tobytes(),
    )
    assert len(predictor.estimate(*row)[0]) == 8
    wrong = [(row[0][:3], *row[1:]), (row[0] * 2, *row[1:]), (row[0], row[1][8:], row[2]), (*row[:2], row[2] + b"1234")]
    wrong += [(np.int32(number).tobytes(), *row[1:]) for number in (-1, len(nn_meter.KERNEL_TYPES))]
    for arrays in wrong:
        with pytest.raises(ValueError, match="KERNEL_TYPES"):
            predictor.estimate(*arrays)


def test_one_kernel_alone_has_no_constant(predictor):
    builder = TableBuilder(predictor.rules)
    model = nn_meter.Model(EXAMPLES[0])
    builder.add(model, "third", kernel=3)
    table = builder.finish()
    rows, _, constant = table.estimate(predictor)
    assert constant > 0
    assert table.totals(rows, constant) == pytest.approx([predictor.predict(model).kernels[3][2]])
    with pytest.raises(IndexError, match="kernels"):
        builder.add(model, "none", kernel=100000)


def test_table_survives_a_file(tmp_path, predictor):
    builder = TableBuilder(predictor.rules)
    builder.add(nn_meter.Model(EXAMPLES[0]), "one", "family")
    table = builder.finish()
    table.save(tmp_path / "table.npz")
    again = KernelTable.load(tmp_path / "table.npz")
    assert again.models == ["one"] and again.families == ["family"] and again.features == table.features
    for name in ("values", "work", "type_of", "start", "rows", "turns", "constant"):
        assert np.array_equal(getattr(again, name), getattr(table, name)), name


def test_an_empty_table_is_fine(predictor):
    table = TableBuilder(predictor.rules).finish()
    assert table.values.shape == (0, len(nn_meter.FEATURES)) and table.start.tolist() == [0]


@pytest.mark.parametrize(
    ("call", "status", "text"),
    [
        (lambda: nn_meter.Model("missing.onnx"), "not found", "missing.onnx: cannot open"),
        (lambda: nn_meter.Model(b"text", name="mine"), "format", "mine: not a model"),
        (lambda: nn_meter.Model(EXAMPLES[0], format="nope"), "not found", "no format 'nope'"),
        (lambda: nn_meter.Model(EXAMPLES[0], input_shapes={"no": [1]}), "argument", "no input of this name"),
        (lambda: nn_meter.Predictor("nobody"), "not found", "no predictor 'nobody'"),
        (lambda: nn_meter.Predictor(b"NNMETER"), "format", "predictor file"),
        (lambda: nn_meter.Rules(b"{", "rules.json"), "format", "rules.json: line 1"),
    ],
)
def test_errors_say_what_and_where(call, status, text):
    with pytest.raises(nn_meter.Error, match=text) as caught:
        call()
    fault = caught.value
    assert fault.status == status
    assert "\n" not in str(fault) and fault.message and str(fault).endswith(fault.message)
    again = pickle.loads(pickle.dumps(fault))
    assert (type(again), str(again), again.status, again.file) == (nn_meter.Error, str(fault), status, fault.file)


@pytest.mark.parametrize(
    "call",
    [
        lambda: nn_meter.Model(3),
        lambda: nn_meter.Model(EXAMPLES[0], input_shapes=[1]),
        lambda: nn_meter.Model(EXAMPLES[0], input_shapes={"image": 3}),
        lambda: nn_meter.Model(EXAMPLES[0], input_shapes={3: [1]}),
        lambda: nn_meter.Table("rules"),
        lambda: nn_meter.Predictor(DEVICE).predict("model"),
        lambda: nn_meter.Predictor(DEVICE).estimate("table", b"", b""),
        lambda: nn_meter.Model(EXAMPLES[0]).kernels("rules"),
        lambda: nn_meter.Rules("text"),
    ],
)
def test_wrong_objects_are_type_errors(call):
    with pytest.raises(TypeError):
        call()


def test_predictor_tells_what_it_is(predictor, tmp_path):
    assert (predictor.name, predictor.kind, predictor.origin) == (DEVICE, "network", "built in")
    assert "Adreno 640" in predictor.card and json.loads(predictor.rules)
    listed = {item[0]: item[1:4] for item in nn_meter.predictors(home=tmp_path)}
    assert listed[DEVICE] == (predictor.version, "network", "built in")


def test_threads_read_and_predict_side_by_side(predictor):
    expected = [predictor.predict(nn_meter.Model(path)).latency_ms for path in EXAMPLES] * 8
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda path: predictor.predict(nn_meter.Model(path)).latency_ms, EXAMPLES * 8))
    assert found == expected


def test_threads_fill_one_table(predictor):
    table, model = nn_meter.Table(nn_meter.Rules(predictor.rules)), nn_meter.Model(EXAMPLES[0])
    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(lambda _: table.add(model), range(40)))
    assert sorted(numbers) == list(range(40)) and table.model_count == 40
    models = np.frombuffer(table.entries()["models"], np.uint32)
    assert np.array_equal(models, np.sort(models))


def test_the_stub_names_what_there_is():
    stub = (ROOT / "python/nn_meter/_core.pyi").read_text()
    for name in dir(nn_meter._core):
        if not name.startswith("_"):
            assert f"class {name}" in stub or f"{name}:" in stub or f"def {name}" in stub, name
