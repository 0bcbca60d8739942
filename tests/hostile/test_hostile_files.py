"""Files made to hurt. Whatever they hold: a result, or one line on stderr that names the file, exit code 1, in time."""

import json
import os
import pickle
import shutil
import time
from pathlib import Path

import pytest
from onnx import AttributeProto, FunctionProto, TensorProto, defs, helper

DEVICE = "cortexA76cpu_tflite21"
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "squeezenet.onnx"
SECONDS = 60  # generous: the sanitized program on a busy machine


@pytest.fixture
def predict(nn_meter):
    def run(path, *options, kind="--onnx"):
        started = time.monotonic()
        result = nn_meter("predict", "--predictor", DEVICE, kind, path, *options, timeout=SECONDS)
        assert time.monotonic() - started < SECONDS
        assert result.returncode in (0, 1), result.stderr
        return result

    return run


@pytest.fixture
def refused(predict):
    """Predicts a file that must be refused; the one line of the refusal."""

    def run(path, *words, kind="--onnx", options=()):
        result = predict(path, *options, kind=kind)
        assert result.returncode == 1, result.stdout
        assert "[RESULT]" not in result.stdout
        lines = result.stderr.splitlines()
        assert len(lines) == 1, result.stderr
        assert Path(path).name in lines[0]
        assert lines[0].isprintable()
        assert "; " in lines[0], f"no remedy: {lines[0]}"
        for word in words:
            assert str(word).lower() in lines[0].lower(), lines[0]
        return lines[0]

    return run


@pytest.fixture
def either(predict):
    """Predicts a file for which a result and a refusal are both fair; both must be clean."""

    def run(path, *options, kind="--onnx"):
        result = predict(path, *options, kind=kind)
        assert len([line for line in result.stderr.splitlines() if line]) <= 1 or result.returncode == 0
        assert ("[RESULT]" in result.stdout) == (result.returncode == 0)
        assert "nan" not in result.stdout.lower().replace("nn-meter", "") and "inf" not in result.stdout.lower()
        return result

    return run


def image(name="x", shape=(1, 8, 16, 16)):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def save(path, nodes, inputs=None, outputs=("y",), weights=(), functions=(), opset=17):
    made = [helper.make_empty_tensor_value_info(name) if isinstance(name, str) else name for name in outputs]
    graph = helper.make_graph(nodes, "g", inputs or [image()], made, list(weights))
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("local", 1)]
    model = helper.make_model(graph, opset_imports=opsets, functions=list(functions), ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def weight(name, *dims):
    return TensorProto(name=name, data_type=TensorProto.FLOAT, dims=dims)


def integers(name, *values):
    return helper.make_tensor(name, TensorProto.INT64, [len(values)], values)


# ---------------------------------------------------------------- not a model at all


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 4096,
        b"\xff" * 4096,
        b"hello, world\n" * 100,
        b"PK\x03\x04" + b"\0" * 200,
        b"\x89PNG\r\n\x1a\n" + b"\0" * 200,
        b'{"nodes": []}',
        pickle.dumps({"a": [1, 2, 3]}),
    ],
    ids=["empty", "zeros", "ones", "text", "zip", "png", "json", "pickle"],
)
@pytest.mark.parametrize("kind", ["--onnx", "--nn-meter-ir", "--nni-ir"])
def test_wrong_file_type(refused, tmp_path, content, kind):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    refused(path, kind=kind)


def test_extension_is_not_believed(refused, tmp_path):
    renamed = tmp_path / "model.json"
    shutil.copyfile(EXAMPLE, renamed)
    refused(renamed, kind="--nn-meter-ir")


def test_missing_file(refused, tmp_path):
    refused(tmp_path / "missing.onnx")


def test_pipe_does_not_hang(refused, tmp_path):
    os.mkfifo(tmp_path / "pipe.onnx")
    refused(tmp_path / "pipe.onnx")


def test_bad_file_in_a_folder_does_not_stop_the_rest(predict, tmp_path):
    shutil.copyfile(EXAMPLE, tmp_path / "a.onnx")
    (tmp_path / "b.onnx").write_bytes(b"\xff" * 100)
    shutil.copyfile(EXAMPLE, tmp_path / "c.onnx")
    result = predict(tmp_path)
    assert result.returncode == 1
    assert "a.onnx" in result.stdout and "c.onnx" in result.stdout
    assert "b.onnx" in result.stderr and "b.onnx" not in result.stdout


