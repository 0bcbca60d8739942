"""Everything that can be wrong with measurements and models, each with its one line."""

import json
import lzma
import shutil
from pathlib import Path

import nn_meter
import pytest
from nn_meter.fit import FitError, fit
from nn_meter.fit.evidence import gather
from nn_meter.fit.measurements import read_measurements
from nn_meter.fit.models import base_name, collect_models

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
START = "adreno640gpu_tflite21"
RULES = nn_meter.Predictor(START).rules


def faults_of(call, *arguments, **options):
    with pytest.raises(FitError) as caught:
        call(*arguments, **options)
    fault = caught.value
    assert isinstance(fault, nn_meter.Error) and fault.status == "argument"
    assert all("\n" not in line for line in fault.faults)
    return list(fault.faults)


# ------------------------------------------------------------------ files of latencies


def csv(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "measured.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_rows_are_read(tmp_path):
    text = "\ufeffid, latency_ms ,family\na.onnx,1.5,f\n\nb, 2e1,\nb,20.4,\nc,,\n"
    found, empty = read_measurements(csv(tmp_path, text))
    assert [(m.model, m.latency_ms, m.family) for m in found] == [("a.onnx", 1.5, "f"), ("b", 20.2, "")]
    assert empty == {"c"}


def test_another_column_may_hold_the_latency(tmp_path):
    path = csv(tmp_path, "model,cpu,gpu\na,1,2\n")
    assert read_measurements(path, "gpu")[0][0].latency_ms == 2
    (line,) = faults_of(read_measurements, path)
    assert line.endswith("line 1: no column 'latency_ms'; name the one to use with --column, one of: cpu, gpu")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "model,latency_ms\na,0\n",
            "measured.csv, line 2: a: the latency 0 is zero; measure it again or delete the row",
        ),
        ("model,latency_ms\na,-1\n", "line 2: a: the latency -1 is negative"),
        ("model,latency_ms\na,nan\n", "line 2: a: the latency nan is not a finite number"),
        ("model,latency_ms\na,inf\n", "line 2: a: the latency inf is not a finite number"),
        ("model,latency_ms\na,fast\n", "line 2: a: the latency 'fast' is not a number; give milliseconds as a number"),
        ('model,latency_ms\na,"1,5"\n', "line 2: a: the latency '1,5' is not a number; write 12.3, with a point"),
        ("model,latency_ms\na,1 ms\n", "line 2: a: the latency '1 ms' is not a number"),
        (
            "model,latency_ms\na,1\nb,2\na,1.2\n",
            "line 4: a: 1.2 ms here and 1 ms in measured.csv, line 2, more than 5%",
        ),
        ("model,latency_ms\n,1\n", "line 2: no model is named"),
        ("model,latency_ms\na,1,2\n", "line 2: more cells than the 2 columns of line 1"),
        ("model;latency_ms\na;1\n", "line 1: columns are parted by ';'; save the file with commas"),
        ("a,1\nb,2\n", "line 1: no column 'model'; the first line must be model,latency_ms"),
        ("model,latency_ms\n", "no latency in it"),
        ("model,latency_ms\na,\nb,\n", "none of the 2 latencies is filled in"),
        ("", "line 1: no column 'model'"),
    ],
)
def test_wrong_rows(tmp_path, text, expected):
    (line,) = faults_of(read_measurements, csv(tmp_path, text))
    assert expected in line and "measured.csv" in line


def test_all_wrong_rows_are_told_at_once(tmp_path):
    rows = "".join(f"m{i},0\n" for i in range(14))
    lines = faults_of(read_measurements, csv(tmp_path, "model,latency_ms\n" + rows))
    assert len(lines) == 14
    with pytest.raises(FitError) as caught:
        read_measurements(tmp_path / "measured.csv")
    assert (
        str(caught.value).splitlines()[-1] == "and 4 more faults like these"
        and len(str(caught.value).splitlines()) == 11
    )


def test_files_that_are_none(tmp_path):
    assert "cannot be read: No such file" in faults_of(read_measurements, tmp_path / "none.csv")[0]
    assert (
        "not text in UTF-8" in faults_of(read_measurements, csv(tmp_path, "model,latency_ms\n\xe4,1\n", "latin-1"))[0]
    )
    assert "no column 'kernel'" in faults_of(read_measurements, csv(tmp_path, "model,latency_ms\n"), kernels=True)[0]
    with pytest.raises(TypeError):
        read_measurements([1, 2])


