"""Small models and a small predictor, written byte by byte: the command line's tests need no package but pytest."""

import json
import struct
import sys
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "writers"))
from protobuf import field, fields  # noqa: E402

# ------------------------------------------------------------------ ONNX, as protobuf

FLOAT = 1


def value_info(name, shape):
    """A model input or output; a dimension that is text is symbolic, shape None unknown."""
    if shape is None:
        return field(1, name) + field(2, field(1, field(1, FLOAT)))
    dims = b"".join(field(1, field(2 if isinstance(dim, str) else 1, dim)) for dim in shape)
    return field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, dims)))


def weight(name, shape, kind=FLOAT):
    """An initializer without its data; kind: the number of its element type."""
    return fields(1, shape) + field(2, kind) + field(8, name)


def node(kind, inputs, outputs, name="", **attributes):
    data = fields(1, inputs) + fields(2, outputs) + field(3, name) + field(4, kind)
    for key, value in attributes.items():
        if isinstance(value, int):
            data += field(5, field(1, key) + field(3, value) + field(20, 2))
        else:
            data += field(5, field(1, key) + fields(8, value) + field(20, 7))
    return data


def onnx(nodes, inputs, outputs, weights, opset=17):
    graph = fields(1, nodes) + field(2, "test") + fields(5, weights) + fields(11, inputs) + fields(12, outputs)
    imports = b"" if opset is None else field(8, field(1, "") + field(2, opset))
    return field(1, 8) + field(2, "tests") + field(7, graph) + imports


def two_convolutions(shape=(1, 3, 32, 32), prefix="", tail=(), opset=17, weight_type=FLOAT):
    """Convolution 3 to 8 and ReLU, convolution 8 to 16 and ReLU; tail: operator types put behind."""
    nodes = [
        node("Conv", ["x", "w1"], ["a"], prefix + "conv1", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["b"], prefix + "relu1"),
        node("Conv", ["b", "w2"], ["c"], prefix + "conv2", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
        node("Relu", ["c"], ["d"], prefix + "relu2"),
    ]
    last = "d"
    for index, kind in enumerate(tail):
        nodes.append(node(kind, [last], [f"t{index}"], f"{prefix}tail{index}"))
        last = f"t{index}"
    weights = [weight("w1", [8, 3, 3, 3], weight_type), weight("w2", [16, 8, 3, 3], weight_type)]
    return onnx(nodes, [value_info("x", shape)], [value_info(last, None)], weights, opset)


# ------------------------------------------------------------------ a predictor file, see docs/predictor-format.md


def stump(feature, threshold, left, right):
    """A forest of one tree with one split: its leaf values, nodes and starts of trees."""
    leaves = struct.pack("<2d", left, right)
    leaf = 255
    nodes = struct.pack("<IfIIII", feature | 2 << 8, threshold, leaf, 0, leaf, 1)
    starts = struct.pack("<2I", 0, 3)
    return leaves + nodes + starts


def forest_section(forests):
    """forests: {kernel type: (number of features, feature, threshold, left, right)}"""
    header = struct.pack("<2I", 1, len(forests))
    offset = len(header) + 56 * len(forests)
    table = arrays = b""
    for kernel, (features, *split) in forests.items():
        body = stump(*split)
        table += struct.pack("<32s4IQ", kernel.encode(), features, 1, 3, 2, offset + len(arrays))
        arrays += body
    return header + table + arrays


def predictor(name="tiny", version="1.0", forests=None, rules=None):
    """A predictor file that knows convolutions, by their input channels: up to 5 take 2.5 ms, more take 0.75 ms."""
    forests = forests or {"conv-bn-relu": (7, 1, 5.5, 2.5, 0.75)}
    rules = rules or {"BF_conv_relu": {"obey": True}}
    info = {"name": name, "version": version, "kind": "forest", "card": "made up for tests"}
    contents = {
        "info": json.dumps(info).encode(),
        "rules": json.dumps(rules).encode(),
        "data": forest_section(forests),
    }
    offset = 32 + 32 * len(contents)
    table = body = b""
    for section, data in contents.items():
        body += b"\0" * (-(offset + len(body)) % 16)
        table += struct.pack("<16sQQ", section.encode(), offset + len(body), len(data))
        body += data
    rest = table + body
    return b"NNMETER\0" + struct.pack("<IIQII", 1, len(contents), 32 + len(rest), zlib.crc32(rest), 0) + rest
