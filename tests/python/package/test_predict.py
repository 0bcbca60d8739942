"""load_latency_predictor(...).predict(...) and what else nn-Meter 2.0's scripts do, on the C library."""

import json
import logging
import os
import pickle
import subprocess
import sys
import threading
import time
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import nn_meter
import numpy as np
import onnx
import pytest
from nn_meter.report import Report

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples"
MOBILENET = EXAMPLES / "mobilenet_v2.onnx"
CPU = "cortexA76cpu_tflite21"


@pytest.fixture(scope="module")
def predictor():
    return nn_meter.load_latency_predictor(CPU)


@pytest.fixture(scope="module")
def latency_ms():
    return nn_meter.Predictor(CPU).predict(nn_meter.Model(MOBILENET)).latency_ms


# ------------------------------------------------------------------ predictors by name


def test_names_in_any_case_and_versions():
    for name in (CPU, CPU.upper(), CPU.lower()):
        assert nn_meter.load_latency_predictor(name).predictor.name == CPU
    assert nn_meter.load_latency_predictor(CPU, 1.0).predictor.version == "1.0"


@pytest.mark.parametrize("wanted", [("toaster",), (CPU, 7.0)])
def test_unknown_predictors(wanted):
    with pytest.raises(NotImplementedError, match="No predictor that meets the required name and version") as found:
        nn_meter.load_latency_predictor(*wanted)
    assert isinstance(found.value, nn_meter.Error) and found.value.status == "not found"
    assert CPU in str(found.value), "the message names those that there are"
    from nn_meter.predictor.nn_meter_predictor import load_predictor_config

    with pytest.raises(NotImplementedError):
        load_predictor_config(*wanted)


def test_list_has_all_devices_with_their_categories():
    entries = {entry["name"]: entry for entry in nn_meter.list_latency_predictors() if entry["origin"] == "built in"}
    assert {name: entry["category"] for name, entry in entries.items()} == {
        "cortexA76cpu_tflite21": "cpu",
        "adreno640gpu_tflite21": "gpu",
        "adreno630gpu_tflite21": "gpu",
        "myriadvpu_openvino2019r2": "vpu",
        "pixel1cpu_tflite": "cpu",
        "pixel4cpu_tflite": "cpu",
        "pixel6cpu_tflite": "cpu",
        "xiaomi11cpu_tflite": "cpu",
    }
    assert entries[CPU]["version"] == 1.0


# ------------------------------------------------------------------ models of every kind


def test_every_way_to_give_a_model_says_the_same(predictor, latency_ms):
    graph = nn_meter.model_file_to_graph(str(MOBILENET), "onnx")
    model = onnx.load(MOBILENET, load_external_data=False)
    assert predictor.predict(str(MOBILENET), "onnx") == latency_ms
    assert predictor.predict(MOBILENET, model_type="onnx") == latency_ms
    assert predictor.predict(MOBILENET.read_bytes(), "onnx") == latency_ms
    assert predictor.predict(model, "onnx") == latency_ms
    assert predictor.predict(MOBILENET, None) == latency_ms
    assert predictor.predict(nn_meter.Model(MOBILENET), "onnx") == latency_ms
    assert predictor.predict(graph, "nnmeter-ir") == pytest.approx(latency_ms, rel=1e-9)


def test_ir_as_file_and_as_object(predictor, tmp_path):
    graph = nn_meter.model_to_graph(onnx.load(MOBILENET, load_external_data=False), "onnx")
    assert nn_meter.model_to_graph(graph, "nnmeter-ir") is graph
    path = tmp_path / "graph.json"
    path.write_text(json.dumps(graph))
    assert nn_meter.model_file_to_graph(str(path), "nnmeter-ir") == graph
    assert predictor.predict(str(path), "nnmeter-ir") == predictor.predict(graph, "nnmeter-ir")


def test_unsupported_model_type(predictor):
    for call in (lambda: predictor.predict(MOBILENET, "caffe"), lambda: nn_meter.model_to_graph({}, "caffe")):
        with pytest.raises(ValueError, match="Unsupported model type: caffe; there are onnx, pb"):
            call()


def open_model(dims):
    inputs = [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, dims)]
    outputs = [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "open", inputs, outputs)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])


def test_an_open_shape_takes_the_input_shape_and_says_so(predictor, capsys):
    dynamic = predictor.predict(open_model(["N", 3, "H", "W"]), "onnx", input_shape=(1, 3, 64, 64))
    said = capsys.readouterr().out
    assert dynamic == predictor.predict(open_model([1, 3, 64, 64]), "onnx")
    assert "leaves the shape of its input open: 1x3x64x64 is taken" in said


def test_an_error_has_the_parts_of_the_librarys(predictor, tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"\x08\x07")
    with pytest.raises(nn_meter.Error) as found:
        predictor.predict(str(path), "onnx")
    assert found.value.file == str(path) and found.value.status == "format" and found.value.message


