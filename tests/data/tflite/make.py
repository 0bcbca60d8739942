"""Writes the TFLite files of this folder: y_* are good, n_* are bad, and expected.tsv says what each bad one must be told.

Needs nothing but Python; the files are committed, so that the C tests do not need it.
"""

import pathlib
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "writers"))
from flatbuffer import Ints, flatbuffer, i8, i32, i64, u8, u32, u64  # noqa: E402
from tflite_file import (  # noqa: E402
    BOOL,
    HALF,
    INT8,
    INT32,
    RELU,
    RELU6,
    RELU_N1_TO_1,
    RESOURCE,
    SAME,
    VALID,
    Graph,
    axes,
    depthwise,
    hlo_convolution,
    pool,
    start,
    window,
)  # fmt: skip

expected = []  # (file, status, part of the message)


def good(name, content):
    (HERE / f"y_{name}.tflite").write_bytes(content if isinstance(content, bytes) else flatbuffer(content))


def bad(name, status, message, content):
    (HERE / f"n_{name}.tflite").write_bytes(content if isinstance(content, bytes) else flatbuffer(content))
    expected.append((f"n_{name}.tflite", status, message))


# ------------------------------------------------------------- good files


def network():
    model, graph = start(1, 9, 8, 3, signature=[-1, 9, 8, 3])
    graph.weight("w1", 4, 3, 2, 3)
    graph.weight("b1", 4)
    graph.tensor("relu;conv;bias", [1, 5, 8, 4], signature=[-1, 5, 8, 4])
    graph.op("CONV_2D", ["x", "w1", "b1"], ["relu;conv;bias"], window(SAME, (2, 1), RELU6))
    graph.weight("w2", 1, 3, 3, 8)
    graph.op("DEPTHWISE_CONV_2D", ["relu;conv;bias", "w2", "-"], ["deep"], depthwise(SAME, (1, 1), 0, (2, 2)))
    graph.op("MAX_POOL_2D", ["deep"], ["pooled"], pool(VALID, (2, 2), (2, 2)))
    graph.ints("axes", [1, 2])
    graph.op("MEAN", ["pooled", "axes"], ["mean"], {0: u8(1)})
    graph.weight("w3", 10, 8)
    graph.op("FULLY_CONNECTED", ["mean", "w3", "-"], ["dense"], {0: i8(0)})
    graph.op("SOFTMAX", ["dense"], ["y"])
    graph.output("y")
    return model.table()


def names():
    model, graph = start(2, 3)
    graph.tensor("same", [2, 3], key="first")
    graph.tensor("same", [2, 3], key="second")
    graph.tensor("same#1", [2, 3], key="third")
    graph.tensor("", [2, 3], key="unnamed")
    graph.op("RELU", ["x"], ["third"])
    graph.op("RELU", ["third"], ["first"])
    graph.op("RELU", ["first"], ["second"])
    graph.op("RELU", ["second"], ["unnamed"])
    graph.output("unnamed")
    return model.table()


def stored():
    """Weights in every disguise."""
    model, graph = start(1, 4, 4, 8)
    graph.weight("half", 4, 1, 1, 8, kind=HALF)
    graph.tensor("widened", [4, 1, 1, 8])
    graph.op("DEQUANTIZE", ["half"], ["widened"])
    graph.op("CONV_2D", ["x", "widened", "-"], ["a"], window(SAME, (1, 1)))
    graph.tensor("sparse", [4, 1, 1, 4], buffer=model.buffer(bytes(12)), sparse=True)
    graph.tensor("dense", [4, 1, 1, 4])
    graph.op("DENSIFY", ["sparse"], ["dense"])
    graph.op("CONV_2D", ["a", "dense", "-"], ["b"], window(SAME, (1, 1)))
    graph.weight("stripped", 4, 1, 1, 4, size=0)
    graph.op("CONV_2D", ["b", "stripped", "-"], ["c"], window(SAME, (1, 1)))
    model.buffers.append({1: u64(0), 2: u64(64)})
    outside = len(model.buffers) - 1
    graph.tensor("outside", [4, 1, 1, 4], buffer=outside)
    graph.op("CONV_2D", ["c", "outside", "-"], ["d"], window(SAME, (1, 1), RELU_N1_TO_1))
    graph.tensor("int8", [1, 4, 4, 4], INT8)
    graph.op("QUANTIZE", ["d"], ["int8"])
    graph.output("int8")
    table = model.table()
    size = len(flatbuffer(table))
    model.buffers[outside][1] = u64(size)  # behind everything else
    return flatbuffer(model.table()) + bytes(range(64))