# ---------------------------------------------------------------- graphs that contradict themselves


def test_cycle(refused, tmp_path):
    nodes = [helper.make_node("Add", ["x", "b"], ["a"], "first"), helper.make_node("Relu", ["a"], ["b"], "second")]
    refused(save(tmp_path / "m.onnx", nodes, outputs=["b"]), "cycle")


def test_dangling_input(refused, tmp_path):
    refused(save(tmp_path / "m.onnx", [helper.make_node("Relu", ["nowhere"], ["y"], "r")]), "nowhere")


def test_dangling_output(refused, tmp_path):
    refused(save(tmp_path / "m.onnx", [helper.make_node("Relu", ["x"], ["y"], "r")], outputs=["nowhere"]), "nowhere")


def test_tensor_made_twice(refused, tmp_path):
    nodes = [helper.make_node("Relu", ["x"], ["y"], "one"), helper.make_node("Sigmoid", ["x"], ["y"], "two")]
    refused(save(tmp_path / "m.onnx", nodes), "y")


def test_equal_node_names_are_fine(predict, tmp_path):
    nodes = [helper.make_node("Relu", ["x"], ["a"], "n"), helper.make_node("Sigmoid", ["a"], ["y"], "n")]
    assert predict(save(tmp_path / "m.onnx", nodes)).returncode == 0


# ---------------------------------------------------------------- numbers that overflow

HUGE = 2**62


@pytest.mark.parametrize("shape", [(1, HUGE, HUGE, 4), (1, 2**40, 2**40, 2**40), (1, -5, 16, 16), (1,) * 500])
def test_input_dimensions(refused, tmp_path, shape):
    refused(save(tmp_path / "m.onnx", [helper.make_node("Relu", ["x"], ["y"], "r")], [image(shape=shape)]))


@pytest.mark.parametrize(
    "attributes",
    [
        {"pads": [HUGE] * 4},
        {"pads": [-(2**63)] * 4},
        {"strides": [0, 0]},
        {"strides": [-1, -1]},
        {"dilations": [HUGE, HUGE]},
        {"group": 0},
        {"group": -3},
        {"group": 7},
        {"kernel_shape": [0, 0]},
        {"kernel_shape": [HUGE, HUGE]},
        {"kernel_shape": [3] * 40},
        {"pads": [1]},
        {"strides": [1] * 1000},
    ],
    ids=str,
)
def test_convolution_attributes(refused, tmp_path, attributes):
    node = helper.make_node("Conv", ["x", "w"], ["y"], "c", **attributes)
    refused(save(tmp_path / "m.onnx", [node], weights=[weight("w", 8, 8, 3, 3)]))


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"kernel_shape": [3.0, 3.0]}, ["kernel_shape", "list of floats", "takes a list of integers"]),
        ({"strides": 2}, ["strides", "an integer", "takes a list of integers"]),
        ({"group": [1]}, ["group", "list of integers", "takes an integer"]),
        ({"auto_pad": 1}, ["auto_pad", "takes a text"]),
        ({"auto_pad": "SAME_BOTH"}, ["SAME_BOTH", "SAME_UPPER"]),
        ({"strides": [0, 1]}, ["0 in strides", "at least 1"]),
        ({"group": 0}, ["0 groups", "at least 1"]),
        ({"pads": [1, 1]}, ["2 pads", "two for each"]),
        ({"kernel_shape": [5, 5]}, ["kernel_shape 5", "the weight's"]),
    ],
    ids=str,
)
def test_convolution_attributes_say_what_is_wrong(refused, tmp_path, attributes, words):
    node = helper.make_node("Conv", ["x", "w"], ["y"], "the conv", **attributes)
    refused(save(tmp_path / "m.onnx", [node], weights=[weight("w", 8, 8, 3, 3)]), "the conv", *words)


def test_an_attribute_that_stands_twice(refused, tmp_path):
    node = helper.make_node("MaxPool", ["x"], ["y"], "pool", kernel_shape=[2, 2])
    node.attribute.append(helper.make_attribute("kernel_shape", [3, 3]))
    refused(save(tmp_path / "m.onnx", [node]), "kernel_shape", "pool", "stands twice")


