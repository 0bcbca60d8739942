"""TFLite models as Python objects: subgraphs, tensors and operators by name, down to the tables of the schema."""

import struct

from flatbuffer import Ints, Raw, i8, i32, i64, u8, u32

FLOAT, HALF, INT32, UINT8, INT64, TEXT, BOOL, INT8, RESOURCE = 0, 1, 2, 3, 4, 5, 6, 9, 13
SAME, VALID = 0, 1
RELU, RELU_N1_TO_1, RELU6 = 1, 2, 3
CODES = {
    "ADD": 0, "AVERAGE_POOL_2D": 1, "CONCATENATION": 2, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 4, "DEQUANTIZE": 6,
    "EMBEDDING_LOOKUP": 7, "FULLY_CONNECTED": 9, "LOGISTIC": 14, "LSTM": 16, "MAX_POOL_2D": 17, "MUL": 18, "RELU": 19,
    "RESHAPE": 22, "SOFTMAX": 25, "SPACE_TO_DEPTH": 26, "SVDF": 27, "TANH": 28, "CUSTOM": 32,
    "UNIDIRECTIONAL_SEQUENCE_RNN": 35, "GATHER": 36, "BATCH_TO_SPACE_ND": 37, "SPACE_TO_BATCH_ND": 38, "TRANSPOSE": 39,
    "MEAN": 40, "SQUEEZE": 43, "UNIDIRECTIONAL_SEQUENCE_LSTM": 44, "STRIDED_SLICE": 45,
    "BIDIRECTIONAL_SEQUENCE_RNN": 46, "SPLIT": 49, "BIDIRECTIONAL_SEQUENCE_LSTM": 52, "ARG_MAX": 56, "LESS": 58,
    "SELECT": 64, "SLICE": 65, "TRANSPOSE_CONV": 67, "EXPAND_DIMS": 70, "SHAPE": 77, "PACK": 83, "UNPACK": 88,
    "FILL": 94, "SPLIT_V": 102, "RANK": 110, "WHERE": 109, "QUANTIZE": 114, "IF": 118, "WHILE": 119,
    "NON_MAX_SUPPRESSION_V5": 121, "SCATTER_ND": 122, "DENSIFY": 124, "LOGICAL_AND": 86, "CALL_ONCE": 129,
    "BROADCAST_TO": 130, "STABLEHLO_ADD": 163, "STABLEHLO_MAXIMUM": 166,
    "STABLEHLO_CONVOLUTION": 171, "STABLEHLO_REDUCE": 174, "STABLEHLO_DYNAMIC_SLICE": 193, "STABLEHLO_PAD": 195,
    "STABLEHLO_DOT_GENERAL": 197, "STABLEHLO_REDUCE_WINDOW": 198, "STABLEHLO_SORT": 199, "CONV_3D": 132, "BROADCAST_ARGS": 145, "VAR_HANDLE": 142, "READ_VARIABLE": 143,
    "ASSIGN_VARIABLE": 144, "STABLEHLO_TRANSPOSE": 202, "STABLEHLO_COMPOSITE": 206, "NEWER": 999,
}  # fmt: skip
# Types of the union that holds an operator's options; 128 and more: the second union.
OPTIONS = {
    "ADD": 11, "AVERAGE_POOL_2D": 5, "CONCATENATION": 10, "CONV_2D": 1, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 8,
    "LSTM": 14, "MAX_POOL_2D": 5, "MUL": 21, "RESHAPE": 17, "SPACE_TO_DEPTH": 19, "SVDF": 6, "GATHER": 23, "MEAN": 27,
    "SQUEEZE": 30, "STRIDED_SLICE": 32, "BIDIRECTIONAL_SEQUENCE_RNN": 70, "BIDIRECTIONAL_SEQUENCE_LSTM": 69,
    "TRANSPOSE_CONV": 49, "PACK": 59, "UNPACK": 64, "IF": 92, "WHILE": 93, "CALL_ONCE": 103, "CONV_3D": 106,
    "VAR_HANDLE": 111, "STABLEHLO_CONVOLUTION": 132, "STABLEHLO_REDUCE": 134, "STABLEHLO_DYNAMIC_SLICE": 137,
    "STABLEHLO_PAD": 138, "STABLEHLO_DOT_GENERAL": 140, "STABLEHLO_REDUCE_WINDOW": 141, "STABLEHLO_SORT": 142,
    "STABLEHLO_TRANSPOSE": 145, "STABLEHLO_COMPOSITE": 149,
}  # fmt: skip


# ---------------------------------------------------------------- helpers


class Model:
    """Collects operator codes and buffers while subgraphs are written."""

    def __init__(self):
        self.codes, self.buffers, self.subgraphs = [], [{}], []

    def code(self, kind, custom=None):
        """The index of an operator code, new when it is the first of its kind."""
        number = CODES[kind]
        wanted = (number, custom)
        for index, (known, _) in enumerate(self.codes):
            if known == wanted:
                return index
        table = {0: i8(min(number, 127)), 3: i32(number), 1: custom}
        self.codes.append((wanted, table))
        return len(self.codes) - 1

    def buffer(self, content):
        self.buffers.append({0: Raw(content)})
        return len(self.buffers) - 1

    def table(self, **parts):
        return {
            0: u32(3),
            1: parts.get("codes", [table for _, table in self.codes]),
            2: parts.get("subgraphs", [graph.table() for graph in self.subgraphs]),
            3: "make.py",
            4: parts.get("buffers", self.buffers),
            7: parts.get("signatures"),
        }