def types():
    """One weight of each element type, 1 2 3 where that can be said."""
    model, graph = start(1)
    kinds = {"float": (0, "f"), "half": (1, "e"), "int32": (2, "i"), "uint8": (3, "B"), "int64": (4, "q"),
             "bool": (6, "B"), "int16": (7, "h"), "int8": (9, "b"), "double": (10, "d"), "uint64": (12, "Q"),
             "uint32": (15, "I"), "uint16": (16, "H")}  # fmt: skip
    for name, (kind, layout) in kinds.items():
        values = [1, 0, 1] if name == "bool" else [1, 2, 3]
        graph.tensor(name, [3], kind, buffer=model.buffer(struct.pack(f"<3{layout}", *values)))
    graph.tensor("int4", [3], 17, buffer=model.buffer(b"\x21\x03"))
    graph.tensor("strange", [3], 77, buffer=model.buffer(bytes(12)))
    graph.tensor("scalar", [], INT32, buffer=model.buffer(struct.pack("<i", 5)))
    graph.tensor("empty", [0], INT32)
    read = [*kinds, "int4", "strange", "scalar", "empty"]
    graph.op("CUSTOM", ["x", *read], ["y"], custom="Everything")
    graph.output("y")
    return model.table()


def operators():
    """What takes more than a name to translate; the shapes that must come out are in test_tflite.c."""
    model, graph = start(1, 8, 6, 4)
    graph.ints("axis", [3], [])
    graph.op("SPLIT", ["axis", "x"], ["split_1", "split_2"])
    graph.ints("sizes", [1, -1, 1])
    graph.op("SPLIT_V", ["x", "sizes", "axis"], ["split_v_1", "split_v_2", "split_v_3"])
    graph.ints("begin", [0, 1, 2, 0])
    graph.ints("size", [-1, 3, -1, 2])
    graph.op("SLICE", ["x", "begin", "size"], ["sliced"])
    graph.ints("end", [1, 7, 6, 4])
    graph.ints("steps", [1, 2, -1, 1])
    graph.op("STRIDED_SLICE", ["x", "begin", "end", "steps"], ["strided"], {1: i32(4), 4: i32(8)})
    graph.ints("order", [0, 3, 1, 2])
    graph.op("TRANSPOSE", ["x", "order"], ["transposed"])
    graph.op("RESHAPE", ["x"], ["by_option"], {0: Ints([2, -1])})
    graph.op("SHAPE", ["x"], ["shape"])
    graph.op("UNPACK", ["shape"], ["n", "h", "w", "c"], {0: i32(4), 1: i32(0)})
    graph.op("MUL", ["h", "w"], ["hw"], {0: i8(0)})
    graph.op("PACK", ["n", "hw", "c"], ["packed"], {0: i32(3), 1: i32(0)})
    graph.op("RESHAPE", ["x", "packed"], ["by_input"])
    graph.op("SQUEEZE", ["x"], ["squeezed"], {0: Ints([0])})
    graph.op("ARG_MAX", ["x", "axis"], ["largest"])
    graph.ints("ids", [1, 2])
    graph.weight("table", 9, 5)
    graph.op("EMBEDDING_LOOKUP", ["ids", "table"], ["embedded"])
    graph.op("GATHER", ["x", "ids"], ["gathered"], {0: i32(2), 1: i32(0)})
    graph.ints("wanted", [1, 16, 12, 5])
    graph.weight("up", 5, 3, 3, 4)
    graph.op("TRANSPOSE_CONV", ["wanted", "up", "x"], ["upwards"], {0: i8(SAME), 1: i32(2), 2: i32(2), 3: i8(RELU)})
    graph.op("PACK", ["n", "hw", "h", "c"], ["computed"], {0: i32(4), 1: i32(0)})
    graph.op("TRANSPOSE_CONV", ["computed", "up", "x"], ["computed_up"], {0: i8(SAME), 1: i32(2), 2: i32(6)})
    graph.ints("blocks", [2, 3])
    graph.ints("pads", [1, 1, 0, 0], [2, 2])
    graph.op("SPACE_TO_BATCH_ND", ["x", "blocks", "pads"], ["batched"])
    graph.op("BATCH_TO_SPACE_ND", ["batched", "blocks", "pads"], ["unbatched"])
    graph.op("SPACE_TO_DEPTH", ["x"], ["deep"], {0: i32(2)})
    graph.op("RANK", ["x"], ["rank"])
    graph.op("FILL", ["packed", "rank"], ["filled"])
    graph.ints("wide", [3, 1, 4])
    graph.op("BROADCAST_ARGS", ["packed", "wide"], ["both"])
    graph.op("BROADCAST_TO", ["filled", "both"], ["broadcast"])
    graph.op("WHERE", ["filled"], ["where"])
    graph.op("SCATTER_ND", ["ids", "ids", "wide"], ["scattered"])
    graph.weight("boxes", 20, 4)
    graph.weight("scores", 20)
    graph.ints("most", [7], [])
    graph.op("NON_MAX_SUPPRESSION_V5", ["boxes", "scores", "most"], ["chosen", "their_scores", "how_many"])
    graph.op("SELECT", ["ids", "table", "table"], ["rows"])
    graph.op("STABLEHLO_TRANSPOSE", ["x"], ["hlo"], {0: Ints([0, 2, 1, 3], "q")})
    graph.input("volume", [1, 4, 6, 6, 2])
    graph.weight("w3d", 3, 3, 3, 2, 5)
    graph.op("CONV_3D", ["volume", "w3d"], ["convolved"],
             {0: i8(VALID), 1: i32(1), 2: i32(2), 3: i32(1), 4: i8(RELU)})  # fmt: skip
    graph.output("upwards")
    return model.table()