def test_thousands_of_attributes_at_many_nodes(refused, tmp_path):
    """Each is compared with those before it: that must not take longer than reading a file of the size may."""
    many = {f"a{i}": i for i in range(4000)}
    nodes = [helper.make_node("Relu", ["x"], ["y"], **many)]
    nodes += [helper.make_node("Relu", ["y"], [f"z{i}"], **many) for i in range(200)]
    refused(save(tmp_path / "m.onnx", nodes), "thousands of attributes")


def test_attributes_of_a_custom_operator_are_its_own(predict, tmp_path):
    node = helper.make_node("Custom", ["x"], ["y"], "c", domain="local", strides=1.5, axis=[1, 2])
    assert predict(save(tmp_path / "m.onnx", [node])).returncode == 0


@pytest.mark.parametrize(
    ("operator", "attributes", "words"),
    [
        ("LSTM", {"direction": "sideways", "hidden_size": 4}, ["sideways", "bidirectional"]),
        ("If", {}, ["no then_branch"]),
    ],
)
def test_values_that_no_operator_knows(refused, tmp_path, operator, attributes, words):
    node = helper.make_node(operator, ["x", "w", "r"], ["y"], "odd", **attributes)
    inputs = [image(shape=(3, 1, 4)), image("w", (1, 16, 4)), image("r", (1, 16, 4))]
    refused(save(tmp_path / "m.onnx", [node], inputs), "odd", *words)


@pytest.mark.parametrize("dims", [(2**40, 2**40, 2**40, 2**40), (-1, 8, 3, 3), (8, 8, 3), (8,)], ids=str)
def test_convolution_weights(refused, tmp_path, dims):
    node = helper.make_node("Conv", ["x", "w"], ["y"], "c")
    refused(save(tmp_path / "m.onnx", [node], weights=[weight("w", *dims)]))


OPERATORS = {
    "reshape to two unknowns": ("Reshape", [integers("k", -1, -1)], {}),
    "reshape to a huge size": ("Reshape", [integers("k", HUGE, HUGE, HUGE)], {}),
    "reshape that does not divide": ("Reshape", [integers("k", 7, -1)], {}),
    "slice by zero steps": (
        "Slice",
        [integers("s", 0), integers("e", HUGE), integers("a", 1), integers("t", 0)],
        {},
    ),
    "slice of a far axis": ("Slice", [integers("s", 0), integers("e", 1), integers("a", 99)], {}),
    "tile a lot": ("Tile", [integers("k", HUGE, HUGE, 1, 1)], {}),
    "tile by a negative count": ("Tile", [integers("k", -1, 1, 1, 1)], {}),
    "expand a lot": ("Expand", [integers("k", HUGE, 1, 1, 1, 1, 1)], {}),
    "pad to nothing": ("Pad", [integers("k", 0, 0, -100, 0, 0, 0, 0, 0)], {}),
    "pad a lot": ("Pad", [integers("k", 0, 0, HUGE, 0, 0, 0, HUGE, 0)], {}),
    "split into wrong parts": ("Split", [integers("k", HUGE, HUGE)], {"axis": 1}),
    "transpose by no permutation": ("Transpose", [], {"perm": [0, 0, 0, 0]}),
    "transpose beyond the rank": ("Transpose", [], {"perm": [9, 8, 7, 6]}),
    "concat on a far axis": ("Concat", [], {"axis": 77}),
    "flatten at a far axis": ("Flatten", [], {"axis": -77}),
    "squeeze what is not 1": ("Squeeze", [integers("k", 1)], {}),
    "unsqueeze far away": ("Unsqueeze", [integers("k", 500)], {}),
    "depth to space that does not divide": ("DepthToSpace", [], {"blocksize": 7}),
    "depth to space by zero": ("DepthToSpace", [], {"blocksize": 0}),
    "pool larger than the map": ("MaxPool", [], {"kernel_shape": [HUGE, HUGE]}),
    "resize by a huge factor": (
        "Resize",
        [TensorProto(name="roi", data_type=1, dims=[0]), helper.make_tensor("k", 1, [4], [1, 1, 1e30, 1e30])],
        {},
    ),
    "resize by no number": (
        "Resize",
        [TensorProto(name="roi", data_type=1, dims=[0]), helper.make_tensor("k", 1, [4], [1, 1, float("nan"), 1])],
        {},
    ),
}


