"""Writes the TensorFlow files of this folder: y_* are good, n_* are bad, and expected.tsv says what each bad one must be told.

Plain Python, no package; tests/writers has the messages. The files are committed, so tests do not need it.
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "writers"))

from protobuf import field, fields  # noqa: E402
from tensorflow_file import (  # noqa: E402
    BOOL,
    FLOAT,
    INT32,
    Function,
    Shape,
    Tensor,
    Type,
    const,
    function,
    graph,
    integers,
    meta_graph,
    node,
    placeholder,
    saved_model,
    signature,
    tensor,
    weights,
)

expected = []  # (file, status, part of the message)


def good(name, data):
    (HERE / f"y_{name}.pb").write_bytes(data)


def bad(name, data, status, message):
    (HERE / f"n_{name}.pb").write_bytes(data)
    expected.append((f"n_{name}.pb", status, message))


# ---------------------------------------------------------------- good files

CONV = {"strides": [1, 2, 2, 1], "padding": "SAME", "data_format": "NHWC", "dilations": [1, 1, 1, 1]}


def network():
    """A frozen graph as TensorFlow 1 writes it: Identity behind each weight, axes as constants, -1 for the batch."""
    return [
        placeholder("image", -1, 9, 7, 5),
        weights("conv/kernel", 3, 3, 5, 8),
        node("conv/kernel/read", "Identity", ["conv/kernel"]),
        node("conv", "Conv2D", ["image", "conv/kernel/read"], **CONV),
        weights("conv/bias", 8),
        node("biased", "BiasAdd", ["conv", "conv/bias"], data_format="NHWC"),
        *[weights(f"bn/{part}", 8) for part in ("gamma", "beta", "mean", "variance")],
        node("bn", "FusedBatchNormV3", ["biased", "bn/gamma", "bn/beta", "bn/mean", "bn/variance"], epsilon=1),
        node("relu", "Relu6", ["bn", "^bn/gamma"]),
        const("axes", integers(1, 2)),
        node("mean", "Mean", ["relu", "axes"], keep_dims=False),
        weights("dense/kernel", 8, 10),
        node("dense", "MatMul", ["mean", "dense/kernel"], transpose_a=False),
        node("probabilities", "Softmax", ["dense"]),
        node("done", "NoOp", ["^probabilities"]),
    ]


good("network", graph(network()))

# Two calls of one function that calls another; a Split and its named outputs; the second call's first result unused.
HALVES = function(
    "halves",
    ["x"],
    {"a": "split:output:0", "b": "split:output:1"},
    [const("axis", tensor([], [1], INT32)), node("split", "Split", ["axis:output:0", "x"], num_split=2)],
)
SCALED = function(
    "scaled",
    ["x", "unused"],
    {"left": "half:output:0", "right": "relu:activations:0"},
    [
        node("half", "PartitionedCall", ["x"], f=Function("halves")),
        node("relu", "Relu", ["half:output:1"]),
    ],
)
good(
    "functions",
    graph(
        [
            placeholder("x", 4, 6),
            node("first", "StatefulPartitionedCall", ["x", "x"], f=Function("scaled")),
            node("second", "scaled", ["first", "x"]),
            node("negative", "Neg", ["first:1"]),
            node("result", "Identity", ["second:1"]),
        ],
        [HALVES, SCALED],
    ),
)

BRANCHES = [
    function("yes", ["x", "w"], {"y": "relu:activations:0"}, [node("relu", "Relu", ["x"])]),
    function("no", ["x", "w"], {"y": "product:product:0"}, [node("product", "MatMul", ["x", "w"])]),
]
good(
    "branches",
    graph(
        [
            placeholder("x", 4, 4),
            placeholder("flag", dtype=BOOL),
            weights("w", 4, 4),
            node("if", "If", ["flag", "x", "w"], then_branch=Function("yes"), else_branch=Function("no")),
            node("y", "Identity", ["if"]),
        ],
        BRANCHES,
    ),
)

good(
    "case",
    graph(
        [
            placeholder("x", 4, 4),
            placeholder("which", dtype=INT32),
            weights("w", 4, 4),
            node("case", "Case", ["which", "x", "w"], branches=[Function("yes"), Function("no"), Function("yes")]),
            node("y", "Identity", ["case"]),
        ],
        BRANCHES,
    ),
)

# for i in range(7): state = state @ w, and each turn's state is put into a list
LOOP = [
    function(
        "goes_on",
        ["i", "n", "state", "list", "w"],
        {"r": "less:z:0"},
        [node("less", "Less", ["i", "n"])],
    ),
    function(
        "turn",
        ["i", "n", "state", "list", "w"],
        {"i1": "next:z:0", "n1": "n", "s1": "product:product:0", "l1": "put:output_handle:0", "w1": "keep:output:0"},
        [
            const("one", tensor([], [1], INT32)),
            node("next", "AddV2", ["i", "one:output:0"]),
            node("keep", "Identity", ["w"]),
            node("product", "MatMul", ["state", "w"]),
            node("put", "TensorListSetItem", ["list", "i", "product:product:0"]),
        ],
    ),
]
good(
    "loop",
    graph(
        [
            placeholder("state", 3, 4),
            weights("w", 4, 4),
            const("zero", tensor([], [0], INT32)),
            const("seven", tensor([], [7], INT32)),
            const("any", tensor([], [-1], INT32)),
            node("list", "TensorListReserve", ["any", "seven"], element_dtype=Type(FLOAT)),
            node(
                "while",
                "While",
                ["zero", "seven", "state", "list", "w"],
                cond=Function("goes_on"),
                body=Function("turn"),
            ),
            node("stack", "TensorListStack", ["while:3", "any"], num_elements=-1),
            node("last", "Identity", ["while:2"]),
        ],
        LOOP,
    ),
)

# A loop and a branch of TensorFlow 1.
good(
    "old_loop",
    graph(
        [
            placeholder("x", 2, 3),
            const("limit", tensor([], [5], INT32)),
            node("enter", "Enter", ["x"], frame_name="while"),
            node("merge", "Merge", ["enter", "next"]),
            node("less", "Less", ["merge:1", "limit"]),
            node("on", "LoopCond", ["less"]),
            node("switch", "Switch", ["merge", "on"]),
            node("body", "Tanh", ["switch:1"]),
            node("next", "NextIteration", ["body"]),
            node("exit", "Exit", ["switch"]),
        ]
    ),
)

# What the optimiser leaves: fused layers; channels first; explicit padding.
good(
    "fused",
    graph(
        [
            placeholder("x", 1, 4, 8, 6),
            weights("w", 3, 3, 4, 16),
            weights("b", 16),
            node(
                "conv",
                "_FusedConv2D",
                ["x", "w", "b"],
                strides=[1, 1, 1, 1],
                padding="EXPLICIT",
                data_format="NCHW",
                explicit_paddings=[0, 0, 0, 0, 1, 2, 0, 1],
                fused_ops=["BiasAdd", "Relu"],
                num_args=1,
            ),
            node(
                "up",
                "Conv2DBackpropInput",
                ["size", "w", "conv"],
                strides=[1, 1, 2, 2],
                padding="SAME",
                data_format="NCHW",
            ),
            const("size", integers(1, 4, 17, 10)),
            const("flat", integers(1, -1)),
            node("row", "Reshape", ["up", "flat"]),
            weights("m", 680, 3),
            weights("mb", 3),
            node("dense", "_FusedMatMul", ["row", "m", "mb"], fused_ops=["BiasAdd", "Tanh"]),
        ]
    ),
)

# Sizes computed from sizes.
good(
    "arithmetic",
    graph(
        [
            placeholder("x", 2, 6, 4),
            node("shape", "Shape", ["x"], out_type=Type(INT32)),
            const("begin", integers(1)),
            const("end", integers(3)),
            const("step", integers(1)),
            node("rest", "StridedSlice", ["shape", "begin", "end", "step"]),
            const("zero", integers(0)),
            const("only", integers(1)),
            node("batch", "StridedSlice", ["shape", "zero", "only", "step"], shrink_axis_mask=1),
            const("all", integers(0)),
            node("product", "Prod", ["rest", "all"], keep_dims=False),
            node("both", "Pack", ["batch", "product"], axis=0),
            node("flat", "Reshape", ["x", "both"]),
            const("sizes", integers(9, -1)),
            const("axis", tensor([], [1], INT32)),
            node("parts", "SplitV", ["flat", "sizes", "axis"], num_split=2),
            node("rank", "Rank", ["x"]),
            node("tile", "Fill", ["rank_list", "half"]),
            node("rank_list", "Pack", ["rank"], axis=0),
            const("half", tensor([], [0.5])),
            const("from", integers(0, 2, 1)),
            const("count", integers(-1, 3, -1)),
            node("cut", "Slice", ["x", "from", "count"]),
            const("masked", integers(0, 0)),
            node("row", "StridedSlice", ["x", "masked", "masked", "ones"], ellipsis_mask=1, shrink_axis_mask=2),
            const("ones", integers(1, 1)),
        ]
    ),
)

VARIABLES = [
    node("kernel", "VarHandleOp", dtype=Type(FLOAT), shape=Shape([6, 2])),
    node("serving_default_x", "Placeholder", dtype=Type(FLOAT), shape=Shape([-1, 6])),
    node("StatefulPartitionedCall", "StatefulPartitionedCall", ["serving_default_x", "kernel"], f=Function("serve")),
    node("Const", "Const", value=Tensor(tensor([], [0], INT32))),
    node("restore", "RestoreV2", ["Const"]),
    node("assign", "AssignVariableOp", ["kernel", "restore"]),
]
SERVE = function(
    "serve",
    ["x", "kernel"],
    {"output": "identity:output:0"},
    [
        node("read", "ReadVariableOp", ["kernel"], dtype=Type(FLOAT)),
        node("product", "MatMul", ["x", "read:value:0"]),
        node("identity", "Identity", ["product:product:0", "^read"]),
    ],
)
DEFAULT = signature({"x": ("serving_default_x:0", [-1, 6])}, {"y": ("StatefulPartitionedCall:0", [-1, 2])})
good(
    "saved_model",
    saved_model(meta_graph(graph(VARIABLES, [SERVE]), {"__saved_model_init_op": b"", "serving_default": DEFAULT})),
)
good(
    "saved_model_of_two",
    saved_model(
        meta_graph(graph(network()), {"train": b""}, ["train"]),
        meta_graph(graph(VARIABLES, [SERVE]), {"other": DEFAULT, "first": DEFAULT}),
    ),
)

# ---------------------------------------------------------------- bad files

X = placeholder("x", 2, 2)
CALL = [X, node("call", "PartitionedCall", ["x"], f=Function("f"))]

bad("empty", b"", "FORMAT", "is empty")
bad("cut_short", graph(network())[:-9], "FORMAT", "impossible length")
bad("two_of_one_name", graph([X, X, node("y", "Relu", ["x"])]), "GRAPH", "second node named")
bad("no_operator", graph([X, field(1, "y") + fields(3, ["x"])]), "FORMAT", "has no operator")
bad("no_name", graph([X, field(2, "Relu") + fields(3, ["x"])]), "FORMAT", "without a name")
bad("dangling", graph([X, node("y", "Relu", ["z"])]), "GRAPH", "nothing defines")
bad("cycle", graph([node("a", "Relu", ["b"]), node("b", "Relu", ["a"]), node("c", "Relu", ["b"])]), "GRAPH", "cycle")
bad("no_result", graph([X, const("c", tensor([1]))]), "GRAPH", "makes a result")
bad("output_number", graph([X, node("y", "Relu", ["x:99999999"])]), "LIMIT", "output 99999999")
bad("name_of_no_text", graph([X, field(1, b"\xff\xfe") + field(2, "Relu") + fields(3, ["x"])]), "FORMAT", "not UTF-8")

bad(
    "recursion",
    graph(CALL, [function("f", ["x"], {"r": "c:output:0"}, [node("c", "PartitionedCall", ["x"], f=Function("f"))])]),
    "LIMIT",
    "deep",
)
bad(
    "mutual_recursion",
    graph(
        CALL,
        [
            function("f", ["x"], {"r": "c:r:0"}, [node("c", "g", ["x"])]),
            function("g", ["x"], {"r": "c:r:0"}, [node("c", "f", ["x"])]),
        ],
    ),
    "LIMIT",
    "deep",
)
bad(
    "function_bomb",
    graph(
        [X, node("call", "f0", ["x"])],
        [
            function(
                f"f{i}",
                ["x"],
                {"r": "b:r:0"},
                [node("a", f"f{i + 1}", ["x"]), node("b", f"f{i + 1}", ["a:r:0"])],
            )
            for i in range(28)
        ]
        + [function("f28", ["x"], {"r": "y:activations:0"}, [node("y", "Relu", ["x"])])],
    ),
    "LIMIT",
    "never ends",
)
bad("function_missing", graph(CALL), "GRAPH", "does not hold")
bad("function_without_result", graph(CALL, [function("f", ["x"], {}, [])]), "GRAPH", "fewer results")
bad(
    "function_result_dangling",
    graph(CALL, [function("f", ["x"], {"r": "nothing:y:0"}, [])]),
    "GRAPH",
    "nothing defines",
)
bad(
    "function_inputs",
    graph([X, node("call", "PartitionedCall", [], f=Function("f"))], [function("f", ["x"], {"r": "x"}, [])]),
    "GRAPH",
    "too few inputs",
)
bad("function_twice", graph(CALL, [function("f", ["x"], {"r": "x"}, [])] * 2), "GRAPH", "second function")
bad(
    "function_circle",
    graph([node("call", "f", ["call"]), node("y", "Relu", ["call"])], [function("f", ["x"], {"r": "x"}, [])]),
    "GRAPH",
    "circle",
)
bad(
    "call_of_nothing",
    graph([X, node("call", "PartitionedCall", ["x"]), node("y", "Relu", ["call"])]),
    "GRAPH",
    "which function",
)
bad(
    "loop_variables",
    graph([X, node("w", "While", ["x"], cond=Function("goes_on"), body=Function("turn"))], LOOP),
    "GRAPH",
    "too few inputs",
)
bad(
    "branches_differ",
    graph(
        [
            X,
            placeholder("flag", dtype=BOOL),
            node("if", "If", ["flag", "x"], then_branch=Function("a"), else_branch=Function("b")),
        ],
        [function("a", ["x"], {"r": "x", "s": "x"}, []), function("b", ["x"], {"r": "x"}, [])],
    ),
    "GRAPH",
    "branches with 2 and 1",
)
bad(
    "own_turn",
    graph([node("m", "Merge", ["n"]), node("n", "NextIteration", ["m"]), node("y", "Relu", ["m"])]),
    "GRAPH",
    "its own turn",
)

bad(
    "constant_dimension",
    graph([X, const("c", tensor([-5])), node("y", "Add", ["x", "c"])]),
    "FORMAT",
    "negative dimension",
)
bad("constant_size", graph([X, const("c", tensor([1 << 30] * 3, [1])), node("y", "Add", ["x", "c"])]), "LIMIT", "2^50")
bad(
    "constant_bytes",
    graph([X, const("c", tensor([3], content=b"1234567")), node("y", "Add", ["x", "c"])]),
    "FORMAT",
    "more or fewer",
)
bad("constant_rank", graph([X, const("c", tensor([1] * 20)), node("y", "Add", ["x", "c"])]), "LIMIT", "dimensions")
bad("constant_without_value", graph([X, node("c", "Const"), node("y", "Add", ["x", "c"])]), "FORMAT", "has no value")
bad("input_dimension", graph([placeholder("x", 1 << 50), node("y", "Relu", ["x"])]), "LIMIT", "dimension")

bad(
    "saved_model_without_graph",
    field(1, 1) + field(2, field(1, field(4, "serve"))),
    "FORMAT",
    "no graph in this SavedModel",
)
bad(
    "signature",
    saved_model(meta_graph(graph([X]), {"serving_default": signature({}, {"y": ("nothing:0", [])})})),
    "GRAPH",
    "which the graph does not have",
)

(HERE / "expected.tsv").write_text("".join("\t".join(row) + "\n" for row in sorted(expected)))
