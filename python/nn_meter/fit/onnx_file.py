"""Benchmark graphs as ONNX files with random weights, so that any runtime can measure them.

Operators come as torch's exporter would write them: batch normalisation folded away is left to the runtime; images are
NCHW, tokens have their channels last. Nothing but the standard library and numpy: the few protobuf messages that are
needed are written by hand.

Two things make nn_meter tell another latency of the file than of the graph:
  - The graph's images have their channels last, so that a reshape is all there is between tokens and images. Here it takes
    a transposition too, which nn_meter counts: a kernel more for each way in or out, a few percent of a block.
  - Four dimensions in an ONNX file are read as an image. Where they are a stack of matrices, as heads are, the kernel is
    described with its axes in another order: next to nothing where such kernels were measured, as on the phones' CPUs.
"""

from dataclasses import dataclass

import numpy as np

from .errors import FitError

IR_VERSION = 8
OPSET, LATER_OPSETS = 13, {"HardSwish": 14, "LayerNormalization": 17}  # as old as a graph's operators let it be
FLOAT, INT64 = 1, 7
ATTRIBUTE_INT, ATTRIBUTE_INTS = 2, 7


# ------------------------------------------------------------------------------------------------ protobuf


def _varint(number):
    out = bytearray()
    number &= (1 << 64) - 1
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _field(number, value):
    """One field: an integer, or bytes or text with their length."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _fields(number, values):
    return b"".join(_field(number, value) for value in values)


def _tensor(name, array):
    kind = INT64 if array.dtype == np.int64 else FLOAT
    return _fields(1, array.shape) + _field(2, kind) + _field(8, name) + _field(9, array.tobytes())


def _value_info(name, shape):
    dims = b"".join(_field(1, _field(1, size)) for size in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, FLOAT) + _field(2, dims)))


def _attribute(name, value):
    if isinstance(value, int):
        return _field(1, name) + _field(3, value) + _field(20, ATTRIBUTE_INT)
    return _field(1, name) + _fields(8, value) + _field(20, ATTRIBUTE_INTS)


def _node(kind, inputs, outputs, name, attributes):
    data = _fields(1, inputs) + _fields(2, outputs) + _field(3, name) + _field(4, kind)
    return data + b"".join(_field(5, _attribute(key, value)) for key, value in attributes.items())


# ------------------------------------------------------------------------------------------------ operators

ANYWHERE = ("relu", "relu6", "hswish", "swish", "add", "mul", "add_const", "mul_const", "split", "concat")
OF_TOKENS = ("dense", "bmm", "softmax", "layernorm", "transpose")


@dataclass
class _Value:
    """What an operator makes."""

    tensors: list  # names in the file; the two halves of a split, else one
    shape: tuple  # as the graph has it: without the batch, channels last
    first: bool  # whether the file has channels (or groups and channels of a group) before rows and columns

    @property
    def sizes(self):
        """As the file has it."""
        return (1, *self.shape[2:], *self.shape[:2]) if self.first else (1, *self.shape)

    @property
    def last_axis(self):
        """The graph's last axis, in the file."""
        return len(self.shape) - 2 if self.first else len(self.shape)


def _pads(size, window, stride, padding):
    """(before, after) along one axis."""
    if padding == "VALID":
        return 0, 0
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def _exchange(before, after):
    """The order of axes that makes one shape of another by exchanging two: the last neighbours that do, else the nearest
    axes, as the graph's reader decides. None: there are no such two."""
    for distance in range(1, len(before)):
        for second in range(len(before) - 1, distance - 1, -1):
            order = list(range(len(before)))
            order[second - distance], order[second] = second, second - distance
            if [before[i] for i in order] == list(after):
                return order
    return None