def recurrent():
    model, graph = start(1, 20, 8)
    gates = [graph.weight(f"w{i}", 16, 8) for i in range(4)] + [graph.weight(f"r{i}", 16, 16) for i in range(4)]
    state = graph.tensor("state", [1, 16], variable=True)
    cell = graph.tensor("cell", [1, 16], variable=True)
    biases = [graph.weight(f"b{i}", 16) for i in range(4)]
    inputs = ["x", *gates, "-", "-", "-", *biases, "-", "-", state, cell, "-", "-", "-", "-"]
    graph.op("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, ["lstm"])
    graph.weight("wr", 6, 16)
    graph.weight("rr", 6, 6)
    graph.weight("br", 6)
    graph.tensor("hr", [1, 6], variable=True)
    graph.op("UNIDIRECTIONAL_SEQUENCE_RNN", ["lstm", "wr", "rr", "br", "hr"], ["rnn"])
    graph.op(
        "BIDIRECTIONAL_SEQUENCE_RNN", ["lstm", "wr", "rr", "br", "hr", "wr", "rr", "br", "hr"], ["both"], {2: u8(1)}
    )
    graph.input("frame", [1, 10])
    graph.weight("features", 12, 10)
    graph.weight("time", 12, 5)
    graph.tensor("memory", [1, 60], variable=True)
    graph.op("SVDF", ["frame", "features", "time", "-", "memory"], ["svdf"], {0: i32(2), 1: i8(RELU)})
    graph.output("rnn", "both", "svdf")
    return model.table()


def bodies():
    """An IF, a WHILE that turns seven times and one that nobody can tell of."""
    model, graph = start(1, 8)
    graph.input("flag", [1], BOOL)
    branches = []
    for units in (4, 2):
        branch = Graph(model)
        branch.input("x", [1, 8])
        branch.weight("w", units, 8)
        branch.op("FULLY_CONNECTED", ["x", "w", "-"], ["y"], {0: i8(RELU)})
        branch.output("y")
        branches.append(len(model.subgraphs) - 1)
    graph.op("IF", ["flag", "x"], ["chosen"], {0: i32(branches[0]), 1: i32(branches[1])})
    condition, body = Graph(model), Graph(model)
    for part in (condition, body):
        part.input("i", [], INT32)
        part.input("y", [1, 8])
    condition.ints("limit", [15], [])
    condition.op("LESS", ["i", "limit"], ["more"])
    condition.output("more")
    body.ints("two", [2], [])
    body.op("ADD", ["i", "two"], ["next"], {0: i8(0)})
    body.weight("w", 8, 8)
    body.op("FULLY_CONNECTED", ["y", "w", "-"], ["z"], {0: i8(0)})
    body.output("next", "z")
    graph.ints("start", [1], [])
    pair = {0: i32(len(model.subgraphs) - 2), 1: i32(len(model.subgraphs) - 1)}
    graph.op("WHILE", ["start", "x"], ["i7", "counted"], pair)
    graph.input("from", [], INT32)
    graph.op("WHILE", ["from", "x"], ["i8", "uncounted"], pair)
    graph.output("chosen", "counted", "uncounted")
    return model.table()


def variables():
    model, graph = start(1, 4)
    initial = Graph(model)
    initial.tensor("handle", [], RESOURCE)
    initial.op("VAR_HANDLE", [], ["handle"], {0: "", 1: "v"})
    initial.weight("zeros", 1, 4)
    initial.op("ASSIGN_VARIABLE", ["handle", "zeros"], [])
    graph.op("CALL_ONCE", [], [], {0: i32(1)})
    graph.tensor("handle", [], RESOURCE)
    graph.op("VAR_HANDLE", [], ["handle"], {0: "", 1: "v"})
    graph.tensor("before", [1, 4])
    graph.op("READ_VARIABLE", ["handle"], ["before"])
    graph.op("ADD", ["before", "x"], ["after"], {0: i8(0)})
    graph.op("ASSIGN_VARIABLE", ["handle", "after"], [])
    graph.op("RELU", ["after"], ["y"])
    graph.output("y")
    return model.table()


def composite():
    model, graph = start(1, 4)
    inner = Graph(model)
    inner.input("x", [1, 4])
    inner.op("TANH", ["x"], ["y"])
    inner.output("y")
    options = {0: "company.activation", 1: i32(1)}
    graph.op("STABLEHLO_COMPOSITE", ["x"], ["once"], options)
    graph.op("STABLEHLO_COMPOSITE", ["once"], ["twice"], options)
    graph.output("twice")
    return model.table()


def stablehlo():
    model, graph = start(1, 8, 6, 4)
    bodies = {}
    for index, kind in enumerate(("STABLEHLO_ADD", "STABLEHLO_MAXIMUM"), 1):
        body = Graph(model)
        body.input("a", [])
        body.input("b", [])
        body.op(kind, ["a", "b"], ["c"])
        body.output("c")
        bodies[kind] = i32(index)
    graph.tensor("zero", [], buffer=model.buffer(bytes(4)))
    # the weights in each layout that is known, grouped, and a transposed convolution, which stays what the file says
    graph.weight("hwio", 3, 3, 4, 16)
    graph.op("STABLEHLO_CONVOLUTION", ["x", "hwio"], ["plain"],
             hlo_convolution("NHWC", "HWIO", (2, 1), (1, 1, 0, 2)))  # fmt: skip
    graph.weight("ohwi", 16, 3, 3, 2)
    graph.op("STABLEHLO_CONVOLUTION", ["x", "ohwi"], ["grouped"],
             hlo_convolution("NHWC", "OHWI", groups=2, dilations=(2, 1)))  # fmt: skip
    graph.weight("oihw", 5, 8, 3, 3)
    graph.op("STABLEHLO_CONVOLUTION", ["x", "oihw"], ["first"], hlo_convolution("NCHW", "OIHW", (1, 1), (1, 1, 1, 1)))
    graph.tensor("turned", [1, 15, 11, 16])
    graph.op("STABLEHLO_CONVOLUTION", ["x", "hwio"], ["turned"], hlo_convolution("NHWC", "HWIO", turned=True))
    graph.weight("matrix", 4, 10)
    options = {0: axes(), 1: axes(), 2: axes(3), 3: axes(0)}
    graph.op("STABLEHLO_DOT_GENERAL", ["x", "matrix"], ["dense"], options)
    options = {0: axes(0, 1), 1: axes(0, 1), 2: axes(3), 3: axes(3)}
    graph.op("STABLEHLO_DOT_GENERAL", ["x", "x"], ["scores"], options)
    graph.op("STABLEHLO_REDUCE", ["x", "zero"], ["sum"], {0: axes(1, 2), 1: bodies["STABLEHLO_ADD"]})
    graph.op("STABLEHLO_REDUCE", ["x", "zero"], ["largest"], {0: axes(3), 1: bodies["STABLEHLO_MAXIMUM"]})
    options = {0: axes(1, 3, 2, 1), 1: axes(1, 2, 2, 1), 4: axes(0, 0, 1, 0, 0, 0, 0, 0)}
    graph.op("STABLEHLO_REDUCE_WINDOW", ["x", "zero"], ["pooled"], {**options, 5: bodies["STABLEHLO_MAXIMUM"]})
    options = {0: axes(0, 1, 0, 0), 1: axes(0, 2, 0, 0), 2: axes(0, 0, 0, 0)}
    graph.op("STABLEHLO_PAD", ["x", "zero"], ["padded"], options)
    graph.tensor("spread", [1, 15, 6, 4])
    options = {0: axes(0, 0, 0, 0), 1: axes(0, 0, 0, 0), 2: axes(0, 1, 0, 0)}
    graph.op("STABLEHLO_PAD", ["x", "zero"], ["spread"], options)
    graph.op("STABLEHLO_DYNAMIC_SLICE", ["x", "zero", "zero", "zero", "zero"], ["cut"], {0: axes(1, 2, 3, 4)})
    graph.op("STABLEHLO_SORT", ["x", "padded"], ["sorted", "along"], {0: i64(1)})
    graph.output("plain", "grouped", "first", "turned", "dense", "scores", "sum", "largest", "pooled", "spread", "cut",
                 "sorted", "along")  # fmt: skip
    return model.table()


def signatures():
    """The first of two signatures is the second subgraph."""
    model, graph = start(1, 4)
    graph.op("RELU", ["x"], ["y"])
    graph.output("y")
    other = Graph(model)
    other.input("z", [1, 5])
    other.op("TANH", ["z"], ["t"])
    other.output("t")
    return model.table(signatures=[{2: "second", 4: u32(1)}, {2: "first", 4: u32(0)}])


def custom():
    model, graph = start(1, 4)
    graph.tensor("known", [1, 6])
    graph.op("CUSTOM", ["x"], ["known"], custom="TFLite_Detection_PostProcess")
    graph.op("CUSTOM", ["known"], ["erf"], custom="FlexErf")
    graph.tensor("new", [1, 7])
    graph.op("NEWER", ["erf"], ["new"])
    graph.output("new")
    return model.table()


for make in (
    network,
    names,
    stored,
    types,
    operators,
    recurrent,
    bodies,
    variables,
    composite,
    stablehlo,
    signatures,
    custom,
):
    good(make.__name__, make())
good("no_identifier", flatbuffer(network(), b"\0\0\0\0"))


# -------------------------------------------------------------- bad files

whole = flatbuffer(network())


def patched(at, content, data=whole):
    return data[:at] + content + data[at + len(content) :]


def small(change=None):
    """x -> RELU -> y, changed by a function of the model and its graph."""
    model, graph = start(1, 4, 4, 2)
    graph.op("RELU", ["x"], ["y"])
    graph.output("y")
    if change:
        change(model, graph)
    return model.table()


def with_operator(kind, inputs, options, prepare=None):
    model, graph = start(1, 4, 4, 2)
    graph.weight("w", 3, 1, 1, 2)
    if prepare:
        prepare(model, graph)
    graph.op(kind, inputs, ["y"], options)
    graph.output("y")
    return model.table()


bad("empty", "FORMAT", "is empty", b"")
bad("cut_short", "FORMAT", "cut short", whole[: len(whole) // 2])
bad("only_identifier", "FORMAT", "outside of the file", whole[:8])
bad("text", "FORMAT", "plain text", b"this is no model at all\n")
bad("noise", "FORMAT", "damaged", bytes((i * 37 + 11) % 256 for i in range(200)))
bad("root_outside", "FORMAT", "outside of the file", patched(0, struct.pack("<I", 1 << 30)))
bad("root_wraps", "FORMAT", "outside of the file", patched(0, struct.pack("<I", 0xFFFFFFFF)))
root = struct.unpack_from("<I", whole)[0]
fields = root - struct.unpack_from("<i", whole, root)[0]
bad("fields_outside", "FORMAT", "fields outside", patched(root, struct.pack("<i", root + 100)))
bad("fields_too_long", "FORMAT", "past the end", patched(fields, b"\xfe\xff"))
bad("no_subgraph", "FORMAT", "no graph", small() | {2: []})
bad("field_outside", "FORMAT", "field outside", patched(fields + 8, b"\xf0\x00"))


listed = flatbuffer(small())
bad("list_too_long", "FORMAT", "has room for",
    listed.replace(struct.pack("<5I", 4, 1, 4, 4, 2), struct.pack("<5I", 1 << 30, 1, 4, 4, 2), 1))  # fmt: skip


def tensor_outside(model, graph):
    graph.operators[0][1] = Ints([77])


def tensor_negative(model, graph):
    graph.operators[0][1] = Ints([-5])


def buffer_outside(model, graph):
    graph.operators[0][1] = Ints([graph.index[graph.tensor("w", [1], buffer=99)]])


def buffer_past_end(model, graph):
    model.buffers.append({1: u64(1 << 40), 2: u64(64)})
    graph.operators[0][1] = Ints([graph.index[graph.tensor("w", [16], buffer=len(model.buffers) - 1)]])


def buffer_wraps(model, graph):
    model.buffers.append({1: u64(100), 2: u64((1 << 64) - 50)})
    graph.operators[0][1] = Ints([graph.index[graph.tensor("w", [16], buffer=len(model.buffers) - 1)]])


def code_outside(model, graph):
    graph.operators[0][0] = u32(9)


def rank(model, graph):
    graph.tensors[0][0] = Ints([1] * 17)


def written_twice(model, graph):
    graph.op("TANH", ["x"], ["y"])


def read_before_written(model, graph):
    graph.tensor("late", [1, 4, 4, 2])
    graph.op("ADD", ["y", "late"], ["z"], {0: i8(0)})
    graph.op("RELU", ["z"], ["late"])


def input_twice(model, graph):
    graph.inputs *= 2


def weight_too_short(model, graph):
    graph.operators[0][1] = Ints([graph.index[graph.tensor("w", [100], buffer=model.buffer(bytes(12)))]])


def weight_overflows(model, graph):
    shape = [0x7FFFFFFF] * 4
    graph.operators[0][1] = Ints([graph.index[graph.tensor("w", shape, buffer=model.buffer(bytes(12)))]])


def weight_negative(model, graph):
    graph.operators[0][1] = Ints([graph.index[graph.tensor("w", [-4], buffer=model.buffer(bytes(12)))]])


bad("tensor_outside", "FORMAT", "no tensor 77", small(tensor_outside))
bad("tensor_negative", "FORMAT", "no tensor -5", small(tensor_negative))
bad("buffer_outside", "FORMAT", "has buffer 99", small(buffer_outside))
bad("buffer_past_end", "FORMAT", "past the end of the file", small(buffer_past_end))
bad("buffer_wraps", "FORMAT", "past the end of the file", small(buffer_wraps))
bad("code_outside", "FORMAT", "is of type 9", small(code_outside))
bad("rank", "LIMIT", "17 dimensions", small(rank))
bad("written_twice", "GRAPH", "defined twice", small(written_twice))
bad("read_before_written", "GRAPH", "defined twice", small(read_before_written))
bad("input_twice", "GRAPH", "defined twice", small(input_twice))
bad("weight_too_short", "FORMAT", "its shape needs 400", small(weight_too_short))
bad("weight_overflows", "LIMIT", "more elements than can be counted", small(weight_overflows))
bad("weight_negative", "FORMAT", "dimension -4", small(weight_negative))
bad("name_not_utf8", "FORMAT", "not UTF-8", flatbuffer(small()).replace(b"x\0", b"\xff\0", 1))
bad("padding", "UNSUPPORTED", "has padding 9", with_operator("CONV_2D", ["x", "w"], window(9, (1, 1))))
bad("activation", "UNSUPPORTED", "fused activation 9", with_operator("CONV_2D", ["x", "w"], window(SAME, (1, 1), 9)))
bad("axis_computed", "UNSUPPORTED", "takes its axis from another operator",
    with_operator("SPLIT", ["x", "x"], None))  # fmt: skip
bad("joins_nothing", "GRAPH", "joins nothing", with_operator("CONCATENATION", [], {0: i32(1)}))
bad("dense_without_weights", "GRAPH", "lacks its input or weights", with_operator("FULLY_CONNECTED", ["x", "-"], {}))


def other_options():
    table = with_operator("CONV_2D", ["x", "w"], window(SAME, (1, 1)))
    table[2][0][3][0][3] = u8(5)
    return table


bad("options_of_another", "FORMAT", "those of another operator", other_options())


def if_operator(then, otherwise, more=()):
    model, graph = start(1, 4)
    graph.input("flag", [1], BOOL)
    graph.op("IF", ["flag", "x"], ["y"], {0: i32(then), 1: i32(otherwise)})
    graph.output("y")
    for make in more:
        make(model)
    return model


def relu_body(model):
    body = Graph(model)
    body.input("x", [1, 4])
    body.op("RELU", ["x"], ["y"])
    body.output("y")


def two_inputs(model):
    relu_body(model)
    model.subgraphs[-1].input("more", [1])


bad("subgraph_outside", "FORMAT", "runs subgraph 5", if_operator(1, 5, [relu_body]).table())
bad("subgraph_negative", "FORMAT", "runs subgraph -1", if_operator(-1, 1, [relu_body]).table())
bad("runs_itself", "GRAPH", "would never end", if_operator(0, 0).table())
bad("body_inputs", "GRAPH", "gives 1 inputs", if_operator(1, 1, [two_inputs]).table())


def nested(depth, both):
    """IFs in IFs: with both branches the same subgraph, 2^depth bodies."""
    model = if_operator(1, 1)
    for level in range(depth):
        body = Graph(model)
        body.input("x", [1, 4])
        body.tensor("flag", [1], BOOL, buffer=model.buffer(b"\1"))
        if level == depth - 1:
            body.op("RELU", ["x"], ["y"])
        else:
            body.op("IF", ["flag", "x"], ["y"], {0: i32(level + 2), 1: i32(level + 2 if both else depth)})
        body.output("y")
    return model.table()


bad("bomb_of_branches", "LIMIT", "never ends", nested(40, True))
bad("deep_branches", "LIMIT", "nested more than", nested(70, False))


def composites(depth):
    model, graph = start(1, 4)
    graph.op("STABLEHLO_COMPOSITE", ["x"], ["y"], {0: "c", 1: i32(1)})
    graph.output("y")
    for level in range(depth):
        body = Graph(model)
        body.input("x", [1, 4])
        for call in range(2):
            if level < depth - 1:
                body.op("STABLEHLO_COMPOSITE", ["x"], [f"y{call}"], {0: "c", 1: i32(level + 2)})
            else:
                body.op("RELU", ["x"], [f"y{call}"])
        body.output("y0")
    return model.table()


bad("deep_composites", "LIMIT", "nested more than 32", composites(34))
bad("bomb_of_composites", "LIMIT", "never ends", composites(30))


def shared_name():
    """One name of 60,000 bytes for 10,000 tensors."""
    model, graph = start(1)
    name = "n" * 60000
    for index in range(10000):
        graph.tensor(name, [1], key=f"t{index}")
    ports = Ints(range(1, 10001))
    graph.operators.append({0: u32(model.code("CUSTOM", "c")), 1: Ints([0]), 2: ports})
    graph.output("t0")
    shared = graph.tensors[1]
    graph.tensors[2:] = [shared] * 9999
    return model.table()


bad("bomb_of_names", "LIMIT", "never ends", shared_name())
bad("signature_outside", "FORMAT", "the first signature is subgraph 3", small() | {7: [{2: "s", 4: u32(3)}]})


def product(**options):
    model, graph = start(2, 3)
    graph.op("STABLEHLO_DOT_GENERAL", ["x", "x"], ["y"], {int(key[1]): axes(*value) for key, value in options.items()})
    graph.output("y")
    return model.table()


bad("product_axis", "FORMAT", "axes that its inputs do not have", product(_2=[2], _3=[0]))
bad("product_axis_negative", "FORMAT", "axes that its inputs do not have", product(_2=[-1], _3=[0]))
bad("product_axis_twice", "FORMAT", "axes that its inputs do not have", product(_0=[0], _1=[0], _2=[0], _3=[1]))
bad("product_axes_uneven", "FORMAT", "axes that its inputs do not have", product(_2=[0, 1], _3=[0]))
bad("product_axes_many", "FORMAT", "numbers in an option", product(_2=[0] * 40, _3=[0] * 40))

lines = ["\t".join(row) for row in sorted(expected)]
(HERE / "expected.tsv").write_text("\n".join(lines) + "\n")
