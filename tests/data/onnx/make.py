"""Writes the ONNX files of this folder: y_* are good, n_* are bad, and expected.tsv says what each bad one must be told.

Run with the onnx package (1.16 or newer) after a change here; the files are committed, so tests do not need Python.
"""

import io
import pathlib
import struct
import zipfile

import numpy
from onnx import AttributeProto, SparseTensorProto, TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent
FLOAT = TensorProto.FLOAT
expected = []  # (file, status, part of the message)


# ---------------------------------------------------------------- helpers


def value(name, shape, dtype=FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def node(kind, inputs, outputs, name=None, **attributes):
    return helper.make_node(kind, inputs, outputs, name=name, **attributes)


def graph(nodes, inputs, outputs, weights=(), name="graph", values=()):
    return helper.make_graph(nodes, name, inputs, outputs, initializer=list(weights), value_info=list(values))


def model(main, functions=(), opset=17, domains=("local",)):
    imports = [helper.make_opsetid("", opset)]
    if functions:
        imports += [helper.make_opsetid(domain, 1) for domain in domains]
    return helper.make_model(
        main,
        opset_imports=imports,
        functions=list(functions),
        ir_version=10,
        producer_name="make.py",
        producer_version="1",
    )


def array(name, values, dtype):
    return numpy_helper.from_array(numpy.array(values, dtype), name)


def weight(name, *shape):
    """A weight without elements: what stripping tools leave."""
    return TensorProto(name=name, data_type=FLOAT, dims=shape)


def good(name, proto):
    data = proto if isinstance(proto, bytes) else proto.SerializeToString(deterministic=True)
    (HERE / f"y_{name}.onnx").write_bytes(data)


def bad(name, status, message, proto):
    data = proto if isinstance(proto, bytes) else proto.SerializeToString(deterministic=True)
    (HERE / f"n_{name}.onnx").write_bytes(data)
    expected.append((f"n_{name}.onnx", status, message))


# protobuf by hand, for what no library writes


def varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out + bytes([number]))


def field(number, content):
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    if isinstance(content, str):
        content = content.encode()
    return varint(number << 3 | 2) + varint(len(content)) + content


def raw_model(graph_bytes):
    return field(1, 8) + field(2, "by hand") + field(7, graph_bytes) + field(8, field(2, 17))


def raw_value(name, *dims):
    shape = b"".join(field(1, field(1, dim)) for dim in dims)
    return field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, shape)))


def raw_node(kind, inputs, outputs, extra=b""):
    return b"".join(field(1, i) for i in inputs) + b"".join(field(2, o) for o in outputs) + field(4, kind) + extra


X, Y = value("x", [1, 3, 8, 8]), value("y", None)


# ---------------------------------------------------------------- good files


def write_network():
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"], "conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
        node("BatchNormalization", ["c", "scale", "shift", "mean", "var"], ["n"], "bn", epsilon=1e-5),
        node("Relu", ["n"], ["r"], "relu"),
        node("GlobalAveragePool", ["r"], ["g"], "pool"),
        node("Reshape", ["g", "shape"], ["f"], "flatten"),
        node("Gemm", ["f", "fc.w", "fc.b"], ["y"], "fc", transB=1),
    ]
    weights = [
        array("w", numpy.zeros((4, 3, 3, 3)), "float32"),
        array("b", numpy.zeros(4), "float32"),
        array("scale", [1, 1, 1, 1], "float32"),
        array("shift", [0, 0, 0, 0], "float32"),
        array("mean", [0, 0, 0, 0], "float32"),
        array("var", [1, 1, 1, 1], "float32"),
        array("shape", [0, -1], "int64"),
        weight("fc.w", 10, 4),
        weight("fc.b", 10),
    ]
    good(
        "network",
        model(
            graph(
                nodes,
                [value("x", ["batch", 3, 8, 8])],
                [value("y", ["batch", 10])],
                weights,
                values=[value("c", ["batch", 4, 4, 4])],
            )
        ),
    )