@pytest.mark.parametrize("case", OPERATORS)
def test_operator(refused, tmp_path, case):
    name, constants, attributes = OPERATORS[case]
    node = helper.make_node(name, ["x", *(tensor.name for tensor in constants)], ["y"], "bad node", **attributes)
    refused(save(tmp_path / "m.onnx", [node], weights=constants), "bad node")


def test_every_operator_without_inputs(predict, tmp_path):
    """No shape rule may trust that the inputs it needs are there."""
    count = 0
    for schema in {schema.name: schema for schema in defs.get_all_schemas() if schema.domain == ""}.values():
        for number, inputs in enumerate(([], [""], ["x"], ["x", "", "x"])):
            node = helper.make_node(schema.name, inputs, ["y"], schema.name)
            save(tmp_path / f"{schema.name}{number}.onnx", [node])
            count += 1
    result = predict(tmp_path, "--quiet")
    assert result.stdout.count("[RESULT]") + len(result.stderr.splitlines()) == count


# ---------------------------------------------------------------- bombs


def varint(value):
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def test_bodies_inside_each_other(refused, tmp_path):
    """If in If in If, 20,000 deep."""
    graph = b""
    for _ in range(20_000):
        attribute = field(1, b"then_branch") + field(6, graph) + varint(20 << 3) + varint(AttributeProto.GRAPH)
        graph = field(1, field(1, b"x") + field(2, b"y") + field(4, b"If") + field(5, attribute))
    path = tmp_path / "m.onnx"
    path.write_bytes(varint(1 << 3) + varint(8) + field(7, graph))
    refused(path)


def local_function(name, *calls):
    nodes, tensor = [], "a"
    for index, call in enumerate(calls):
        nodes.append(helper.make_node(call, [tensor], [f"t{index}"], domain="local" if call != "Relu" else ""))
        tensor = f"t{index}"
    return helper.make_function("local", name, ["a"], [tensor], nodes, [helper.make_opsetid("", 17)])


def test_functions_that_double(refused, tmp_path):
    """Twenty-eight functions, each calling the one before twice: 2^28 nodes from two kilobytes."""
    functions: list[FunctionProto] = [local_function("f0", "Relu")]
    functions += [local_function(f"f{i}", f"f{i - 1}", f"f{i - 1}") for i in range(1, 29)]
    node = helper.make_node("f28", ["x"], ["y"], "bomb", domain="local")
    refused(save(tmp_path / "m.onnx", [node], functions=functions))


def test_function_that_calls_itself(refused, tmp_path):
    node = helper.make_node("f", ["x"], ["y"], "bomb", domain="local")
    refused(save(tmp_path / "m.onnx", [node], functions=[local_function("f", "f")]))


def test_a_million_nodes(predict, tmp_path):
    """Long is not wrong: it is read, and in time."""
    nodes = b"".join(
        field(1, field(1, b"t%d" % i) + field(2, b"t%d" % (i + 1)) + field(4, b"Relu")) for i in range(1_000_000)
    )
    value = image("t0", (1, 2, 2, 2)).SerializeToString()
    output = helper.make_empty_tensor_value_info("t1000000").SerializeToString()
    path = tmp_path / "m.onnx"
    opset = field(8, varint(2 << 3) + varint(17))
    path.write_bytes(varint(1 << 3) + varint(8) + opset + field(7, nodes + field(11, value) + field(12, output)))
    assert predict(path).returncode == 0


def test_a_node_with_a_million_inputs(either, tmp_path):
    node = helper.make_node("Concat", ["x"] * 1_000_000, ["y"], "wide", axis=1)
    either(save(tmp_path / "m.onnx", [node]))


def test_constants_that_grow(either, tmp_path):
    """Doubling a constant forty times: computing with it would take a terabyte."""
    nodes = [helper.make_node("Concat", [f"c{i}", f"c{i}"], [f"c{i + 1}"], f"n{i}", axis=0) for i in range(40)]
    nodes.append(helper.make_node("Relu", ["x"], ["y"]))
    either(save(tmp_path / "m.onnx", nodes, weights=[integers("c0", 1, 2, 3, 4)]))


