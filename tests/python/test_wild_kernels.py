"""Every real model becomes kernels that leave nothing out, and multiply as often as the catalog says."""

import csv
import json
from collections import Counter

import pytest

# what costs nothing, or whose body is listed instead
FREE = {"Constant", "Identity", "Dropout", "Shape", "Size", "If", "Loop", "Scan", "Placeholder"}
VIEWS = {
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Expand",
    "Cast",
    "CastLike",
    "Slice",
    "Transpose",
    "Concat",
    "Pad",
}
VIEWS |= {"QuantizeLinear", "DequantizeLinear", "Tile", "Split"}


def shape_options(row):
    for name, dims in json.loads(row["input"]).items():
        if dims:
            yield "--input-shape"
            yield f"{name}:{'x'.join(map(str, dims))}"


def models(shared, wild_models):
    """(row of the catalog, path) of all ONNX files."""
    with open(shared / "wild" / "catalog.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["format"] == "onnx"]
    yield from ((row, wild_models / "onnx" / f"{row['id']}.onnx") for row in rows)
    with open(shared / "wild" / "generated.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if ".onnx" in row["files"]]
    for row in rows:
        yield row, shared / "wild" / next(name for name in row["files"].split() if name.endswith(".onnx"))


def inspect(nn_meter, stage, row, path):
    options = ["--predictor", "cortexA76cpu_tflite21"] if stage == "kernels" else []
    shapes = shape_options(row) if stage != "graph" else ()
    result = nn_meter("inspect", f"--stage={stage}", "--json", *options, *shapes, path)
    assert result.returncode == 0, f"{row['id']}: {result.stderr}"
    return json.loads(result.stdout)


def constants(graph):
    """Names of tensors that are the same in every run: weights, shapes, and what is computed from nothing else."""
    known = {tensor["name"] for tensor in graph["tensors"] if tensor["role"] == "weight"}
    for node in graph["blocks"][0]["nodes"]:
        inputs = [name for name in node["inputs"] if name]
        if node["type"] in ("Shape", "Size") or all(name in known for name in inputs):
            known.update(node["outputs"])
    return known


def left_out(graph, kernels):
    """Nodes of the main graph that should be in a kernel and are in none."""
    members = {name for kernel in kernels for name in kernel["members"]}
    unnamed = Counter(name.split(":")[0] for name in members if ":" in name)  # listed as type and number
    known = constants(graph)
    for node in graph["blocks"][0]["nodes"]:
        runs = node["type"] not in FREE | VIEWS and not all(name in known for name in node["outputs"])
        if not runs or node["name"] in members:
            continue
        unnamed[node["type"]] -= not node["name"]
        if node["name"] or unnamed[node["type"]] < 0:
            yield node["name"] or node["type"]


def giga_multiply_adds(kernels):
    attributes = [kernel["attributes"] for kernel in kernels]
    return sum(each["multiply_adds"] * each.get("repeat", 1) for each in attributes) / 1e9


@pytest.fixture(scope="module")
def found(nn_meter, shared, wild_models):
    """[(row, graph, kernels with notes)] of every model."""
    return [
        (row, inspect(nn_meter, "graph", row, path), inspect(nn_meter, "kernels", row, path))
        for row, path in models(shared, wild_models)
    ]


def test_nothing_is_left_out(found):
    assert len(found) >= 55
    dropped = {row["id"]: list(left_out(graph, kernels["kernels"])) for row, graph, kernels in found}
    assert not {name: nodes for name, nodes in dropped.items() if nodes}


def test_every_operator_is_known(found):
    assert not [(row["id"], note) for row, _, kernels in found for note in kernels["notes"] if "not known" in note]


def test_multiply_adds(found):
    wrong = {}
    for row, _, kernels in found:
        ours, theirs = giga_multiply_adds(kernels["kernels"]), float(row["gmacs"])
        if theirs == 0 or '"If"' in row["ops"]:  # the catalog counts the top level of these, or nothing
            continue
        if abs(ours - theirs) > 1e-6:
            wrong[row["id"]] = (ours, theirs)
    assert not wrong


def test_attention_is_a_block(found):
    """Layers of each transformer, the same through both of torch's exporters."""
    expected = {"bert_tiny": 2, "minilm_l6": 6, "vit_b_16": 12, "rapidocr__pp-ocrv6_rec_small": 2}
    expected["rapidocr1__ch_pp-ocrv4_rec_infer"] = 2
    for row, _, kernels in found:
        types = [kernel["predicted_as"] for kernel in kernels["kernels"]]
        assert types.count("attention") == expected.get(row["id"].split(".")[0], 0), row["id"]
        if row["id"].split(".")[0] in expected:
            assert "matmul" not in types


def test_quantised_layers_say_so(found):
    for row, _, kernels in found:
        if "text2tashkeel" not in row["id"]:
            continue
        layers = [kernel for kernel in kernels["kernels"] if kernel["predicted_as"] in ("fc", "recurrent")]
        assert layers and all(kernel["attributes"]["weight_bits"] == 8 for kernel in layers), row["id"]


def test_each_has_a_latency(nn_meter, shared, wild_models):
    """And says how much of it comes from kernels that were measured."""
    for row, path in models(shared, wild_models):
        result = nn_meter("predict", "--predictor", "all", "--json", *shape_options(row), path)
        assert result.returncode == 0, f"{row['id']}: {result.stderr}"
        for each in json.loads(result.stdout)["results"]:
            assert each["latency_ms"] > 0 and 0 <= each["coverage"] <= 1
            assert each["notes"] or each["coverage"] == 1, row["id"]