def test_dictionaries_are_checked_alike():
    assert read_measurements({"a": 2})[0][0].latency_ms == 2
    assert "a: the latency -2 is negative" in faults_of(read_measurements, {"a": -2})[0]
    assert read_measurements({("a", "conv"): 2}, kernels=True)[0][0].kernel == "conv"


# ------------------------------------------------------------------ models


def test_a_folder_is_its_model_files(tmp_path):
    for name in ("b.onnx", "a.onnx", ".hidden.onnx", "latency.csv", "README.md"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "below.onnx").mkdir()
    assert [source.name for source in collect_models(tmp_path)] == ["a", "b"]


def test_graphs_in_a_file(tmp_path, graphs):
    text = "".join(json.dumps(graph) + "\n" for graph in graphs[:3])
    (tmp_path / "g.jsonl").write_text(text)
    (tmp_path / "g.jsonl.xz").write_bytes(lzma.compress(text.encode()))
    for name in ("g.jsonl", "g.jsonl.xz"):
        found = collect_models(tmp_path / name)
        assert [(s.name, s.family) for s in found] == [(g["id"], g["family"]) for g in graphs[:3]]


def test_names_and_families():
    assert base_name("some/where/net.onnx") == "net" and base_name("net_v1.5") == "net_v1.5"
    sources = collect_models({"vgg16": b"", "vgg_3": b"", "resnet-50": b"", "7": b""})
    assert [source.family for source in sources] == ["vgg", "vgg", "resnet", "7"]


def test_models_that_are_none(tmp_path):
    (tmp_path / "empty").mkdir()
    assert "empty: no model files in this folder; put *.onnx there" in faults_of(collect_models, tmp_path / "empty")[0]
    assert "there is no such file or folder" in faults_of(collect_models, tmp_path / "none")[0]
    assert "none given" in faults_of(collect_models, [])[0]
    assert "bytes without a name" in faults_of(collect_models, [b"x"])[0]
    (tmp_path / "g.jsonl").write_text('{"id": "a", "ops": []}\n{"ops": []}\n')
    assert "g.jsonl: line 2: no benchmark graph" in faults_of(collect_models, tmp_path / "g.jsonl")[0]
    (tmp_path / "g.jsonl.xz").write_bytes(b"no xz")
    assert "cannot be read" in faults_of(collect_models, tmp_path / "g.jsonl.xz")[0]


def test_other_json_files_in_a_folder(tmp_path, graphs):
    (tmp_path / "graph.json").write_text(json.dumps(graphs[0]))
    (tmp_path / "package.json").write_text('{"name": "x", "version": "1.0"}')
    (tmp_path / "settings.json").write_text("no JSON")
    (tmp_path / "empty.json").write_bytes(b"")
    shutil.copyfile(EXAMPLES / "nni" / "network.json", tmp_path / "nni.json")
    left_out = []
    sources = collect_models(tmp_path, left_out=left_out)
    assert [source.name for source in sources] == ["graph", "nni"]
    assert [nn_meter.detect_format(source.content) for source in sources] == ["benchmark", "nni-ir"]
    assert len(left_out) == 3 and all("no model, so not used: " in line and "\n" not in line for line in left_out)
    assert [Path(line.split(": ")[0]).name for line in left_out] == ["empty.json", "package.json", "settings.json"]
    only = tmp_path / "only"
    only.mkdir()
    (only / "package.json").write_text('{"name": "x"}')
    first, second = faults_of(collect_models, only)
    assert "no model files in this folder" in first and "package.json: no model" in second


def test_a_model_without_a_shape_asks_for_one(tmp_path):
    shutil.copyfile(EXAMPLES / "nni" / "network.json", tmp_path / "nni.json")
    (line,) = faults_of(put_together, tmp_path, {"nni": 2.0})
    assert "nni.json: image: this input is of unknown rank; give its size, for example --input-shape image:" in line
    sources = collect_models(tmp_path, {"input_shapes": {"image": (1, 3, 32, 32)}})
    whole, empty = read_measurements({"nni": 2.0})
    assert gather(sources, whole, [], RULES, empty).owners == ["nni"]