def test_names_cannot_forge_output(predict, tmp_path):
    name = "evil\n(nn-Meter) [RESULT] predict latency for x: 0 ms\x1b[2J\x9b2J"
    nodes = [helper.make_node("Relu", ["missing" + name], ["y"], name)]
    result = predict(save(tmp_path / "m.onnx", nodes))
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1 and not {"\x1b", "\x9b"} & set(result.stderr)
    declared = helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 8, 16, 16))
    for node in (helper.make_node("Relu", ["x"], ["y"], name), helper.make_node(name, ["x"], ["y"], name)):
        for options in ([], ["--breakdown"], ["--json", "--breakdown"], ["--csv"]):
            path = save(tmp_path / f"{'m' if node.op_type == 'Relu' else name[-6:]}.onnx", [node], outputs=[declared])
            result = predict(path, *options)
            assert result.returncode == 0
            assert not {"\x1b", "\x9b"} & set(result.stdout + result.stderr)
            assert "\n(nn-Meter) [RESULT] predict latency for x" not in result.stdout


# ---------------------------------------------------------------- JSON: nn-Meter IR and fusion rules

NODE = {
    "attr": {"type": "relu", "attr": {}, "input_shape": [[1, 8, 8, 8]], "output_shape": [[1, 8, 8, 8]]},
    "inbounds": [],
    "outbounds": [],
}


def broken_ir():
    yield "cycle", json.dumps({"a": {**NODE, "inbounds": ["b"]}, "b": {**NODE, "inbounds": ["a"]}})
    yield "self", json.dumps({"a": {**NODE, "inbounds": ["a"]}})
    yield "deep", "[" * 200_000
    yield "deep object", '{"a":' * 100_000
    yield "cut", json.dumps({"a": NODE})[:-9]
    yield "bad text", '{"a\xff": 1}'.encode("latin-1")
    for key, value in [("inbounds", 7), ("inbounds", [1, {}]), ("attr", []), ("attr", None)]:
        yield f"{key} {value}", json.dumps({"a": {**NODE, key: value}})
    for shape in ([[1, 2**70, 8, 8]], [[1, 2**62, 2**62, 8]], [[1] * 100], "shape", [["x"]], [[1.5]]):
        yield f"shape {shape}", json.dumps({"a": {**NODE, "attr": {**NODE["attr"], "output_shape": shape}}})


@pytest.mark.parametrize("text", [pytest.param(text, id=name[:40]) for name, text in broken_ir()])
def test_ir(refused, tmp_path, text):
    path = tmp_path / "m.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(path, kind="--nn-meter-ir")


def nni_graph(nodes, edges, **more):
    operations = {name: {"operation": operation} for name, operation in nodes.items()}
    return json.dumps({"_model": {"inputs": ["x"], "outputs": ["y"], "nodes": operations, "edges": edges}, **more})


def nni_edge(head, tail):
    return {"head": head, "tail": tail}


def broken_nni():
    relu, start, end = {"type": "aten::relu"}, ["_inputs", 0], ["_outputs", None]
    conv = {"type": "__torch__.torch.nn.modules.conv.Conv2d"}
    through = [nni_edge(start, ["a", 0]), nni_edge(["a", None], end)]
    yield "no graph", json.dumps({"_model": []})
    yield "cut", nni_graph({"a": relu}, through)[:-5]
    yield "deep", '{"_model":' * 100_000
    yield "cycle", nni_graph({"a": relu}, [nni_edge(["a", None], ["a", 0])])
    yield "dangling", nni_graph({"a": relu}, [nni_edge(["b", None], ["a", 0])])
    yield "no edge", nni_graph({"a": relu}, [[], {}, 3])
    yield "slot", nni_graph({"a": relu}, [nni_edge(start, ["a", 2**40])])
    yield "itself", nni_graph({"a": {"type": "_cell", "cell_name": "_model"}}, through)
    yield "item", nni_graph({"a": {"type": "aten::__getitem__"}}, through)
    yield "no input", nni_graph({"a": relu}, [nni_edge(["a", None], end)])
    for value in (-1, 0, 2**62, "3", [1] * 1000, {"a": 1}, 1.5):
        for name in ("in_channels", "out_channels", "kernel_size", "stride", "padding", "groups"):
            given = {"in_channels": 8, "out_channels": 8, "kernel_size": 3, name: value}
            yield f"{name} {value}"[:30], nni_graph({"a": {**conv, "parameters": given}}, through)


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in broken_nni()])
def test_nni_ir(either, tmp_path, text):
    """A prediction or a fault of one line; the file's numbers are never trusted."""
    path = tmp_path / "m.json"
    path.write_text(text)
    either(path, kind="--nni-ir")


