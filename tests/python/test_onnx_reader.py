"""What `inspect --stage=graph` shows of an ONNX file is what the onnx package reads from it."""

import json
import math
from pathlib import Path

import onnx
import pytest
from onnx import AttributeProto, helper

ROOT = Path(__file__).resolve().parents[2]
LISTS = {AttributeProto.INTS: "ints", AttributeProto.FLOATS: "floats", AttributeProto.STRINGS: "strings"}
# Graph inputs that are taken for weights are tested in tests/unit/test_onnx.c; functions as well.
OWN_FILES = ["network", "names", "bodies", "constants", "typed_data", "attributes"]


def text(raw):
    """Bytes that are no UTF-8 are shown as "?", and a text ends before a NUL byte or has a "?" for it."""
    return raw.decode("utf-8", "replace").replace("\ufffd", "?").replace("\0", "?")


def same_number(ours, theirs):
    if ours is None:  # JSON has no NaN and no infinity
        return not math.isfinite(theirs)
    return ours == theirs


def check_attribute(graph, ours, attribute):
    kind = attribute.type
    if kind == AttributeProto.GRAPH:
        check_block(graph, graph["blocks"][ours["block"]], attribute.g)
    elif kind == AttributeProto.TENSOR:
        assert ours["dims"] == list(attribute.t.dims)
    elif kind == AttributeProto.STRING:
        assert ours == text(attribute.s)
    elif kind == AttributeProto.STRINGS:
        assert ours == [text(one) for one in attribute.strings]
    elif kind in LISTS:
        theirs = list(getattr(attribute, LISTS[kind]))
        assert len(ours) == len(theirs)
        assert all(map(same_number, ours, theirs))
    elif kind in (AttributeProto.INT, AttributeProto.FLOAT):
        assert same_number(ours, helper.get_attribute_value(attribute))


def check_block(graph, block, proto):
    initializers = {weight.name for weight in proto.initializer}
    assert block["outputs"] == [value.name for value in proto.output]
    assert block["inputs"] == [value.name for value in proto.input if value.name not in initializers]
    assert len(block["nodes"]) == len(proto.node)
    ours = sorted(block["nodes"], key=lambda node: next(filter(None, node["outputs"])))
    theirs = sorted(proto.node, key=lambda node: next(filter(None, node.output)))
    for mine, node in zip(ours, theirs, strict=True):
        assert (mine["name"], mine["type"]) == (node.name, node.op_type)
        assert mine["domain"] == ("" if node.domain == "ai.onnx" else node.domain)
        assert mine["inputs"] == list(node.input)
        assert mine["outputs"] == list(node.output)
        for attribute in node.attribute:
            if attribute.name in mine["attributes"]:
                check_attribute(graph, mine["attributes"][attribute.name], attribute)
            else:
                assert attribute.type in (AttributeProto.TYPE_PROTO, AttributeProto.TYPE_PROTOS)


def check_tensors(graph, proto):
    # the main graph's come before those of one name in bodies
    ours = {tensor["name"]: tensor for tensor in reversed(graph["tensors"])}
    for weight in proto.initializer:
        assert ours[weight.name]["role"] == "weight"
        assert ours[weight.name]["dims"] == list(weight.dims)
    initializers = {weight.name for weight in proto.initializer}
    for value in proto.input:
        if value.name in initializers:
            continue
        assert ours[value.name]["role"] == "input"
        if value.type.tensor_type.HasField("shape"):
            dims = [
                dim.dim_value if dim.HasField("dim_value") and dim.dim_value >= 0 else dim.dim_param or None
                for dim in value.type.tensor_type.shape.dim
            ]
            assert ours[value.name]["dims"] == dims


def check_file(nn_meter, path):
    result = nn_meter("inspect", "--stage=graph", "--json", path)
    assert result.returncode == 0, result.stderr
    graph = json.loads(result.stdout)
    model = onnx.load(path, load_external_data=False)
    assert graph["format"] == "onnx"
    assert graph["producer"] == " ".join(filter(None, [model.producer_name, model.producer_version]))
    opsets = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    assert graph["opset"] == max(opsets, default=1)
    check_block(graph, graph["blocks"][0], model.graph)
    check_tensors(graph, model.graph)


@pytest.mark.parametrize("name", OWN_FILES)
def test_own_files(nn_meter, name):
    check_file(nn_meter, ROOT / "tests" / "data" / "onnx" / f"y_{name}.onnx")


def test_parity_files(nn_meter, parity_data):
    files = sorted((parity_data / "onnx").rglob("*.onnx"))
    assert files
    for path in files:
        check_file(nn_meter, path)


def test_wild_files(nn_meter, wild_models):
    files = sorted(Path(wild_models).rglob("*.onnx"))
    assert files
    for path in files:
        check_file(nn_meter, path)


def test_torch_files(nn_meter, shared):
    files = sorted((shared / "wild" / "generated" / "torch").glob("*.onnx"))
    assert files
    for path in files:
        check_file(nn_meter, path)