class Graph:
    """One subgraph; tensors and operators by name."""

    def __init__(self, model):
        self.model, self.tensors, self.index, self.operators, self.inputs, self.outputs = model, [], {}, [], [], []
        model.subgraphs.append(self)

    def tensor(self, name, shape, kind=FLOAT, signature=None, key=None, **fields):
        """fields: buffer, variable, sparse, has_rank. key: how to call a tensor whose name another one has."""
        table = {0: Ints(shape) if shape is not None else None, 1: i8(kind), 3: name}
        if signature:
            table[7] = Ints(signature)
        if "buffer" in fields:
            table[2] = u32(fields["buffer"])
        if fields.get("variable"):
            table[5] = u8(1)
        if fields.get("sparse"):
            table[6] = {0: Ints([0])}
        if fields.get("has_rank"):
            table[8] = u8(1)
        self.index[key or name] = len(self.tensors)
        self.tensors.append(table)
        return key or name

    def ints(self, name, values, shape=None):
        content = struct.pack(f"<{len(values)}i", *values)
        return self.tensor(name, [len(values)] if shape is None else shape, INT32, buffer=self.model.buffer(content))

    def weight(self, name, *shape, kind=FLOAT, size=None):
        count = size if size is not None else {FLOAT: 4, HALF: 2, INT8: 1}[kind]
        for dim in shape if size is None else ():
            count *= dim
        return self.tensor(name, list(shape), kind, buffer=self.model.buffer(bytes(count)))

    def input(self, name, shape, kind=FLOAT, signature=None):
        self.inputs.append(self.tensor(name, shape, kind, signature))
        return name

    def op(self, kind, inputs, outputs, options=None, custom=None):
        """options: fields of the options table. Outputs that are no tensors yet are made, of unknown shape."""
        for name in outputs:
            if name not in self.index:
                self.tensor(name, None)
        ports = [Ints([self.index[name] if name != "-" else -1 for name in names]) for names in (inputs, outputs)]
        table = {0: u32(self.model.code(kind, custom)), 1: ports[0], 2: ports[1]}
        union = OPTIONS.get(kind, 0)
        if options is not None:
            table.update({11: u8(union - 128), 12: options} if union >= 128 else {3: u8(union), 4: options})
        self.operators.append(table)
        return outputs[0] if outputs else None

    def output(self, *names):
        self.outputs += names

    def table(self):
        ports = [Ints([self.index[name] for name in names]) for names in (self.inputs, self.outputs)]
        return {0: self.tensors, 1: ports[0], 2: ports[1], 3: self.operators, 4: "graph"}


def start(*shape, **options):
    """A model with one subgraph and the input x."""
    model = Model()
    graph = Graph(model)
    graph.input("x", list(shape), **options)
    return model, graph


def window(padding, stride, activation=0, dilation=(1, 1)):
    """Options of CONV_2D; strides and dilations are (height, width)."""
    return {0: i8(padding), 1: i32(stride[1]), 2: i32(stride[0]), 3: i8(activation), 4: i32(dilation[1]),
            5: i32(dilation[0])}  # fmt: skip


def depthwise(padding, stride, activation=0, dilation=(1, 1)):
    return {0: i8(padding), 1: i32(stride[1]), 2: i32(stride[0]), 3: i32(2), 4: i8(activation), 5: i32(dilation[1]),
            6: i32(dilation[0])}  # fmt: skip


def axes(*numbers):
    """A list of StableHLO."""
    return Ints(numbers, "q")


def hlo_convolution(image, kernel, strides=(1, 1), padding=(0, 0, 0, 0), groups=1, dilations=(1, 1), turned=False):
    """Options of STABLEHLO_CONVOLUTION. image: "NHWC" or another order, also of the output; kernel: "HWIO" and so on."""
    spatial = [image.index(axis) for axis in "HW"]
    return {0: axes(*strides), 1: axes(*padding), 2: axes(*((2, 2) if turned else (1, 1))), 3: axes(*dilations),
            5: i64(image.index("N")), 6: i64(image.index("C")), 7: axes(*spatial), 8: i64(kernel.index("I")),
            9: i64(kernel.index("O")), 10: axes(*[kernel.index(axis) for axis in "HW"]), 11: i64(image.index("N")),
            12: i64(image.index("C")), 13: axes(*spatial), 14: i64(groups), 15: i64(1)}  # fmt: skip


def pool(padding, stride, size, activation=0):
    return {0: i8(padding), 1: i32(stride[1]), 2: i32(stride[0]), 3: i32(size[1]), 4: i32(size[0]), 5: i8(activation)}