# ------------------------------------------------------------------ results


def test_messages_stay_parseable(predictor, capsys):
    latency = predictor.predict(str(MOBILENET), "onnx")
    assert capsys.readouterr().out.splitlines() == [
        "(nn-Meter) Start latency prediction ...",
        f"(nn-Meter) Predict latency: {latency} ms",
    ]


def test_notes_are_said(predictor, capsys):
    predictor.predict(open_model([1, 3, 4000, 4000]), "onnx")
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("(nn-Meter) Note: ") and "outside the training range" in line for line in lines)


def test_a_type_is_no_wish(predictor):
    """The format that was named is the one that is read."""
    for wrong in ("benchmark", "tflite", "pb", "nni-ir"):
        with pytest.raises(nn_meter.Error):
            predictor.predict(str(MOBILENET), wrong)


def test_levels_of_logging():
    assert logging.getLevelName(22) == "KEYINFO" and logging.getLevelName(25) == "RESULT"
    assert callable(logging.keyinfo) and callable(logging.result)
    assert nn_meter.logger.name == "nn-Meter" and nn_meter.handler in nn_meter.logger.handlers


def test_detail(predictor, latency_ms):
    report = predictor.predict(MOBILENET, "onnx", detail=True)
    assert isinstance(report, Report) and float(report) == report.latency_ms == latency_ms
    low, high = report.interval_ms
    assert low < latency_ms < high and 0 < report.coverage <= 1
    assert sum(kernel.latency_ms for kernel in report.kernels) + report.constant_ms == pytest.approx(latency_ms)
    first = report.kernels[0]
    assert first.inputs == ((1, 224, 224, 3),) and first.multiply_adds == 112 * 112 * 32 * 27
    assert first.attributes["kernel_size"] == 3 and first.nodes
    assert report.headline in repr(report) and first.name in repr(report)
    json.dumps(report.to_dict())
    table = report.to_pandas()
    assert list(table.latency_ms) == [kernel.latency_ms for kernel in report.kernels]
    assert not hasattr(report, "latency")


def test_html_shows_every_kernel_and_escapes_names(predictor):
    model = open_model([1, 3, 8, 8])
    model.graph.node[0].name = "<script>"
    text = predictor.predict(model, "onnx", detail=True)._repr_html_()
    assert "<script>" not in text and text.count("<tr>") == 2
    assert predictor.predict(MOBILENET, "onnx", detail=True)._repr_html_().count("<tr>") == 1 + len(
        predictor.predict(MOBILENET, "onnx", detail=True).kernels
    )


def test_compat_gives_nn_meters_kernels(predictor):
    model = nn_meter.Model(MOBILENET)
    own, default, compat = (predictor.predictor.predict(model, mode) for mode in ("own", None, "nn-meter-2.0"))
    assert own == default
    rules = ROOT / "devices" / CPU / "fusion_rules.json"
    document = json.loads(model.inspect("kernels", fusion_rules=rules, compat="nn-meter-2.0"))
    assert [kernel.name.split("#")[0] for kernel in compat.kernels] == [k["op"] for k in document["kernels"]]
    with pytest.raises(ValueError, match="unknown compat mode 'older'"):
        predictor.predictor.predict(nn_meter.Model(MOBILENET), "older")


def test_latency_metrics():
    rmse, rmspe, relative, *within = nn_meter.latency_metrics(np.array([1.02, 2.16, 3.0]), np.array([1.0, 2.0, 4.0]))
    assert rmse == pytest.approx(np.sqrt((0.02**2 + 0.16**2 + 1) / 3)) and relative == pytest.approx(rmse / (7 / 3))
    assert rmspe == pytest.approx(100 * np.sqrt((0.02**2 + 0.08**2 + 0.25**2) / 3))
    assert within == pytest.approx([1 / 3, 2 / 3, 2 / 3])


# ------------------------------------------------------------------ many at once


def test_predict_many_keeps_the_order(predictor):
    files = sorted(EXAMPLES.glob("*.onnx")) * 20
    expected = [predictor.predictor.predict(nn_meter.Model(file)).latency_ms for file in files]
    for jobs in (1, 2, 5, None):
        assert list(predictor.predict_many(files, jobs=jobs)) == expected
    reports = list(predictor.predict_many(files[:3], "onnx", detail=True))
    assert [report.latency_ms for report in reports] == expected[:3]


def test_predict_many_goes_on_or_stops(predictor, tmp_path):
    files = [MOBILENET, tmp_path / "gone.onnx", MOBILENET]
    first, error, last = predictor.predict_many(files, jobs=2, keep_going=True)
    assert first == last and isinstance(error, nn_meter.Error) and "gone.onnx" in str(error)
    with pytest.raises(nn_meter.Error, match="gone.onnx"):
        list(predictor.predict_many(files, jobs=2))


def test_predict_many_does_not_read_ahead_without_bound(predictor):
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield MOBILENET

    results = predictor.predict_many(endless(), jobs=2)
    assert next(results) == next(results)
    results.close()
    assert len(taken) < 200