class _Writer:
    """Turns operators into nodes one by one. Without with_weights it only counts them."""

    def __init__(self, graph, with_weights=True):
        self.ops = graph["ops"]
        self.name = graph["id"]
        self.with_weights, self.weight_count, self.opset = with_weights, 0, OPSET
        self.nodes, self.weights, self.model_inputs, self.values = [], [], [], []
        self.turn, self.converted, self.parts = {}, {}, {}
        self.random = np.random.default_rng(sum(self.name.encode()))

    @property
    def at(self):
        """The number of the operator that is being written."""
        return len(self.values)

    def no_form(self, why):
        kind = self.ops[self.at][0]
        return FitError(
            f"{self.name}: operator {self.at} ('{kind}') has no ONNX form: {why}; give this model as an ONNX file, or "
            "leave it out"
        )

    # ---- constants

    def weight(self, tag, *shape, fan_in=None):
        """The name of random weights."""
        if not self.with_weights:
            self.weight_count += int(np.prod(shape))
            return ""
        fan_in = fan_in or max(1, int(np.prod(shape[1:])))
        return self.constant(tag, self.random.standard_normal(shape, np.float32) / np.float32(np.sqrt(fan_in)))

    def filled(self, tag, number, size):
        """The name of `size` weights that are all the same."""
        if not self.with_weights:
            self.weight_count += size
            return ""
        return self.constant(tag, np.full(size, number, np.float32))

    def constant(self, tag, values):
        """The name of an array: lists become integers, a number becomes a scalar."""
        array = np.asarray(values, np.int64 if isinstance(values, list) else np.float32)
        name = f"{tag}{self.at}"
        self.weights.append(_tensor(name, array))
        return name

    # ---- tensors

    def read(self, op, first):
        """The tensor of an operator, with its channels first or last; the readers of a split take its halves in turn."""
        value = self.values[op]
        tensor = value.tensors[self.turn.get(op, 0) % len(value.tensors)]
        self.turn[op] = self.turn.get(op, 0) + 1
        if value.first == first:
            return tensor
        if (tensor, first) not in self.converted:
            self.converted[tensor, first] = self.convert(tensor, value.shape, first)
        return self.converted[tensor, first]

    def convert(self, tensor, shape, first):
        shape = (1, 1, *shape) if len(shape) == 1 else shape  # a gate for each channel of an image
        if shape[:2] == (1, 1):  # the same numbers in the same order
            sizes = [1, *shape[2:], 1, 1] if first else [1, *shape]
            return self.reshaped(tensor, sizes, f"{tensor}_turned")
        axes = list(range(1, len(shape) + 1))
        order = [0, *axes[2:], *axes[:2]] if first else [0, *axes[-2:], *axes[:-2]]
        return self.node("Transpose", [tensor], [f"{tensor}_turned"], perm=order)

    def reshaped(self, tensor, sizes, output):
        return self.node("Reshape", [tensor, self.constant(f"{output}_shape", list(sizes))], [output])

    def image(self, op):
        if len(self.values[op].shape) != 3:
            raise self.no_form(f"operator {op}, which it reads, is no image of rows, columns and channels")
        return self.read(op, first=True)

    def together(self, inputs):
        """Tensors of one layout, and whether that has the channels first. Broadcasting is as in the graph: from the last
        axis on, so images stay as they are only beside others and vectors."""
        ranks = {len(self.values[x].shape) for x in inputs}
        first = any(self.values[x].first for x in inputs) and (len(ranks) == 1 or ranks == {1, 3})
        return [self.read(x, first) for x in inputs], first

    def node(self, kind, inputs, outputs=None, **attributes):
        outputs = outputs or [f"t{self.at}"]
        self.opset = max(self.opset, LATER_OPSETS.get(kind, 0))
        self.nodes.append(_node(kind, inputs, outputs, f"{kind}_{outputs[0]}", attributes))
        return outputs[0]

    def window(self, x, window, stride, padding):
        """Attributes of a convolution or pooling, and the shape behind it."""
        rows, columns, channels = self.values[x].shape
        before, after = zip(*(_pads(n, window, stride, padding) for n in (rows, columns)))
        sizes = [(n + b + a - window) // stride + 1 for n, b, a in zip((rows, columns), before, after)]
        attributes = {"kernel_shape": [window] * 2, "strides": [stride] * 2, "pads": [*before, *after]}
        return attributes, (*sizes, channels)

    # ---- one method for each operator: (its number's inputs, parameters) -> _Value

    def op_input(self, inputs, shape):
        first = len(shape) == 3 and self.is_image(self.at)
        name = "image" if first else "tokens"
        value = _Value([f"{name}{self.at}" if self.at else name], tuple(shape), first)
        self.model_inputs.append(_value_info(value.tensors[0], value.sizes))
        return value

    def is_image(self, op):
        """Whether an input of three dimensions is one: unless what reads it works on tokens."""
        reached = {op}
        for number, (kind, inputs, *_) in enumerate(self.ops):
            if not reached.isdisjoint(inputs):
                if kind not in ANYWHERE:
                    return kind not in OF_TOKENS
                reached.add(number)
        return True

    def op_conv(self, inputs, channels, window, stride, padding, bias=None):
        """With a bias in any case: that is where a runtime puts the batch normalisation."""
        tensor = self.image(inputs[0])
        attributes, shape = self.window(inputs[0], window, stride, padding)
        weights = [self.weight("w", channels, shape[2], window, window), self.weight("b", channels)]
        return _Value([self.node("Conv", [tensor, *weights], **attributes)], (*shape[:2], channels), True)

    def op_dwconv(self, inputs, window, stride, padding):
        tensor = self.image(inputs[0])
        attributes, shape = self.window(inputs[0], window, stride, padding)
        weight = self.weight("w", shape[2], 1, window, window)
        return _Value([self.node("Conv", [tensor, weight], group=shape[2], **attributes)], shape, True)

    def op_bn(self, inputs):
        """Of tokens as torch's BatchNorm1d on a list of them. nn_meter folds it into a layer in front; alone it is described
        as a batch of vectors."""
        shape = self.values[inputs[0]].shape
        first = len(shape) == 3
        tensor = self.image(inputs[0]) if first else self.read(inputs[0], first)
        scale, bias, mean, variance = (self.filled(tag, number, shape[-1]) for tag, number in zip("sbmv", (1, 0, 0, 1)))
        is_list = len(shape) == 1 or first
        if not is_list:
            tensor = self.reshaped(tensor, [int(np.prod(shape[:-1])), shape[-1]], f"t{self.at}_rows")
        outputs = None if is_list else [f"t{self.at}_normal"]
        result = self.node("BatchNormalization", [tensor, scale, bias, mean, variance], outputs)
        return _Value([result if is_list else self.reshaped(result, [1, *shape], f"t{self.at}")], shape, first)

    def in_place(self, kind, inputs, *constants, **attributes):
        """An operator on each element, in the layout that is there."""
        value = self.values[inputs[0]]
        tensor = self.node(kind, [self.read(inputs[0], value.first), *constants], **attributes)
        return _Value([tensor], value.shape, value.first)

    def op_relu(self, inputs):
        return self.in_place("Relu", inputs)

    def op_relu6(self, inputs):
        return self.in_place("Clip", inputs, self.constant("low", 0), self.constant("high", 6))

    def op_hswish(self, inputs):
        return self.in_place("HardSwish", inputs)

    def op_swish(self, inputs):
        value = self.values[inputs[0]]
        tensor = self.read(inputs[0], value.first)
        gate = self.node("Sigmoid", [tensor], [f"t{self.at}_gate"])
        return _Value([self.node("Mul", [tensor, gate])], value.shape, value.first)

    def op_add_const(self, inputs):
        return self.in_place("Add", inputs, self.constant("c", 3))

    def op_mul_const(self, inputs):
        return self.in_place("Mul", inputs, self.constant("c", 1 / 6))

    def op_softmax(self, inputs):
        return self.in_place("Softmax", inputs, axis=self.values[inputs[0]].last_axis)

    def op_layernorm(self, inputs):
        shape = self.values[inputs[0]].shape
        weights = [self.filled("s", 1, shape[-1]), self.filled("b", 0, shape[-1])]
        tensor = self.node("LayerNormalization", [self.read(inputs[0], first=False), *weights], axis=-1)
        return _Value([tensor], shape, False)

    def op_maxpool(self, inputs, *parameters):
        tensor = self.image(inputs[0])
        attributes, shape = self.window(inputs[0], *parameters)
        return _Value([self.node("MaxPool", [tensor], **attributes)], shape, True)

    def op_avgpool(self, inputs, window, stride, padding):
        tensor = self.image(inputs[0])
        rows, columns, channels = self.values[inputs[0]].shape
        if window == rows == columns and padding == "VALID":
            return _Value([self.node("GlobalAveragePool", [tensor])], (1, 1, channels), True)
        attributes, shape = self.window(inputs[0], window, stride, padding)
        return _Value([self.node("AveragePool", [tensor], **attributes)], shape, True)

    def op_mean(self, inputs, keepdims=None):
        tensor, channels = self.image(inputs[0]), self.values[inputs[0]].shape[2]
        if keepdims:
            return _Value([self.node("GlobalAveragePool", [tensor])], (1, 1, channels), True)
        pooled = self.node("GlobalAveragePool", [tensor], [f"t{self.at}_pooled"])
        return _Value([self.node("Flatten", [pooled], axis=1)], (channels,), False)

    def op_pad(self, inputs, width):
        tensor, (rows, columns, channels) = self.image(inputs[0]), self.values[inputs[0]].shape
        pads = self.constant("pads", [0, 0, width, width] * 2)
        return _Value([self.node("Pad", [tensor, pads])], (rows + 2 * width, columns + 2 * width, channels), True)

    def op_reshape(self, inputs, dims):
        """The channels of an image seen as groups, or groups as channels, as in a channel shuffle, stay before rows and
        columns. All other shapes are of the elements in the graph's order, except that an image in front of a fully
        connected layer is laid out as it is: the weights are random."""
        value, shape = self.values[inputs[0]], tuple(dims[1:])
        if np.prod(value.shape) != np.prod(shape):
            raise self.no_form(f"what it reads, {list(value.shape)}, has another number of elements")
        stays = value.first and len(shape) in (3, 4) and shape[:2] == value.shape[:2]
        tensor = self.read(inputs[0], value.first and (stays or len(shape) == 1))
        result = _Value([f"t{self.at}"], shape, stays or (len(shape) == 3 and shape[:2] == (1, 1)))
        self.reshaped(tensor, result.sizes, result.tensors[0])
        return result

    def op_transpose(self, inputs, dims):
        value, shape = self.values[inputs[0]], tuple(dims[1:])
        order = _exchange((1, *value.shape), dims)
        if order is None or order[0] != 0:
            raise self.no_form(f"no exchange of two axes makes {list(shape)} of {list(value.shape)}")
        stays = value.first and order == [0, 1, 2, 4, 3]  # a channel shuffle's
        tensor = self.read(inputs[0], stays)
        return _Value([self.node("Transpose", [tensor], perm=[0, 2, 1, 3, 4] if stays else order)], shape, stays)

    def op_fc(self, inputs, channels):
        shape = self.values[inputs[0]].shape
        if len(shape) > 1:
            product = self.product(inputs[0], channels, [f"t{self.at}_product"])
            return _Value([self.node("Add", [product, self.weight("b", channels)])], (*shape[:-1], channels), False)
        weights = [self.weight("w", channels, shape[-1]), self.weight("b", channels)]
        tensor = self.node("Gemm", [self.read(inputs[0], first=False), *weights], transB=1)
        return _Value([tensor], (channels,), False)

    def op_dense(self, inputs, channels):
        return _Value([self.product(inputs[0], channels)], (*self.values[inputs[0]].shape[:-1], channels), False)

    def product(self, x, channels, outputs=None):
        """With weights, on the last axis."""
        width = self.values[x].shape[-1]
        weight = self.weight("w", width, channels, fan_in=width)
        return self.node("MatMul", [self.read(x, first=False), weight], outputs)

    def op_bmm(self, inputs, dims):
        """The graph's reader takes the second operand transposed unless only the other way fits. ONNX has no attribute for
        it: torch writes a transposition, which nn_meter takes into attention, and counts where there is no attention."""
        a, b = (self.values[x].shape for x in inputs)
        left, right = (self.read(x, first=False) for x in inputs)
        if len(a) != len(b) or len(a) < 2:
            raise self.no_form(f"{list(a)} and {list(b)} are no matrices, or not as many")
        is_plain = b[-2:] == (a[-1], dims[-1])
        if not is_plain and b[-2:] != (dims[-1], a[-1]):
            raise self.no_form(f"{list(a)} times {list(b)} is not {dims[1:]}")
        if not is_plain:
            order = [*range(len(b) - 1), len(b), len(b) - 1]
            right = self.node("Transpose", [right], [f"t{self.at}_turned"], perm=order)
        return _Value([self.node("MatMul", [left, right])], tuple(dims[1:]), False)

    def binary(self, kind, inputs):
        tensors, first = self.together(inputs)
        shape = np.broadcast_shapes(*((1, *self.values[x].shape) for x in inputs))[1:]
        return _Value([self.node(kind, tensors)], shape, first)

    def op_add(self, inputs):
        return self.binary("Add", inputs)

    def op_mul(self, inputs):
        return self.binary("Mul", inputs)

    def op_concat(self, inputs):
        tensors, first = self.together(inputs)
        shapes = [self.values[x].shape for x in inputs]
        result = _Value([f"t{self.at}"], (*shapes[0][:-1], sum(shape[-1] for shape in shapes)), first)
        self.node("Concat", tensors, axis=result.last_axis)
        return result

    def op_split(self, inputs, dims=None):
        """In halves, or, where dims are given, one of the parts that stand behind each other: the first of them writes the
        node for all."""
        value = self.values[inputs[0]]
        if dims is None:
            half = value.shape[-1] // 2
            tensors = self.split(inputs[0], [half, half], [f"t{self.at}a", f"t{self.at}b"])
            return _Value(tensors, (*value.shape[:-1], half), value.first)
        if self.at not in self.parts:
            end = self.at
            while end < len(self.ops) and self.ops[end][:2] == ["split", inputs] and len(self.ops[end]) == 3:
                end += 1
            sizes = [self.ops[part][2][-1] for part in range(self.at, end)]
            tensors = self.split(inputs[0], sizes, [f"t{part}" for part in range(self.at, end)])
            self.parts.update(zip(range(self.at, end), tensors))
        return _Value([self.parts[self.at]], tuple(dims[1:]), value.first)

    def split(self, x, sizes, outputs):
        value = self.values[x]
        if sum(sizes) != value.shape[-1]:
            raise self.no_form(f"its parts are {sum(sizes)} of {value.shape[-1]} channels")
        tensors = [self.read(x, value.first), self.constant("sizes", sizes)]
        self.node("Split", tensors, outputs, axis=value.last_axis)
        return outputs

    # ---- the whole graph

    def write(self):
        for kind, inputs, *parameters in self.ops:
            method = getattr(self, f"op_{kind}", None)
            if method is None:
                raise self.no_form("it is not known")
            self.values.append(method(inputs, *parameters))
        return self

    def bytes(self):
        """What nothing reads is a result of the model."""
        is_read = {x for _, inputs, *_ in self.ops for x in inputs}
        results = [v for op, v in enumerate(self.values) if op not in is_read]
        graph = _fields(1, self.nodes) + _field(2, self.name) + _fields(5, self.weights)
        graph += _fields(11, self.model_inputs) + _fields(12, [_value_info(v.tensors[0], v.sizes) for v in results])
        opset = _field(1, "") + _field(2, self.opset)
        return _field(1, IR_VERSION) + _field(2, "nn-meter") + _field(7, graph) + _field(8, opset)


def onnx_bytes(graph):
    """A benchmark graph (dictionary) that nn_meter reads, as an ONNX model with random weights, bytes. Raises FitError
    for operators that have no ONNX form."""
    return _Writer(graph).write().bytes()


def weight_count(graph):
    """How many weights the graph has: four bytes each in the file. Raises FitError as onnx_bytes does."""
    return _Writer(graph, with_weights=False).write().weight_count