def test_two_files_of_one_name(tmp_path, graphs):
    for name in ("a.onnx", "a.json", "b.onnx"):
        (tmp_path / name).write_text(json.dumps(graphs[0]))
    (line,) = faults_of(collect_models, tmp_path)
    assert "a.onnx: called 'a', as is" in line and "rename one" in line


# ------------------------------------------------------------------ both together


def put_together(models, latencies=None, kernels=None, **options):
    whole, empty = read_measurements(latencies) if latencies else ([], set())
    single, _ = read_measurements(kernels, kernels=True) if kernels else ([], set())
    return gather(collect_models(models), whole, single, RULES, empty, **options)


def test_models_by_name_file_or_path():
    models = sorted(EXAMPLES.glob("*.onnx"))
    names = ["mobilenet_v2.onnx", "resnet18", "anywhere/squeezenet.onnx"]
    gathered = put_together(models, dict(zip(names, (1.0, 2.0, 3.0), strict=True)))
    assert gathered.table.models == ["mobilenet_v2", "resnet18", "squeezenet"]
    assert gathered.latencies.tolist() == [1, 2, 3]


def test_models_and_latencies_that_do_not_match():
    lines = faults_of(put_together, EXAMPLES, {"resnet18": 1, "squeezenett": 2})
    assert "2 of 3 models have no latency: mobilenet_v2, squeezenet; measure them" in lines[0]
    assert "1 measured models are not among the models: squeezenett (did you mean 'squeezenet'?)" in lines[1]
    gathered = put_together(EXAMPLES, {"resnet18": 1, "squeezenett": 2}, keep_going=True)
    assert gathered.table.models == ["resnet18"] and len(gathered.left_out) == 2


def test_rows_not_filled_in(tmp_path):
    path = csv(tmp_path, "model,latency_ms\nresnet18,1\nsqueezenet,\nmobilenet_v2,\n")
    assert "(2 have a row whose latency is not filled in)" in faults_of(put_together, EXAMPLES, path)[0]


def test_one_model_by_two_names():
    lines = faults_of(put_together, EXAMPLES / "resnet18.onnx", {"resnet18": 1, "resnet18.onnx": 2})
    assert "resnet18.onnx and resnet18 are the same, measured as 2 and 1 ms" in lines[0]
    same = put_together(EXAMPLES / "resnet18.onnx", {"resnet18": 1, "resnet18.onnx": 1.02})
    assert same.latencies == pytest.approx([1.01])


def test_unreadable_models_do_not_hide_each_other(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"broken")
    (tmp_path / "b.onnx").write_bytes((EXAMPLES / "resnet18.onnx").read_bytes()[:500])
    (tmp_path / "c.onnx").write_bytes((EXAMPLES / "resnet18.onnx").read_bytes())
    lines = faults_of(put_together, tmp_path, {"a": 1, "b": 2, "c": 3})
    assert len(lines) == 2 and "a.onnx: not a model" in lines[0] and "b.onnx: " in lines[1]
    gathered = put_together(tmp_path, {"a": 1, "b": 2, "c": 3}, keep_going=True)
    assert gathered.table.models == ["c"] and len(gathered.left_out) == 2
    (tmp_path / "c.onnx").unlink()
    lines = faults_of(put_together, tmp_path, {"a": 1, "b": 2}, keep_going=True)
    assert lines[0].startswith("nothing is left to learn from")


def test_kernels_by_any_of_their_nodes():
    model = EXAMPLES / "squeezenet.onnx"
    kernels = {
        ("squeezenet", name): value for name, value in zip(("node_relu", "node_conv2d_1 +1", "maxpool#1"), (3, 4, 5))
    }
    gathered = put_together(model, kernels=kernels)
    assert gathered.table.models == ["squeezenet:conv-relu#0", "squeezenet:maxpool#1", "squeezenet:conv-relu#2"]
    assert gathered.latencies.tolist() == [3, 5, 4] and gathered.table.constant.tolist() == [0, 0, 0]
    assert gathered.owners == ["squeezenet"] * 3


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        ("node_conv2dd", "no kernel has a node 'node_conv2dd'; did you mean 'node_conv2d'?"),
        ("", "no kernel is named and the model has 38; name one of its nodes"),
        ("zzz", "no kernel has a node 'zzz'; its nodes are "),
    ],
)
def test_kernels_that_are_none(kernel, expected):
    (line,) = faults_of(put_together, EXAMPLES / "squeezenet.onnx", kernels={("squeezenet", kernel): 1})
    assert "squeezenet: " + expected in line


