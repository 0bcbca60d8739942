"""Which models to measure, the networks that are made up for it, and the way from there to a predictor."""

import csv
import json
from collections import Counter
from pathlib import Path

import nn_meter
import numpy as np
import onnx
import pytest
from device import START, TRUTH
from nn_meter.fit import FitError, families, suggest
from nn_meter.fit.choice import choose
from nn_meter.fit.onnx_file import onnx_bytes, weight_count

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


# ------------------------------------------------------------------ families


@pytest.mark.parametrize("family", families.FAMILIES | families.HYBRIDS)
def test_every_family_makes_models_that_differ(family):
    predictor, seen = nn_meter.Predictor(START), set()
    for number in range(6):
        graph = families.make(family, number)
        latency_ms = predictor.predict(nn_meter.Model(families.as_line(graph), name=graph["id"])).latency_ms
        assert 0.01 < latency_ms < 3000
        seen.add(latency_ms)
    assert len(seen) >= 4
    assert families.make(family, 0) == families.make(family, 0) != families.make(family, 0, seed=1)


@pytest.mark.parametrize("family", families.FAMILIES)
def test_a_graph_as_onnx_is_the_same_model(family):
    graph = families.make(family, 1)
    data = onnx_bytes(graph)
    checked = onnx.load_from_string(data)
    onnx.checker.check_model(checked, full_check=True)
    assert len(data) == pytest.approx(4 * weight_count(graph), rel=0.05)
    predictor = nn_meter.Predictor(START)
    as_onnx = predictor.predict(nn_meter.Model(data, name="onnx"))
    as_graph = predictor.predict(nn_meter.Model(families.as_line(graph), name="graph"))
    assert as_onnx.latency_ms == pytest.approx(as_graph.latency_ms, rel=1e-9)
    assert [kernel[1] for kernel in as_onnx.kernels] == [kernel[1] for kernel in as_graph.kernels]


@pytest.mark.parametrize("number", range(6))
def test_a_network_with_attention_as_onnx_has_but_more_transpositions(number):
    """Images are channels first there, so what becomes tokens is transposed in memory."""
    graph = families.make("levit", number)
    data = onnx_bytes(graph)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    predictor = nn_meter.Predictor("pixel6cpu_tflite")
    as_onnx = predictor.predict(nn_meter.Model(data, name="onnx"))
    as_graph = predictor.predict(nn_meter.Model(families.as_line(graph), name="graph"))
    kinds = [sorted(kernel[1] for kernel in found.kernels) for found in (as_onnx, as_graph)]
    more = Counter(kinds[0])
    more.subtract(kinds[1])
    assert {kind for kind, count in more.items() if count} == {"transpose"} and more["transpose"] <= 6
    assert as_graph.latency_ms < as_onnx.latency_ms < 1.06 * as_graph.latency_ms


def test_attention_is_suggested_to_those_who_know_it():
    for start, expected in (("typical_phone", True), ("pixel6cpu_tflite", True), (START, False)):
        found = suggest(10, start)
        assert any(name.startswith("levit") for name in found.models) == expected, start