def write_typed_data():
    """The same numbers 1, 2, 3 in every way a tensor can spell them."""
    kinds = [
        (TensorProto.FLOAT, "float_data"),
        (TensorProto.DOUBLE, "double_data"),
        (TensorProto.INT64, "int64_data"),
        (TensorProto.UINT64, "uint64_data"),
        (TensorProto.UINT32, "uint64_data"),
    ]
    kinds += [
        (kind, "int32_data")
        for kind in (TensorProto.INT32, TensorProto.INT16, TensorProto.INT8, TensorProto.UINT16, TensorProto.UINT8)
    ]
    weights = []
    for kind, where in kinds:
        tensor = TensorProto(name=f"{TensorProto.DataType.Name(kind).lower()}", data_type=kind, dims=[3])
        getattr(tensor, where).extend([1, 2, 3])
        weights.append(tensor)
    weights.append(
        TensorProto(name="float16", data_type=TensorProto.FLOAT16, dims=[3], int32_data=[0x3C00, 0x4000, 0x4200])
    )
    weights.append(
        TensorProto(name="bfloat16", data_type=TensorProto.BFLOAT16, dims=[3], int32_data=[0x3F80, 0x4000, 0x4040])
    )
    weights.append(TensorProto(name="bool", data_type=TensorProto.BOOL, dims=[3], int32_data=[1, 0, 1]))
    weights.append(TensorProto(name="negative", data_type=TensorProto.INT32, dims=[3], int32_data=[-1, -2, -3]))
    weights.append(TensorProto(name="int4", data_type=TensorProto.INT4, dims=[3], int32_data=[0x21, 0x03]))
    weights.append(TensorProto(name="float8", data_type=TensorProto.FLOAT8E5M2, dims=[3], raw_data=b"\1\2\3"))
    weights.append(TensorProto(name="string", data_type=TensorProto.STRING, dims=[3], string_data=[b"a", b"b", b"c"]))
    weights.append(
        TensorProto(name="complex64", data_type=TensorProto.COMPLEX64, dims=[3], float_data=[1, 0, 2, 0, 3, 0])
    )
    weights.append(TensorProto(name="raw", data_type=TensorProto.INT64, dims=[3], raw_data=struct.pack("<3q", 1, 2, 3)))
    weights.append(TensorProto(name="one_for_all", data_type=FLOAT, dims=[100], raw_data=struct.pack("<f", 7)))
    weights.append(TensorProto(name="scalar", data_type=TensorProto.INT64, dims=[], int64_data=[5]))
    weights.append(TensorProto(name="empty", data_type=TensorProto.INT64, dims=[0]))
    weights.append(TensorProto(name="many", data_type=TensorProto.INT64, dims=[5000], int64_data=[1] * 5000))
    weights.append(TensorProto(name="many_floats", data_type=FLOAT, dims=[5000], float_data=[1.5] * 5000))
    outside = TensorProto(name="outside", data_type=FLOAT, dims=[1000, 1000], data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="weights_that_are_not_there.bin")
    weights.append(outside)
    good("typed_data", model(graph([node("Identity", ["x"], ["y"])], [X], [Y], weights)))


def write_attributes():
    every = node(
        "Everything",
        ["x"],
        ["y"],
        "every",
        domain="custom",
        an_int=-7,
        a_float=0.5,
        a_text="text",
        ints=[1, -2, 3],
        floats=[0.5, -1.5],
        texts=["a", "b"],
        a_tensor=array("t", [4, 5], "int64"),
    )
    every.attribute.append(AttributeProto(name="bytes", type=AttributeProto.STRING, s=b"\xff\0\x80ok"))
    every.attribute.append(AttributeProto(name="no_ints", type=AttributeProto.INTS))
    every.attribute.append(AttributeProto(name="zero", type=AttributeProto.INT))
    every.attribute.append(AttributeProto(name="untyped", i=3))
    every.attribute.append(AttributeProto(name="two_kinds", type=AttributeProto.INT, f=0, i=9))
    every.attribute.append(
        AttributeProto(
            name="tensors", type=AttributeProto.TENSORS, tensors=[array("t", [1], "int64"), array("t", [2], "int64")]
        )
    )
    sparse = SparseTensorProto(
        values=array("v", [1.0, 2.0], "float32"), indices=array("i", [3, 9], "int64"), dims=[4, 5]
    )
    every.attribute.append(AttributeProto(name="sparse", type=AttributeProto.SPARSE_TENSOR, sparse_tensor=sparse))
    every.attribute.append(helper.make_attribute("a_type", helper.make_tensor_type_proto(FLOAT, [1])))
    main = graph([every], [X], [Y])
    main.sparse_initializer.append(
        SparseTensorProto(
            values=array("sparse_weight", [1.0], "float32"), indices=array("i", [3], "int64"), dims=[6, 7]
        )
    )
    good("attributes", model(main))