def test_two_rows_about_one_kernel():
    kernels = {("squeezenet", "node_conv2d"): 1, ("squeezenet", "node_relu"): 2}
    (line,) = faults_of(put_together, EXAMPLES / "squeezenet.onnx", kernels=kernels)
    assert "are the same, measured as 2 and 1 ms" in line
    kernels["squeezenet", "node_relu"] = 1.02
    assert put_together(EXAMPLES / "squeezenet.onnx", kernels=kernels).latencies == pytest.approx([1.01])


def test_a_model_of_one_kernel_needs_no_name():
    one = {"id": "one", "family": "f", "ops": [["input", [], [8, 8, 3]], ["conv", [0], 4, 3, 1, "SAME"]]}
    assert put_together([one], kernels={("one", ""): 0.5}).latencies == [0.5]


# ------------------------------------------------------------------ what fit() refuses


def test_arguments(graphs, tmp_path):
    latencies = {graphs[0]["id"]: 1.0}
    for options, expected in [
        ({"device": None}, "device: no name"),
        ({"device": "my phone"}, "'my phone' cannot be a predictor's name"),
        ({"device": "all"}, "'all' cannot be a predictor's name"),
        ({"version": "1-0"}, "'1-0' cannot be a version"),
        ({"output": tmp_path / "a.bin"}, "must end in .nnmeter; try "),
        ({"output": tmp_path / "no" / "a.nnmeter"}, "there is no such folder"),
        ({"held_out": 1.0}, "is no share"),
        ({"latencies": None}, "no latencies"),
        ({"fusion_rules": tmp_path / "none.json"}, "none.json: cannot be read"),
    ]:
        call = {"latencies": latencies, "device": "phone", **options}
        lines = faults_of(fit, graphs[:1], call.pop("latencies"), **call)
        assert expected in lines[0], options
    (tmp_path / "a.nnmeter").mkdir()
    assert "is a folder" in faults_of(fit, graphs[:1], latencies, device="x", output=tmp_path / "a.nnmeter")[0]
    with pytest.raises(nn_meter.Error, match="no predictor 'nobody'"):
        fit(graphs[:1], latencies, device="x", from_predictor="nobody")
    with pytest.raises(nn_meter.Error, match="fusion rules: line 1"):
        fit(graphs[:1], latencies, device="x", fusion_rules=b"{")


def test_too_few(graphs, latencies):
    few = {graph["id"]: latencies[graph["id"]] for graph in graphs[:30]}
    (line,) = faults_of(fit, graphs[:30], few, device="x")
    assert "30 measurements are too few for a training: measure 100, better 1000, or start from" in line
    assert "--keep-going" in line
    two = dict(list(few.items())[:2])
    (line,) = faults_of(fit, graphs[:2], two, device="x", from_predictor=START)
    assert "2 measurements are too few for a calibration: measure 3, better 10" in line
    (line,) = faults_of(fit, graphs[:2], two, device="x", keep_going=True)
    assert "too few" in line and "--keep-going" not in line


@pytest.mark.parametrize(("factor", "expected"), [(1000, "microseconds"), (0.001, "seconds instead")])
def test_suspected_units(graphs, latencies, factor, expected):
    wrong = {name: factor * value for name, value in latencies.items()}
    (line,) = faults_of(fit, graphs, wrong, device="x")
    assert expected in line and "what any built-in predictor says" in line and "--keep-going" in line
    few = {graph["id"]: wrong[graph["id"]] for graph in graphs[:5]}
    (line,) = faults_of(fit, graphs[:5], few, device="x", from_predictor=START)
    assert expected in line and f"what {START} predicts" in line