@pytest.mark.parametrize("text", ["", "[", "[]", "null", "7", "[" * 100_000, '{"BF_conv_relu": 3}', '{"a": {}'])
def test_fusion_rules(predict, tmp_path, text):
    rules = tmp_path / "rules.json"
    rules.write_text(text)
    result = predict(EXAMPLE, "--fusion-rules", rules)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1 and "rules.json" in result.stderr


# ---------------------------------------------------------------- pickles and predictor files


class Command:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def import_folder(nn_meter, tmp_path, content):
    folder = tmp_path / "predictor"
    folder.mkdir()
    (folder / "fusion_rules.json").write_text("{}")
    (folder / "relu.pkl").write_bytes(content)
    environment = {**os.environ, "NN_METER_HOME": str(tmp_path / "home")}
    result = nn_meter("import-predictor", folder, "--name", "evil", "--version", "1.0", env=environment)
    assert result.returncode == 1, result.stdout
    assert len(result.stderr.splitlines()) == 1 and "relu.pkl" in result.stderr, result.stderr
    assert not list((tmp_path / "home").rglob("*evil*"))
    return result.stderr


@pytest.mark.parametrize("protocol", range(6))
def test_pickle_that_runs_a_command(nn_meter, tmp_path, protocol):
    marker = tmp_path / "was here"
    message = import_folder(nn_meter, tmp_path, pickle.dumps(Command(os.system, f"touch '{marker}'"), protocol))
    assert not marker.exists()
    assert "system" in message


@pytest.mark.parametrize("name", ["eval", "exec", "getattr", "__import__"])
def test_pickle_that_calls_a_builtin(nn_meter, tmp_path, name):
    call = f"cbuiltins\n{name}\n(V1+1\ntR.".encode()
    assert name in import_folder(nn_meter, tmp_path, call)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b".",
        b"N.",
        b"(" * 500_000 + b".",
        b"]" * 500_000 + b".",
        b"0.",
        b"\x80\x05\x95" + b"\xff" * 8 + b".",
        b"\x8e" + b"\xff" * 8 + b".",
        b"T" + b"\xff\xff\xff\x7f" + b".",
        b"h\xff.",
        b"j\xff\xff\xff\xff.",
        b"r\xff\xff\xff\xff.",
        b"]q\x00" + b"(h\x00" * 10_000 + b"l." * 1,
        pickle.dumps([[[]]] * 1000),
        b"\x80\x04I" + b"9" * 100_000 + b"\n.",
        b"not a pickle at all",
    ],
    ids=lambda content: repr(content[:12]),
)
def test_broken_pickle(nn_meter, tmp_path, content):
    import_folder(nn_meter, tmp_path, content)


def test_damaged_predictor_file(nn_meter, shared, tmp_path):
    legacy = shared / "legacy" / "k8_predictor"
    folder = tmp_path / "predictor"
    folder.mkdir()
    for name in ("relu.pkl", "fusion_rules.json"):
        shutil.copyfile(legacy / name, folder / name)
    environment = {**os.environ, "NN_METER_HOME": str(tmp_path / "home")}
    nn_meter("import-predictor", folder, "--name", "small", "--version", "1.0", env=environment)
    (path,) = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    original = path.read_bytes()
    damaged = tmp_path / "damaged"
    places = [*range(0, 160, 3), *range(160, len(original), max(1, len(original) // 40))]
    for place in places:
        for content in (original[:place], original[:place] + bytes([original[place] ^ 0x10]) + original[place + 1 :]):
            damaged.write_bytes(content)
            result = nn_meter("predict", "--predictor", damaged, "--onnx", EXAMPLE)
            assert result.returncode == 1, place
            assert len(result.stderr.splitlines()) == 1 and "damaged" in result.stderr