def write_constants():
    nodes = [
        node("Constant", [], ["tensor"], value=array("", [2, 3], "int64")),
        node("Constant", [], ["int"], value_int=4),
        node("Constant", [], ["ints"], value_ints=[5, 6]),
        node("Constant", [], ["float"], value_float=0.25),
        node("Constant", [], ["floats"], value_floats=[1.0, 2.0]),
        node("Constant", [], ["text"], value_string="text"),
        node("Constant", [], ["texts"], value_strings=["a", "b"]),
        node("Reshape", ["x", "tensor"], ["y"]),
    ]
    sparse = SparseTensorProto(values=array("v", [1.0], "float32"), indices=array("i", [3], "int64"), dims=[4])
    nodes.append(helper.make_node("Constant", [], ["sparse"], sparse_value=sparse))
    good("constants", model(graph(nodes, [value("x", [6])], [Y])))


def write_names():
    nodes = [
        node("Resize", ["x", "", "scales"], ["a"], "same"),
        node("Relu", ["a"], ["b"], "same"),
        node("Relu", ["b"], ["c"]),
        node("Dropout", ["c"], ["grüße", ""]),
        node("Relu", ["grüße"], ["y"], "line\nbreak"),
    ]
    good("names", model(graph(nodes, [X], [Y], [array("scales", [1, 1, 2, 2], "float32")])))


def write_bodies():
    inner = graph([node("Add", ["outside", "x"], ["deep"], "deep_add")], [], [value("deep", None)])
    other = graph([node("Identity", ["x"], ["same"], "keep")], [], [value("same", None)])
    then = graph(
        [node("If", ["flag"], ["nested"], "inner_if", then_branch=inner, else_branch=other)],
        [],
        [value("nested", None)],
    )
    otherwise = graph(
        [node("Relu", ["hidden"], ["out"], "reads_own")],
        [],
        [value("out", None)],
        [array("hidden", numpy.zeros((2, 2)), "float32")],
    )
    loop = graph(
        [node("Identity", ["keep_going"], ["again"]), node("Add", ["x", "step"], ["next"], "loop_add")],
        [value("i", [], TensorProto.INT64), value("keep_going", [], TensorProto.BOOL), value("x", [1])],
        [value("again", None, TensorProto.BOOL), value("next", None)],
        [array("step", [1], "float32")],
    )
    nodes = [
        node("If", ["flag"], ["chosen"], "outer_if", then_branch=then, else_branch=otherwise),
        node("Relu", ["hidden"], ["outside"], "defines_late"),
        node("Loop", ["trips", "", "chosen"], ["y"], "loop", body=loop),
    ]
    good(
        "bodies",
        model(
            graph(
                nodes,
                [
                    value("x", [4]),
                    value("flag", [], TensorProto.BOOL),
                    value("hidden", [4]),
                    value("trips", [], TensorProto.INT64),
                ],
                [Y],
            )
        ),
    )


def function(name, inputs, outputs, nodes, attributes=(), defaults=(), overload="", domain="local"):
    proto = helper.make_function(
        domain,
        name,
        inputs,
        outputs,
        nodes,
        [helper.make_opsetid("", 17)],
        attributes=list(attributes),
        attribute_protos=list(defaults),
    )
    proto.overload = overload
    return proto


def reference(attribute, of, kind):
    return AttributeProto(name=attribute, type=kind, ref_attr_name=of)


