"""Benchmark graphs as ONNX files: valid, the same model to nn_meter, and the same numbers as the graph says."""

import json
import lzma

import nn_meter
import numpy as np
import onnx
import pytest
from nn_meter.fit import FitError, families
from nn_meter.fit.onnx_file import onnx_bytes, weight_count

DEVICE = "pixel6cpu_tflite"
WITH_STACKS = ("attention", "of_stacks", "transattn")
FAMILIES = ("conv", "firstconv", "mbpool", "transattn", "transds", "transffn")

ATTENTION = [
    ["input", [], [12, 8]],
    ["layernorm", [0]],
    ["dense", [1], 32],
    ["reshape", [2], [1, 12, 2, 16]],
    ["transpose", [3], [1, 2, 12, 16]],
    ["split", [4], [1, 2, 12, 4]],
    ["split", [4], [1, 2, 12, 4]],
    ["split", [4], [1, 2, 12, 8]],
    ["bmm", [5, 6], [1, 2, 12, 12]],
    ["mul_const", [8]],
    ["add_const", [9]],
    ["softmax", [10]],
    ["bmm", [11, 7], [1, 2, 12, 8]],
    ["transpose", [12], [1, 12, 2, 8]],
    ["reshape", [13], [1, 12, 16]],
    ["hswish", [14]],
    ["dense", [15], 8],
    ["add", [16, 0]],
]
FEED_FORWARD = [
    ["input", [], [12, 8]],
    ["layernorm", [0]],
    ["dense", [1], 16],
    ["swish", [2]],
    ["dense", [3], 8],
    ["add", [4, 0]],
]
BETWEEN_TOKENS = [  # the image is read twice, its means once more
    ["input", [], [12, 8]],
    ["reshape", [0], [1, 3, 4, 8]],
    ["conv", [1], 8, 1, 1, "SAME", "bias"],
    ["bn", [2]],
    ["hswish", [3]],
    ["mean", [4], "keepdims"],
    ["conv", [5], 8, 1, 1, "SAME", "bias"],
    ["add_const", [6]],
    ["relu6", [7]],
    ["mul_const", [8]],
    ["mul", [9, 4]],
    ["add", [10, 1]],
    ["reshape", [11], [1, 12, 8]],
]
POOLED = [
    ["input", [], [3, 4, 6]],
    ["pad", [0], 1],
    ["swish", [1]],
    ["conv", [2], 10, 1, 1, "SAME", "bias"],
    ["mean", [3], "keepdims"],
    ["dense", [4], 5],
]
PARTS_OF_AN_IMAGE = [
    ["input", [], [3, 4, 9]],
    ["split", [0], [1, 3, 4, 2]],
    ["split", [0], [1, 3, 4, 7]],
    ["conv", [2], 2, 1, 1, "SAME"],
    ["concat", [1, 3]],
    ["softmax", [4]],
    ["dense", [5], 3],
    ["layernorm", [6]],
]
OF_STACKS = [  # three dimensions that are no image
    ["input", [], [2, 5, 6]],
    ["hswish", [0]],  # asks for operator set 14: before it onnx's reference normalises batches as in training
    ["transpose", [1], [1, 5, 2, 6]],
    ["transpose", [2], [1, 6, 2, 5]],
    ["reshape", [3], [1, 12, 5]],
    ["dense", [4], 4],
    ["bn", [5]],
    ["fc", [6], 7],
]
PRODUCT = [["input", [], [2, 5, 6]], ["input", [], [2, 6, 3]], ["bmm", [0, 1], [1, 2, 5, 3]]]
TURNED_PRODUCT = [["input", [], [2, 5, 6]], ["input", [], [2, 3, 6]], ["bmm", [0, 1], [1, 2, 5, 3]]]
GATE = [  # a gate without rows and columns
    ["input", [], [3, 4, 6]],
    ["mean", [0]],
    ["fc", [1], 6],
    ["mul", [0, 2]],
    ["add", [3, 0]],
]

# operators, and how many transpositions the file has more than the graph
BLOCKS = {
    "attention": (ATTENTION, 0),
    "feed_forward": (FEED_FORWARD, 0),
    "between_tokens": (BETWEEN_TOKENS, 2),
    "pooled": (POOLED, 0),
    "parts_of_an_image": (PARTS_OF_AN_IMAGE, 1),
    "of_stacks": (OF_STACKS, 0),
    "product": (PRODUCT, 0),
    "turned_product": (TURNED_PRODUCT, 1),
    "gate": (GATE, 0),
}


def named(name):
    return {"id": name, "family": name, "ops": BLOCKS[name][0]}


# ------------------------------------------------------------------ what the graph says


def exchanged(x, shape):
    """x with two axes exchanged so that it has this shape: in these tests there is one way to do it."""
    ways = [(i, k) for k in range(x.ndim) for i in range(k) if np.swapaxes(x, i, k).shape == tuple(shape)]
    assert len(ways) == 1
    return np.swapaxes(x, *ways[0])


