"""Benchmark graphs as ONNX files with random weights, so that any runtime can measure them.

Operators come as an exporter would write them: batch normalisation folded away is left to the runtime; images are NCHW.
Nothing but the standard library and numpy: the few protobuf messages that are needed are written by hand.
"""

import numpy as np

OPSET, IR_VERSION = 13, 8
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


def _nchw(shape):
    """A benchmark shape, without the batch, as ONNX has it."""
    return (1, shape[2], shape[0], shape[1]) if len(shape) == 3 else (1, *shape)


def _pads(size, window, stride, padding):
    """(before, after) along one axis."""
    if padding == "VALID":
        return 0, 0
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


class _Writer:
    """Turns operators into nodes one by one; results holds the tensors of each operator (two for a split)."""

    def __init__(self, graph):
        self.ops = graph["ops"]
        self.name = graph["id"]
        self.nodes, self.weights, self.results, self.shapes = [], [], [], []
        self.turn = {}
        self.random = np.random.default_rng(sum(self.name.encode()))

    def weight(self, name, *shape):
        fan_in = max(1, int(np.prod(shape[1:])))
        values = self.random.standard_normal(shape, np.float32) / np.float32(np.sqrt(fan_in))
        return self.constant(name, values)

    def constant(self, name, array):
        self.weights.append(_tensor(name, array))
        return name

    def read(self, op):
        """The tensor of an operator; the readers of a split take its halves in turn."""
        tensors = self.results[op]
        if len(tensors) == 1:
            return tensors[0]
        self.turn[op] = self.turn.get(op, -1) + 1
        return tensors[self.turn[op] % 2]

    def node(self, kind, inputs, outputs=None, tag="", **attributes):
        at = len(self.results)
        outputs = outputs or [f"t{at}{tag}"]
        self.nodes.append(_node(kind, inputs, outputs, f"{kind}_{at}{tag}", attributes))
        return outputs[0]

    def window(self, x, window, stride, padding):
        """Attributes of a convolution or pooling, and the shape behind it."""
        rows, columns, channels = self.shapes[x]
        before, after = zip(*(_pads(n, window, stride, padding) for n in (rows, columns)))
        sizes = [(n + b + a - window) // stride + 1 for n, b, a in zip((rows, columns), before, after)]
        attributes = {"kernel_shape": [window] * 2, "strides": [stride] * 2, "pads": [*before, *after]}
        return attributes, (*sizes, channels)

    # ---- one method for each operator: (its number's inputs, parameters) -> shape of the result

    def op_conv(self, inputs, channels, window, stride, padding):
        attributes, shape = self.window(inputs[0], window, stride, padding)
        at, tensor = len(self.results), self.read(inputs[0])
        weight = self.weight(f"w{at}", channels, shape[2], window, window)
        self.results.append([self.node("Conv", [tensor, weight, self.weight(f"b{at}", channels)], **attributes)])
        return (*shape[:2], channels)

    def op_dwconv(self, inputs, window, stride, padding):
        attributes, shape = self.window(inputs[0], window, stride, padding)
        at, tensor = len(self.results), self.read(inputs[0])
        weight = self.weight(f"w{at}", shape[2], 1, window, window)
        self.results.append([self.node("Conv", [tensor, weight], group=shape[2], **attributes)])
        return shape

    def op_bn(self, inputs):
        at, channels = len(self.results), self.shapes[inputs[0]][-1]
        ones, zeros = np.ones(channels, np.float32), np.zeros(channels, np.float32)
        parts = [self.constant(f"{n}{at}", v) for n, v in zip("smbv", (ones, zeros, zeros, ones))]
        scale, mean, bias, variance = parts
        self.results.append([self.node("BatchNormalization", [self.read(inputs[0]), scale, bias, mean, variance])])
        return self.shapes[inputs[0]]

    def op_relu(self, inputs):
        self.results.append([self.node("Relu", [self.read(inputs[0])])])
        return self.shapes[inputs[0]]

    def op_relu6(self, inputs):
        at = len(self.results)
        low = self.constant(f"low{at}", np.array(0, np.float32))
        high = self.constant(f"high{at}", np.array(6, np.float32))
        self.results.append([self.node("Clip", [self.read(inputs[0]), low, high])])
        return self.shapes[inputs[0]]

    def op_maxpool(self, inputs, *parameters):
        attributes, shape = self.window(inputs[0], *parameters)
        self.results.append([self.node("MaxPool", [self.read(inputs[0])], **attributes)])
        return shape

    def op_avgpool(self, inputs, window, stride, padding):
        rows, columns, channels = self.shapes[inputs[0]]
        if window == rows == columns and padding == "VALID":
            self.results.append([self.node("GlobalAveragePool", [self.read(inputs[0])])])
            return (1, 1, channels)
        attributes, shape = self.window(inputs[0], window, stride, padding)
        self.results.append([self.node("AveragePool", [self.read(inputs[0])], **attributes)])
        return shape

    def op_mean(self, inputs):
        pooled = self.node("GlobalAveragePool", [self.read(inputs[0])], tag="p")
        self.results.append([self.node("Flatten", [pooled], axis=1)])
        return self.shapes[inputs[0]][-1:]

    def op_reshape(self, inputs, dims):
        """Between images, as in a channel shuffle, the channels are the second axis here; groups go before them."""
        at, tensor, shape = len(self.results), self.read(inputs[0]), tuple(dims[1:])
        if len(shape) == 4:  # rows, columns, groups, channels of a group
            target = [1, shape[2], shape[3], shape[0], shape[1]]
        elif len(shape) == 3:
            target = [1, shape[2], shape[0], shape[1]]
        else:
            target = [1, *shape]
        target = self.constant(f"shape{at}", np.array(target, np.int64))
        self.results.append([self.node("Reshape", [tensor, target])])
        return shape

    def op_transpose(self, inputs, dims):
        self.results.append([self.node("Transpose", [self.read(inputs[0])], perm=[0, 2, 1, 3, 4])])
        return tuple(dims[1:])

    def op_fc(self, inputs, channels):
        at, tensor = len(self.results), self.read(inputs[0])
        weight = self.weight(f"w{at}", channels, self.shapes[inputs[0]][-1])
        bias = self.weight(f"b{at}", channels)
        self.results.append([self.node("Gemm", [tensor, weight, bias], transB=1)])
        return (channels,)

    def binary(self, kind, inputs):
        self.results.append([self.node(kind, [self.read(x) for x in inputs])])
        return max(self.shapes[inputs[0]], self.shapes[inputs[1]])

    def op_add(self, inputs):
        return self.binary("Add", inputs)

    def op_mul(self, inputs):
        return self.binary("Mul", inputs)

    def with_constant(self, kind, inputs, value):
        constant = self.constant(f"c{len(self.results)}", np.array(value, np.float32))
        self.results.append([self.node(kind, [self.read(inputs[0]), constant])])
        return self.shapes[inputs[0]]

    def op_add_const(self, inputs):
        return self.with_constant("Add", inputs, 3)

    def op_mul_const(self, inputs):
        return self.with_constant("Mul", inputs, 1 / 6)

    def op_concat(self, inputs):
        shapes = [self.shapes[x] for x in inputs]
        self.results.append([self.node("Concat", [self.read(x) for x in inputs], axis=1)])
        return (*shapes[0][:2], sum(shape[2] for shape in shapes))

    def op_split(self, inputs):
        at, (rows, columns, channels) = len(self.results), self.shapes[inputs[0]]
        outputs = [f"t{at}a", f"t{at}b"]
        sizes = self.constant(f"sizes{at}", np.array([channels // 2] * 2, np.int64))
        self.node("Split", [self.read(inputs[0]), sizes], outputs, axis=1)
        self.results.append(outputs)
        return rows, columns, channels // 2

    # ---- the whole graph

    def bytes(self):
        model_input = None
        for kind, inputs, *parameters in self.ops:
            if kind == "input":
                self.results.append(["image"])
                self.shapes.append(tuple(parameters[0]))
                model_input = _value_info("image", _nchw(parameters[0]))
                continue
            method = getattr(self, f"op_{kind}", None)
            if method is None:
                raise ValueError(f"{self.name}: operator '{kind}' has no ONNX form")
            self.shapes.append(method(inputs, *parameters))
        output = _value_info(self.results[-1][0], _nchw(self.shapes[-1]))
        graph = _fields(1, self.nodes) + _field(2, self.name) + _fields(5, self.weights)
        graph += _field(11, model_input) + _field(12, output)
        opset = _field(1, "") + _field(2, OPSET)
        return _field(1, IR_VERSION) + _field(2, "nn-meter") + _field(7, graph) + _field(8, opset)


def onnx_bytes(graph):
    """A benchmark graph (dictionary) as an ONNX model with random weights, bytes. Raises ValueError for operators that it
    does not know."""
    return _Writer(graph).bytes()


def weight_count(graph):
    """How many weights the graph has: four bytes each in the file."""
    shapes, count = [], 0
    for kind, inputs, *parameters in graph["ops"]:
        shape = tuple(parameters[0]) if kind == "input" else shapes[inputs[0]]
        if kind in ("conv", "dwconv", "maxpool", "avgpool"):
            window, stride, padding = parameters[-3:]
            sizes = [-(-n // stride) if padding == "SAME" else (n - window) // stride + 1 for n in shape[:2]]
            channels = parameters[0] if kind == "conv" else shape[2]
            if kind == "conv":
                count += channels * (shape[2] * window * window + 1)
            elif kind == "dwconv":
                count += channels * window * window
            shape = (*sizes, channels)
        elif kind == "fc":
            count += parameters[0] * (shape[-1] + 1)
            shape = (parameters[0],)
        elif kind == "bn":
            count += 4 * shape[-1]
        elif kind == "concat":
            shape = (*shape[:2], sum(shapes[x][2] for x in inputs))
        elif kind == "split":
            shape = (*shape[:2], shape[2] // 2)
        elif kind in ("reshape", "transpose"):
            shape = tuple(parameters[0][1:])
        elif kind == "mean":
            shape = shape[-1:]
        elif kind in ("add", "mul"):
            shape = max(shape, shapes[inputs[1]])
        shapes.append(shape)
    return count