def write_functions():
    """Nested calls, attributes handed down, defaults, optional ports, an overload, an input handed on, a body."""
    elu = node("Elu", ["a"], ["b"], "elu")
    elu.attribute.append(reference("alpha", "slope", AttributeProto.FLOAT))
    inner = function("Inner", ["a", "unused"], ["b"], [elu], defaults=[helper.make_attribute("slope", 0.25)])
    call = node("Inner", ["t"], ["u"], "call", domain="local")
    call.attribute.append(reference("slope", "outer_slope", AttributeProto.FLOAT))
    outer = function(
        "Outer",
        ["p", "q"],
        ["r", "rest"],
        [
            node("Add", ["p", "q"], ["t"], "add"),
            call,
            node("Relu", ["u"], ["r"], "relu"),
            node("Neg", ["u"], ["rest"], "neg"),
        ],
        attributes=["outer_slope"],
    )
    clip = function("Clip", ["a", "low"], ["b"], [node("Max", ["a", "low"], ["b"], "max")], domain="maths")
    overload = function("Inner", ["a"], ["b"], [node("Sigmoid", ["a"], ["b"], "sigmoid")], overload="v2")
    forward = function("Forward", ["a"], ["a"], [])
    branch = graph([node("Relu", ["a"], ["inside"], "branch_relu")], [], [value("inside", None)])
    hiding = graph([node("Neg", ["b"], ["a"], "branch_neg")], [], [value("a", None)])
    chooses = function(
        "Choose", ["flag", "a", "b"], ["c"], [node("If", ["flag"], ["c"], "if", then_branch=branch, else_branch=hiding)]
    )
    second = node("Inner", ["second_in"], ["second_out"], "second", domain="local", overload="v2")
    nodes = [
        node("Outer", ["x", "x"], ["o", ""], "first", domain="local", outer_slope=0.75),
        node("Outer", ["o", "x"], ["second_in"], domain="local"),
        second,
        node("Forward", ["second_out"], ["kept"], domain="local"),
        node("Choose", ["flag", "kept", "x"], ["chosen"], "choose", domain="local"),
        node("Clip", ["chosen", ""], ["y"], "clip", domain="maths"),
    ]
    main = graph(nodes, [value("x", [4]), value("flag", [], TensorProto.BOOL)], [Y])
    good("functions", model(main, [inner, outer, clip, overload, forward, chooses], domains=("local", "maths")))


def write_weights_as_inputs():
    """As torch writes with export_params=False."""
    nodes = [
        node("Conv", ["x", "conv.weight", "conv.bias"], ["c"]),
        node("BatchNormalization", ["c", "bn.weight", "bn.bias", "m", "v"], ["n"]),
        node("Add", ["n", "other_data"], ["s"]),
        node("GlobalAveragePool", ["s"], ["g"]),
        node("Flatten", ["g"], ["f"]),
        node("Transpose", ["fc"], ["ft"]),
        node("MatMul", ["f", "ft"], ["h"]),
        node("Add", ["h", "offset"], ["y"]),
    ]
    inputs = [
        value("x", ["n", 3, 8, 8]),
        value("other_data", [1, 4, 6, 6]),
        value("conv.weight", [4, 3, 3, 3]),
        value("conv.bias", [4]),
        value("bn.weight", [4]),
        value("bn.bias", [4]),
        value("m", [4]),
        value("v", [4]),
        value("fc", [10, 4]),
        value("offset", [10]),
        value("dynamic", ["k"]),
        value("default", [2]),
    ]
    inputs += [value("rnn.weight_ih_l0", [8, 4]), value("handed.weight", [4])]
    nodes.append(node("Slice", ["rnn.weight_ih_l0", "from", "to"], ["sliced"]))
    nodes += [node("Constant", [], ["from"], value_ints=[0]), node("Constant", [], ["to"], value_ints=[4])]
    nodes.append(node("Relu", ["handed.weight"], ["handed"]))
    nodes.append(node("PRelu", ["h", "dynamic"], ["z"]))
    nodes.append(node("PRelu", ["h", "default"], ["zz"]))
    good(
        "weights_as_inputs",
        model(graph(nodes, inputs, [Y, value("handed.weight", [4])], [array("default", [1, 2], "float32")])),
    )