def test_threads_share_a_predictor(predictor, latency_ms):
    found = []

    def work():
        found.extend(predictor.predictor.predict(nn_meter.Model(MOBILENET)).latency_ms for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [latency_ms] * 200


@pytest.fixture(scope="module")
def long_model():
    """Something to do for a while."""
    nodes = [onnx.helper.make_node("Relu", [f"t{i}"], [f"t{i + 1}"], name=f"relu{i}") for i in range(20_000)]
    model = open_model([1, 8, 16, 16])
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.input[0].name, model.graph.output[0].name = "t0", f"t{len(nodes)}"
    return model.SerializeToString()


@pytest.mark.parametrize("call", ["read", "predict", "kernels", "estimate", "inspect"])
def test_others_run_meanwhile(call, predictor, long_model):
    """With a switch interval that never passes, another thread only runs while the lock is let go of."""
    model, rules = nn_meter.Model(long_model), nn_meter.Rules(predictor.predictor.rules)
    rows = {name: data * 20_000 for name, data in one_row(rules).items()}
    calls = {
        "read": lambda: nn_meter.Model(long_model),
        "predict": lambda: predictor.predictor.predict(model),
        "kernels": lambda: model.kernels(rules),
        "estimate": lambda: predictor.predictor.estimate(rows["types"], rows["work"], rows["features"]),
        "inspect": lambda: model.inspect("shapes"),
    }
    turns, ended, interval = 0, threading.Event(), sys.getswitchinterval()

    def other():
        nonlocal turns
        while not ended.wait(0.0002):
            turns += 1

    thread = threading.Thread(target=other)
    sys.setswitchinterval(1000)
    try:
        thread.start()
        before, give_up = turns, time.monotonic() + 5
        while turns == before and time.monotonic() < give_up:
            calls[call]()
        meanwhile = turns - before
    finally:
        sys.setswitchinterval(interval)
        ended.set()
        thread.join()
    assert meanwhile


def one_row(rules):
    table = nn_meter.Table(rules)
    table.add(nn_meter.Model(MOBILENET), 0)
    return table.rows()


def in_another_process(path):
    return nn_meter.load_latency_predictor(CPU).predict(path, "onnx")


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(method, latency_ms, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import test_predict

    with get_context(method).Pool(2) as pool:
        assert pool.map(test_predict.in_another_process, [str(MOBILENET)] * 4) == [latency_ms] * 4


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_predictor_goes_to_other_processes(method, predictor, latency_ms):
    with get_context(method).Pool(2) as pool:
        predict = partial(predictor.predict, model_type="onnx", detail=True)
        assert [report.latency_ms for report in pool.map(predict, [str(MOBILENET)] * 4)] == [latency_ms] * 4


def test_copies_of_a_predictor(latency_ms, tmp_path):
    data = (ROOT / "devices" / CPU / "predictor.nnmeter").read_bytes()
    path = tmp_path / "copy.nnmeter"
    path.write_bytes(data)
    for opened in (nn_meter.Predictor(CPU, "1.0", tmp_path), nn_meter.Predictor(path), nn_meter.Predictor(data)):
        again = pickle.loads(pickle.dumps(opened))
        assert again.origin == opened.origin and again.predict(nn_meter.Model(MOBILENET)).latency_ms == latency_ms
    kept = pickle.dumps(nn_meter.Predictor(path))
    path.unlink()
    with pytest.raises(nn_meter.Error, match="copy.nnmeter"):
        pickle.loads(kept)


def test_a_fork_uses_what_its_parent_opened(predictor, latency_ms):
    """While other threads of the parent are at work with it."""
    model, ended = nn_meter.Model(MOBILENET), threading.Event()

    def work():
        while not ended.is_set():
            predictor.predictor.predict(nn_meter.Model(MOBILENET))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            child = os.fork()
            if not child:
                latencies = {
                    predictor.predictor.predict(each).latency_ms for each in (model, nn_meter.Model(MOBILENET))
                }
                os._exit(latencies != {latency_ms})
            assert os.waitpid(child, 0)[1] == 0
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def test_objects_keep_what_they_need_alive(latency_ms):
    data = MOBILENET.read_bytes()
    model = nn_meter.Model(bytes(bytearray(data)), "copy.onnx")
    predictor = nn_meter.Predictor(CPU)
    del data
    assert predictor.predict(model).latency_ms == latency_ms
    prediction = predictor.predict(model)
    del predictor, model
    assert prediction.kernels[0].name


def test_import_brings_in_nothing_heavy():
    program = (
        "import sys, nn_meter; print(sorted({'numpy', 'torch', 'onnx', 'yaml', 'urllib.request'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_python_m_is_the_command_line():
    done = subprocess.run([sys.executable, "-m", "nn_meter", "--version"], capture_output=True, text=True, check=True)
    assert nn_meter.__version__ in done.stdout