def product(a, b, shape):
    fits = b.shape[-2] == a.shape[-1] and b.shape[-1] == shape[-1]
    return np.einsum("...ij,...jk->...ik" if fits else "...ij,...kj->...ik", a, b)


def normalised(x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


def softmax(x):
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


# the result of an operator: of its inputs, its parameters and the file's weights and bias
EVALUATE = {
    "relu": lambda x: np.maximum(x[0], 0),
    "relu6": lambda x: np.clip(x[0], 0, 6),
    "hswish": lambda x: x[0] * np.clip(x[0] + 3, 0, 6) / 6,
    "swish": lambda x: x[0] / (1 + np.exp(-x[0])),
    "softmax": lambda x: softmax(x[0]),
    "layernorm": lambda x: normalised(x[0]),
    "bn": lambda x: x[0] / np.sqrt(1 + 1e-5),
    "mean": lambda x, keep="": x[0].mean((1, 2), keepdims=bool(keep)),
    "pad": lambda x, n: np.pad(x[0], ((0, 0), (n, n), (n, n), (0, 0))),
    "add": lambda x: x[0] + x[1],
    "mul": lambda x: x[0] * x[1],
    "add_const": lambda x: x[0] + 3,
    "mul_const": lambda x: x[0] / 6,
    "concat": lambda x: np.concatenate(x, -1),
    "reshape": lambda x, shape: x[0].reshape(shape),
    "transpose": lambda x, shape: exchanged(x[0], shape),
    "bmm": lambda x, shape: product(*x, shape),
}
WITH_WEIGHTS = {
    "conv": lambda x, w, b: np.einsum("nijc,oc->nijo", x, w[:, :, 0, 0]) + b,
    "dense": lambda x, w, b: x @ w,
    "fc": lambda x, w, b: x @ (w.T if x.ndim == 2 else w) + b,
}


def evaluate(ops, feeds, weights):
    """The last operator's result, batch 1, channels last."""
    values, cut = [], {}
    for at, (kind, inputs, *parameters) in enumerate(ops):
        x = [values[i] for i in inputs]
        if kind == "input":
            values.append(feeds.pop(0))
        elif kind == "split":
            first = cut.get(inputs[0], 0)
            cut[inputs[0]] = first + parameters[0][-1]
            values.append(x[0][..., first : cut[inputs[0]]])
        elif kind in WITH_WEIGHTS:
            values.append(WITH_WEIGHTS[kind](x[0], weights[f"w{at}"], weights.get(f"b{at}")))
        else:
            values.append(EVALUATE[kind](x, *parameters))
    return values[-1]


@pytest.mark.parametrize("name", BLOCKS)
def test_onnx_computes_what_the_graph_says(name):
    from onnx.reference import ReferenceEvaluator

    graph, random = named(name), np.random.default_rng(0)
    model = onnx.load_from_string(onnx_bytes(graph))
    shapes = [op[2] for op in graph["ops"] if op[0] == "input"]
    feeds = [random.standard_normal((1, *shape)).astype(np.float32) for shape in shapes]
    # images are NCHW in the file
    as_onnx = {i.name: x.transpose(0, 3, 1, 2) if "image" in i.name else x for i, x in zip(model.graph.input, feeds)}
    assert [tuple(d.dim_value for d in i.type.tensor_type.shape.dim) for i in model.graph.input] == [
        x.shape for x in as_onnx.values()
    ]
    (found,) = ReferenceEvaluator(model).run(None, as_onnx)
    weights = {w.name: onnx.numpy_helper.to_array(w) for w in model.graph.initializer}
    expected = evaluate(graph["ops"], feeds, weights)
    if name == "gate":  # the only one that ends as an image
        expected = expected.transpose(0, 3, 1, 2)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


# ------------------------------------------------------------------ what nn_meter says


def compare(graph, more_transpositions):
    """Checks that the file has the graph's kernels, with the same latencies but for stacks of matrices, which ONNX's
    reader takes for images; returns how much the whole differs, without the transpositions that it has more, and with
    them."""
    data = onnx_bytes(graph)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    assert len(data) == pytest.approx(4 * weight_count(graph), abs=500 * len(graph["ops"]))
    predictor = nn_meter.Predictor(DEVICE)
    as_onnx = predictor.predict(nn_meter.Model(data, name="onnx"))
    as_graph = predictor.predict(nn_meter.Model(json.dumps(graph).encode(), name="graph"))
    turned = [k for k in as_onnx.kernels if k.type == "transpose" and k.nodes[0].endswith("_turned")]
    assert len(turned) == more_transpositions
    kept = [k for k in as_onnx.kernels if k not in turned]
    assert [k.type for k in kept] == [k.type for k in as_graph.kernels]
    for ours, theirs in zip(kept, as_graph.kernels):
        of_stacks = graph["family"] in WITH_STACKS and len(ours.inputs[0]) == 4
        assert of_stacks or ours.latency_ms == pytest.approx(theirs.latency_ms, rel=1e-9)
    without = as_onnx.latency_ms - sum(k.latency_ms for k in turned)
    return without / as_graph.latency_ms - 1, as_onnx.latency_ms / as_graph.latency_ms - 1


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_as_onnx_is_the_same_model(name):
    without, _ = compare(named(name), BLOCKS[name][1])
    assert abs(without) < {"attention": 0.01, "of_stacks": 0.05}.get(name, 1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_measured_block_as_onnx_is_the_same_model(family, shared):
    path = shared / "phones" / "graphs.jsonl.xz"
    if not path.exists():
        pytest.skip(f"test data: no {path} (docs/test-data.md)")
    with lzma.open(path, "rt", encoding="utf-8") as file:
        graph = next(g for g in map(json.loads, file) if g["family"] == family)
    without, difference = compare(graph, {"mbpool": 1, "transds": 2}.get(family, 0))
    assert abs(without) < (1e-3 if family == "transattn" else 1e-9)
    assert abs(difference) < (0.06 if family == "transds" else 2e-3)


# ------------------------------------------------------------------ forms


def types_of(ops):
    model = onnx.load_from_string(onnx_bytes({"id": "m", "ops": ops}))
    return [node.op_type for node in model.graph.node], model.opset_import[0].version


def test_files_are_as_old_as_their_operators():
    image = ["input", [], [8, 8, 4]]
    assert types_of([image, ["swish", [0]]]) == (["Sigmoid", "Mul"], 13)
    assert types_of([image, ["hswish", [0]]]) == (["HardSwish"], 14)
    assert types_of([["input", [], [8, 4]], ["layernorm", [0]]]) == (["LayerNormalization"], 17)


def test_an_image_is_turned_once_for_all_that_read_it():
    kinds, _ = types_of(BETWEEN_TOKENS)
    assert kinds.count("Transpose") == 2 and kinds.count("Reshape") == 2
    kinds, _ = types_of(POOLED)
    assert "Transpose" not in kinds, "of one pixel a reshape is enough"


def test_what_nothing_reads_is_a_result():
    ops = [["input", [], [6, 8]], ["split", [0], [1, 6, 3]], ["split", [0], [1, 6, 5]], ["relu", [0]]]
    model = onnx.load_from_string(onnx_bytes({"id": "m", "ops": ops}))
    assert [output.name for output in model.graph.output] == ["t1", "t2", "t3"]


def test_weights_are_counted():
    """Of the block's layers, one by one; four for each channel of a batch normalisation."""
    assert weight_count(named("between_tokens")) == 2 * (8 * 8 + 8) + 4 * 8
    assert weight_count(named("attention")) == 2 * 8 + 8 * 32 + 16 * 8
    assert weight_count(named("of_stacks")) == 5 * 4 + 4 * 4 + 4 * 7 + 7


@pytest.mark.parametrize("family", families.FAMILIES)
def test_weights_are_counted_without_making_them(family):
    graph = families.make(family, 2)
    stored = onnx.load_from_string(onnx_bytes(graph)).graph.initializer
    floats = sum(np.prod(w.dims) for w in stored if w.data_type == onnx.TensorProto.FLOAT and w.dims)
    assert weight_count(graph) == floats


@pytest.mark.parametrize(
    ("ops", "expected"),
    [
        ([["warp", [0]]], "operator 1 ('warp') has no ONNX form: it is not known"),
        (
            [["reshape", [0], [1, 64, 3]], ["conv", [1], 4, 1, 1, "SAME"]],
            "operator 2 ('conv') has no ONNX form: operator 1",
        ),
        ([["reshape", [0], [1, 64, 4]]], "('reshape') has no ONNX form: what it reads, [8, 8, 3], has another number"),
        ([["transpose", [0], [1, 3, 8, 4]]], "no exchange of two axes makes [3, 8, 4] of [8, 8, 3]"),
        ([["split", [0], [1, 8, 8, 2]]], "its parts are 2 of 3 channels"),
        ([["split", [0]]], "its parts are 2 of 3 channels"),
        ([["bmm", [0, 0], [1, 8, 8, 5]]], "[8, 8, 3] times [8, 8, 3] is not [8, 8, 5]"),
    ],
)
def test_what_has_no_onnx_form(ops, expected):
    graph = {"id": "odd", "family": "", "ops": [["input", [], [8, 8, 3]], *ops]}
    for write in (onnx_bytes, weight_count):
        with pytest.raises(FitError) as caught:
            write(graph)
        assert str(caught.value).startswith("odd: ") and expected in str(caught.value)
        assert str(caught.value).endswith("; give this model as an ONNX file, or leave it out")