def write_by_hand():
    """Packed dims and ints, fields in reverse order, unknown fields in between, no opset, attributes without type."""
    packed = field(1, "kernel_shape") + field(8, varint(3) + varint(3)) + field(99, "unknown")
    pads = field(8, 1) + field(8, 2) + field(8, 3) + field(8, 4) + field(1, "pads")
    conv = raw_node("Conv", ["x", "w"], ["y"], field(5, packed) + field(5, pads) + field(50, 1))
    tensor = field(8, "w") + field(2, FLOAT) + field(1, varint(4) + varint(3) + varint(3) + varint(3))
    main = (
        field(12, raw_value("y"))
        + field(77, b"\xff\xff")
        + field(5, tensor)
        + field(11, raw_value("x", 1, 3, 8, 8))
        + field(1, conv)
    )
    good("by_hand", field(7, main) + field(40, 12345) + field(1, 3))
    # ... and with ir_version in front, where the reader looks for it when it has to guess the format
    good("by_hand_in_order", field(1, 3) + field(7, main))


# ---------------------------------------------------------------- bad files


def write_bad_graphs():
    relu = [node("Relu", ["x"], ["y"])]
    bad("dangling", "GRAPH", "nothing defines", model(graph([node("Relu", ["nowhere"], ["y"])], [X], [Y])))
    bad("dangling_output", "GRAPH", "nothing defines", model(graph(relu, [X], [value("z", None)])))
    bad("cycle", "GRAPH", "cycle", model(graph([node("Relu", ["y"], ["z"]), node("Relu", ["z"], ["y"])], [X], [Y])))
    bad("self_loop", "GRAPH", "cycle", model(graph([node("Relu", ["y"], ["y"])], [X], [Y])))
    bad("output_twice", "GRAPH", "defined twice", model(graph(relu + relu, [X], [Y])))
    bad("input_twice", "GRAPH", "defined twice", model(graph(relu, [X, X], [Y])))
    bad("weight_twice", "GRAPH", "defined twice", model(graph(relu, [X], [Y], [weight("w", 1), weight("w", 2)])))
    bad("weight_is_output", "GRAPH", "defined twice", model(graph(relu, [X], [Y], [weight("y", 1)])))
    bad("no_operator", "FORMAT", "no operator type", model(graph([node("", ["x"], ["y"])], [X], [Y])))
    bad("unnamed_input", "FORMAT", "an input without a name", model(graph(relu, [value("", [1])], [Y])))
    bad("unnamed_weight", "FORMAT", "an initializer without a name", model(graph(relu, [X], [Y], [weight("", 1)])))
    stray = node("Relu", ["x"], ["y"])
    stray.attribute.append(reference("alpha", "slope", AttributeProto.FLOAT))
    bad("stray_reference", "GRAPH", "refers to one of a function", model(graph([stray], [X], [Y])))
    mixed = node("Relu", ["x"], ["y"])
    mixed.attribute.append(AttributeProto(name="a", type=AttributeProto.INT, f=1.5))
    bad("attribute_of_other_type", "FORMAT", "without a value of its type", model(graph([mixed], [X], [Y])))
    body = field(1, raw_node("Relu", ["x"], ["out"])) + field(12, raw_value("out"))
    for _ in range(80):
        branch = field(5, field(1, "then_branch") + field(6, body))
        body = field(1, raw_node("If", ["x"], ["out"], branch)) + field(12, raw_value("out"))
    bad("deep_bodies", "LIMIT", "nested more than", raw_model(field(11, raw_value("x", 1)) + body))
    escape = graph([node("Relu", ["x"], ["inner"])], [], [value("inner", None)])
    bad(
        "reads_out_of_body",
        "GRAPH",
        "nothing defines",
        model(graph([node("If", ["x"], ["z"], then_branch=escape), node("Relu", ["inner"], ["y"])], [X], [Y])),
    )