def test_onnx_computes_what_the_graph_says():
    """A split, a channel shuffle and squeeze-and-excite, run with onnx's own reference."""
    g = families.Graph("0", size=8, channels=4)
    half = g.split(0)
    y = g.concat(g.squeeze(g.conv_relu(half, 6, 3, 2), 2), g.pool("maxpool", half, 3, 2))
    families._shuffle(g, y)
    graph = {"id": "mixed", "family": "", "ops": g.ops}
    model = onnx.load_from_string(onnx_bytes(graph))
    from onnx.reference import ReferenceEvaluator

    image = np.random.default_rng(0).standard_normal((1, 4, 8, 8)).astype(np.float32)
    (out,) = ReferenceEvaluator(model).run(None, {"image": image})
    assert out.shape == (1, 8, 4, 4) and np.isfinite(out).all()
    pooled = np.pad(image[:, 2:], ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(pooled, (3, 3), (2, 3))[:, :, ::2, ::2].max((4, 5))
    assert out[:, 5] == pytest.approx(windows[:, 0]) and out[:, 7] == pytest.approx(windows[:, 1])


# ------------------------------------------------------------------ choosing


def test_choice_covers_before_it_repeats():
    """Three clusters of models that behave alike: the first three choices take one of each, the largest first."""
    random = np.random.default_rng(0)
    cluster = np.repeat([0, 1, 2], [30, 20, 10])
    vectors = np.eye(3)[cluster] + 0.01 * random.standard_normal((60, 3))
    assert [cluster[i] for i in choose(vectors, np.arange(60), 3)] == [0, 1, 2]


def test_choice_keeps_to_the_candidates():
    vectors = np.random.default_rng(1).standard_normal((40, 5))
    candidates = [3, 7, 20, 39]
    chosen = choose(vectors, candidates, 10)
    assert sorted(chosen) == candidates and chosen == choose(vectors, candidates, 10)


def test_choice_leaves_less_doubt_than_chance():
    random = np.random.default_rng(2)
    vectors = random.standard_normal((200, 12)) * np.linspace(3, 0.1, 12)

    def doubt(chosen):
        some, noise = vectors[chosen], 0.02
        gram = some @ some.T + noise * np.eye(len(chosen))
        explained = np.einsum("ij,ij->", vectors @ some.T, np.linalg.solve(gram, some @ vectors.T).T)
        return (vectors**2).sum() - explained

    ours = doubt(choose(vectors, np.arange(200), 5))
    assert ours < min(doubt(random.choice(200, 5, replace=False)) for _ in range(50))


# ------------------------------------------------------------------ suggest()


def test_suggest_from_own_models(tmp_path):
    found = suggest(2, START, EXAMPLES, output=tmp_path / "to_measure")
    assert (
        len(found.models) == 2
        and len(found.predicted_ms) == 2
        and set(found.models) < {p.stem for p in EXAMPLES.glob("*.onnx")}
    )
    written = {path.name for path in (tmp_path / "to_measure").iterdir()}
    assert written == {*(f"{name}.onnx" for name in found.models), "latency.csv", "README.md"}
    for name in found.models:
        assert (tmp_path / "to_measure" / f"{name}.onnx").read_bytes() == (EXAMPLES / f"{name}.onnx").read_bytes()
    rows = list(csv.DictReader((tmp_path / "to_measure" / "latency.csv").open()))
    assert [row["model"] for row in rows] == found.models and all(row["latency_ms"] == "" for row in rows)
    assert "nn-meter fit --models" in (tmp_path / "to_measure" / "README.md").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["to_measure"], "no temporary folder is left"


def test_weights_beside_a_model_come_along(tmp_path):
    (tmp_path / "models").mkdir()
    model = (EXAMPLES / "squeezenet.onnx").read_bytes()
    for name in ("a.onnx", "b.onnx"):
        (tmp_path / "models" / name).write_bytes(model)
    (tmp_path / "models" / "a.onnx.data").write_bytes(b"weights")
    suggest(2, START, tmp_path / "models", output=tmp_path / "out")
    assert (tmp_path / "out" / "a.onnx.data").read_bytes() == b"weights"


def transformer_block(number):
    """Attention and a feed-forward layer on tokens that come as an image, of different sizes."""
    size, heads = 4 + number, 1 + number % 4
    tokens, width = size * size, 16 * heads
    ops = [
        ["input", [], [size, size, width]],
        ["conv", [0], width, 3, 1, "SAME", "bias"],
        ["reshape", [1], [1, tokens, width]],
        ["layernorm", [2]],
        ["dense", [3], 3 * width],
        ["reshape", [4], [1, tokens, heads, 48]],
        ["transpose", [5], [1, heads, tokens, 48]],
        *(["split", [6], [1, heads, tokens, 16]] for _ in range(3)),
        ["bmm", [7, 8], [1, heads, tokens, tokens]],
        ["mul_const", [10]],
        ["softmax", [11]],
        ["bmm", [12, 9], [1, heads, tokens, 16]],
        ["transpose", [13], [1, tokens, heads, 16]],
        ["reshape", [14], [1, tokens, width]],
        ["hswish" if number % 2 else "swish", [15]],
        ["dense", [16], width],
        ["add", [17, 2]],
    ]
    return {"id": f"block_{number}", "family": "block", "ops": ops}


def test_suggest_from_blocks_writes_onnx(tmp_path):
    graphs = {graph["id"]: graph for graph in map(transformer_block, range(8))}
    (tmp_path / "blocks.jsonl").write_text("".join(json.dumps(graph) + "\n" for graph in graphs.values()))
    found = suggest(2, "pixel6cpu_tflite", tmp_path / "blocks.jsonl", output=tmp_path / "to_measure")
    assert len(found.models) == 2 and set(found.models) < set(graphs)
    files = sorted((tmp_path / "to_measure").glob("*.onnx"))
    assert [file.stem for file in files] == sorted(found.models)
    predictor = nn_meter.Predictor("pixel6cpu_tflite")
    for name, predicted_ms in zip(found.models, found.predicted_ms):
        onnx.checker.check_model(tmp_path / "to_measure" / f"{name}.onnx", full_check=True)
        kernels = predictor.predict(nn_meter.Model(tmp_path / "to_measure" / f"{name}.onnx"))
        assert {"attention", "layernorm", "fc", "conv"} <= {kernel.type for kernel in kernels.kernels}
        assert kernels.latency_ms == pytest.approx(predicted_ms, rel=0.05)  # the transposition to tokens is more


def test_a_graph_without_an_onnx_form_is_a_fault(tmp_path):
    """Before anything is chosen: a mean over tokens is read, but not written."""
    odd = {"id": "odd", "family": "", "ops": [["input", [], [9, 4]], ["dense", [0], 4], ["mean", [1], "keepdims"]]}
    candidates = [odd, *map(transformer_block, range(3))]
    with pytest.raises(
        FitError, match=r"odd: operator 2 \('mean'\) has no ONNX form: .*; give this model as an ONNX file"
    ):
        suggest(2, "pixel6cpu_tflite", candidates, output=tmp_path / "to_measure")
    assert not list(tmp_path.iterdir())
    found = suggest(2, "pixel6cpu_tflite", candidates, output=tmp_path / "to_measure", keep_going=True)
    assert len(found.models) == 2 and len(found.left_out) == 1 and found.left_out[0].startswith("odd: operator 2 ")


def test_size_limit_and_families():
    found = suggest(3, START, families=["squeezenet", "nasbench201"], size_limit_mb=2)
    graphs = {graph["id"]: graph for graph in families.generate(390, 0, ["squeezenet", "nasbench201"])}
    assert all(4e-6 * weight_count(graphs[name]) <= 2 for name in found.models)
    assert (
        found.folder is None
        and found.models == suggest(3, START, families=["squeezenet", "nasbench201"], size_limit_mb=2).models
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"count": 0}, "ask for at least one"),
        ({"families": ["lenet"]}, "no family 'lenet'; there are: alexnet, "),
        ({"count": 4}, "only 3 candidates for 4 models; ask for fewer or give more models"),
        ({"size_limit_mb": 0.001}, "only 0 candidates for 2 models, 3 are larger than 0.001 MB; raise --size-limit"),
        ({"output": "full"}, "full: is there already and not empty"),
        ({"output": "no/where"}, "no: there is no such folder"),
    ],
)
def test_what_suggest_refuses(options, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("full").mkdir()
    Path("full/file").touch()
    call = {"count": 2, "from_predictor": START, "models": None if "families" in options else EXAMPLES, **options}
    with pytest.raises(FitError) as caught:
        suggest(**call)
    assert expected in str(caught.value)


def test_unreadable_candidates(tmp_path):
    for name in ("resnet18.onnx", "squeezenet.onnx"):
        (tmp_path / name).write_bytes((EXAMPLES / name).read_bytes())
    (tmp_path / "bad.onnx").write_bytes(b"broken")
    with pytest.raises(FitError, match="bad.onnx: not a model"):
        suggest(1, START, tmp_path)
    assert len(suggest(1, START, tmp_path, keep_going=True).left_out) == 1


# ------------------------------------------------------------------ on the command line


def test_from_suggestion_to_prediction(nn_meter_fit, tmp_path):
    """The whole way: suggest, measure, fit, predict."""
    suggested = nn_meter_fit("fit", "--suggest", 4, "--from", START, "--models", EXAMPLES, "--output", "too_many")
    assert suggested.returncode == 1 and "only 3 candidates for 4 models" in suggested.stderr
    suggested = nn_meter_fit("fit", "--suggest", 3, "--from", START, "--models", EXAMPLES, "--output", "to measure")
    assert suggested.returncode == 0, suggested.stderr
    names = [line.split()[2].rstrip(":") for line in suggested.stdout.splitlines()]
    assert len(names) == 3 and "fill in latency.csv" in suggested.stderr

    unfilled = nn_meter_fit(*fit_options("to measure"))
    assert unfilled.returncode == 1 and "none of the 3 latencies is filled in" in unfilled.stderr
    truth = nn_meter.Predictor(TRUTH)
    rows = [(n, truth.predict(nn_meter.Model(tmp_path / "to measure" / f"{n}.onnx")).latency_ms) for n in names]
    (tmp_path / "to measure" / "latency.csv").write_text("model,latency_ms\n" + "".join(f"{n},{v}\n" for n, v in rows))
    fitted = nn_meter_fit(*fit_options("to measure"))
    assert fitted.returncode == 0, fitted.stderr
    assert "(nn-Meter) Successfully fitted predictor: my_phone\n(nn-Meter) [Accuracy] 3 held out: " in fitted.stdout
    assert "\r" not in fitted.stderr, "no progress bar where there is no terminal"
    assert fitted.stderr.splitlines() == ["nn-meter: info: written: my.nnmeter, my.card.md, my.png"]

    printed = nn_meter_fit("predict", "--json", "--predictor", "my.nnmeter", EXAMPLES / "resnet18.onnx")
    result = json.loads(printed.stdout)["results"][0]
    assert result["predictor"] == "my_phone" and result["latency_ms"] == pytest.approx(dict(rows)["resnet18"], rel=0.15)


def fit_options(folder):
    return [
        *("fit", "--models", folder, "--latency", f"{folder}/latency.csv", "--from", START),
        *("--device", "my_phone", "--output", "my.nnmeter"),
    ]


def test_faults_are_lines_on_standard_error(nn_meter_fit, graph_file, tmp_path):
    graph_file(3)
    (tmp_path / "l.csv").write_text("model,latency_ms\na,0\nb,nan\n")
    common = ("fit", "--models", "graphs.jsonl", "--latency", "l.csv", "--device", "d", "--output", "d.nnmeter")
    run = nn_meter_fit(*common)
    assert run.returncode == 1 and run.stdout == ""
    assert [line[:17] for line in run.stderr.splitlines()] == ["nn-meter: error: "] * 2
    run = nn_meter_fit(*common, "--from", "nobody")
    assert run.returncode == 1 and "no predictor 'nobody'" in run.stderr and "Traceback" not in run.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["graphs.jsonl", "l.csv"]


def test_a_python_without_torch_says_so(nn_meter_fit, tmp_path):
    (tmp_path / "hide").mkdir()
    (tmp_path / "hide" / "sitecustomize.py").write_text("import sys; sys.modules['torch'] = None")
    run = nn_meter_fit(
        *("fit", "--suggest", 3, "--from", START, "--output", "out"), environment={"PYTHONPATH": str(tmp_path / "hide")}
    )
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert line.endswith("python: torch is missing; pip install 'nn-meter[fit]'") and line.startswith(
        "nn-meter: error: "
    )