def write_bad_tensors():
    def with_weight(**fields):
        return model(graph([node("Relu", ["x"], ["y"])], [X], [Y], [TensorProto(name="w", **fields)]))

    bad("negative_dim", "FORMAT", "negative dimension", with_weight(data_type=FLOAT, dims=[2, -3]))
    bad("dims_overflow", "LIMIT", "more than", with_weight(data_type=FLOAT, dims=[1 << 40, 1 << 40]))
    bad("dims_wrap_to_zero", "LIMIT", "more than", with_weight(data_type=FLOAT, dims=[1 << 32, 1 << 32]))
    bad("rank", "LIMIT", "dimensions", with_weight(data_type=FLOAT, dims=[1] * 17))
    bad("raw_too_short", "FORMAT", "need", with_weight(data_type=FLOAT, dims=[3], raw_data=b"12345678"))
    bad("raw_too_long", "FORMAT", "need", with_weight(data_type=FLOAT, dims=[3], raw_data=b"1234567890123456"))
    bad("numbers_too_few", "FORMAT", "need", with_weight(data_type=TensorProto.INT64, dims=[3], int64_data=[1, 2]))
    bad("input_dim", "LIMIT", "dimension", model(graph([node("Relu", ["x"], ["y"])], [value("x", [1 << 60])], [Y])))
    bad("input_rank", "LIMIT", "dimensions", model(graph([node("Relu", ["x"], ["y"])], [value("x", [1] * 17)], [Y])))
    tensor = field(8, "w") + field(2, TensorProto.INT64) + field(1, 2) + field(7, b"\x01\xff")
    bad("numbers_cut_short", "FORMAT", "no numbers", raw_model(field(5, tensor)))
    tensor = field(8, "w") + field(2, FLOAT) + field(1, b"\xff")
    bad("dims_cut_short", "FORMAT", "no numbers", raw_model(field(5, tensor)))


def write_bad_functions():
    def main(kind):
        return graph([node(kind, ["x"], ["y"], "start", domain="local")], [X], [Y])

    itself = function("Again", ["a"], ["b"], [node("Again", ["a"], ["b"], domain="local")])
    bad("function_recursion", "GRAPH", "calls itself", model(main("Again"), [itself]))
    ping = function("Ping", ["a"], ["b"], [node("Pong", ["a"], ["b"], domain="local")])
    pong = function("Pong", ["a"], ["b"], [node("Ping", ["a"], ["b"], domain="local")])
    bad("function_mutual_recursion", "GRAPH", "calls itself", model(main("Ping"), [ping, pong]))
    chain = [function(f"F{i}", ["a"], ["b"], [node(f"F{i + 1}", ["a"], ["b"], domain="local")]) for i in range(40)]
    chain.append(function("F40", ["a"], ["b"], [node("Relu", ["a"], ["b"])]))
    bad("function_depth", "LIMIT", "too deep", model(main("F0"), chain))
    bomb = [
        function(
            f"F{i}",
            ["a"],
            ["b"],
            [node(f"F{i + 1}", ["a"], ["t"], domain="local"), node(f"F{i + 1}", ["t"], ["b"], domain="local")],
        )
        for i in range(30)
    ]
    bomb.append(function("F30", ["a"], ["b"], []))
    bad("function_bomb", "LIMIT", "never ends", model(main("F0"), bomb))
    twin = function("Twin", ["a"], ["b"], [node("Relu", ["a"], ["b"])])
    bad("function_twice", "GRAPH", "defined twice", model(main("Twin"), [twin, twin]))
    none = function("None", [], ["b"], [node("Constant", [], ["b"], value_int=1)])
    bad("function_too_many_inputs", "GRAPH", "fewer inputs", model(main("None"), [none]))
    same = function("Same", ["a", "a"], ["b"], [node("Relu", ["a"], ["b"])])
    bad("function_equal_inputs", "GRAPH", "one name", model(main("Same"), [same]))
    relu = node("Elu", ["a"], ["b"])
    relu.attribute.append(reference("alpha", "alpha", AttributeProto.FLOAT))
    endless = function("Endless", ["a"], ["b"], [relu], defaults=[reference("alpha", "alpha", AttributeProto.FLOAT)])
    bad("function_endless_default", "GRAPH", "refers to another", model(main("Endless"), [endless]))


def write_bad_bytes():
    relu = field(1, raw_node("Relu", ["x"], ["y"]))
    ports = field(11, raw_value("x", 1)) + field(12, raw_value("y"))
    bad("name_not_utf8", "FORMAT", "not UTF-8", raw_model(field(1, raw_node("Relu", ["x"], [b"\xff\xfe"])) + ports))
    bad(
        "name_overlong_utf8", "FORMAT", "not UTF-8", raw_model(field(1, raw_node("Relu", ["x"], [b"\xc0\x80"])) + ports)
    )
    bad("name_with_nul", "FORMAT", "not UTF-8", raw_model(field(1, raw_node("Relu", ["x"], [b"a\0b"])) + ports))
    bad("name_too_long", "LIMIT", "a name of", raw_model(field(1, raw_node("Relu", ["x"], ["n" * 70000])) + ports))
    bad("wrong_wire_type", "FORMAT", "wrong type", raw_model(field(1, 5) + ports))
    bad("group", "FORMAT", "impossible length or type", raw_model(relu + b"\x0b\x0c" + ports))
    bad("field_zero", "FORMAT", "no protobuf field", raw_model(relu + b"\x02\x00" + ports))
    bad("length_lies", "FORMAT", "impossible length", raw_model(relu + varint(1 << 3 | 2) + varint(1 << 40)))
    bad("length_is_negative", "FORMAT", "impossible length", raw_model(relu + varint(1 << 3 | 2) + varint(-1)))
    bad("endless_varint", "FORMAT", "no protobuf field", raw_model(relu + b"\xff" * 12))
    bad("two_graphs", "FORMAT", "second graph", raw_model(relu + ports) + field(7, relu + ports))
    bad("no_graph", "FORMAT", "no graph", field(1, 8) + field(2, "nothing") + field(8, field(2, 17)))
    bad("opset", "FORMAT", "operator set", field(1, 8) + field(8, field(2, -5)) + field(7, relu + ports))
    whole = raw_model(relu + ports)
    bad("cut_short", "FORMAT", "cut short", whole[: len(whole) // 2])


def write_other_formats():
    bad("empty", "FORMAT", "is empty", b"")
    bad("json", "FORMAT", "looks like nn-Meter IR", b'{"conv": {"inbounds": []}}')
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(zipfile.ZipInfo("model/data.pkl"), b"\x80\x02}q\x00.")
    bad("zip", "FORMAT", "zip archive", archive.getvalue())
    bad("tflite", "FORMAT", "TensorFlow Lite", b"\x1c\0\0\0TFL3" + bytes(32))
    nodes = b"".join(field(1, field(1, name) + field(2, "Placeholder")) for name in ("input", "output"))
    bad("frozen_graph", "FORMAT", "looks like a TensorFlow model", nodes)
    meta = field(1, field(4, "serve") + field(5, "2.21.0")) + field(2, nodes)
    bad("saved_model", "FORMAT", "looks like a TensorFlow model", field(1, 1) + field(2, meta))
    bad("pickle", "FORMAT", "pickle", b"\x80\x02}q\x00.")
    bad("lfs_pointer", "FORMAT", "Git LFS", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    bad("web_page", "FORMAT", "web page", b"<!DOCTYPE html><html></html>")
    bad("hdf5", "FORMAT", "HDF5", b"\x89HDF\r\n\x1a\n" + bytes(32))
    bad("text", "FORMAT", "plain text", b"ir_version: 8\n")
    bad("noise", "FORMAT", "not known", bytes((i * 37 + 11) % 256 for i in range(256)))


def main():
    for old in [*HERE.glob("y_*.onnx"), *HERE.glob("n_*.onnx")]:
        old.unlink()
    for name, write in list(globals().items()):
        if name.startswith("write_"):
            write()
    lines = ["\t".join(row) for row in sorted(expected)]
    (HERE / "expected.tsv").write_text("\n".join(lines) + "\n")


main()
