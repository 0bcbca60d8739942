"""TensorFlow's messages, well-formed or not: nodes, constants, functions, graphs and SavedModels as bytes."""

import struct

from protobuf import field, fields, varint

FLOAT, INT32, STRING, INT64, BOOL, RESOURCE = 1, 3, 7, 9, 10, 20


def entry(key, value):
    return field(1, key) + field(2, value)


def shape(dims):
    """TensorShapeProto; None: of unknown rank."""
    return field(3, 1) if dims is None else b"".join(field(2, field(1, dim)) for dim in dims)


def tensor(dims, values=(), dtype=FLOAT, content=None):
    """TensorProto; without values all are zero, fewer than there are elements repeat the last."""
    data = field(1, dtype) + field(2, shape(dims))
    if content is not None:
        return data + field(4, content)
    if dtype == FLOAT:
        return data + (field(5, struct.pack(f"<{len(values)}f", *values)) if values else b"")
    return data + (field({INT32: 7, INT64: 10, BOOL: 11}[dtype], b"".join(map(varint, values))) if values else b"")


def integers(*values, dtype=INT32):
    if len(values) < 2:
        return tensor([len(values)], values, dtype)
    return tensor([len(values)], dtype=dtype, content=struct.pack(f"<{len(values)}{'iq'[dtype == INT64]}", *values))


class Type(int):
    """An attribute that is a type."""


class Shape(tuple):
    """An attribute that is a shape; Shape(None) of unknown rank."""

    def __new__(cls, dims):
        made = super().__new__(cls, dims or ())
        made.known = dims is not None
        return made


class Function(str):
    """An attribute that is a function."""


class Tensor(bytes):
    """An attribute that is a tensor."""


def attribute(value):
    if isinstance(value, Function):
        return field(10, field(1, str(value)))
    if isinstance(value, Tensor):
        return field(8, bytes(value))
    if isinstance(value, Shape):
        return field(7, shape(list(value) if value.known else None))
    if isinstance(value, Type):
        return field(6, int(value))
    if isinstance(value, bool):
        return field(5, int(value))
    if isinstance(value, int):
        return field(3, value)
    if isinstance(value, str):
        return field(2, value)
    if value and isinstance(value[0], Function):
        return field(1, fields(9, [field(1, str(item)) for item in value]))
    if value and isinstance(value[0], str):
        return field(1, fields(2, value))
    return field(1, field(3, b"".join(map(varint, value))))


def node(name, op, inputs=(), **attributes):
    data = field(1, name) + field(2, op) + fields(3, inputs)
    return data + fields(5, [entry(key, attribute(value)) for key, value in attributes.items()])


def const(name, value):
    return node(name, "Const", value=Tensor(value))


def weights(name, *dims):
    return const(name, tensor(dims, [0.5]))


def placeholder(name, *dims, dtype=FLOAT):
    return node(name, "Placeholder", dtype=Type(dtype), shape=Shape(dims))


def function(name, arguments, results, nodes):
    """results: {name: "node:output:0"}"""
    signature = field(1, name) + fields(2, [field(1, a) for a in arguments]) + fields(3, [field(1, r) for r in results])
    return field(1, signature) + fields(3, nodes) + fields(4, [entry(key, value) for key, value in results.items()])


def graph(nodes, functions=()):
    library = field(2, fields(1, functions)) if functions else b""
    return fields(1, nodes) + library + field(4, field(1, 1882))


def tensor_info(name, dims, dtype=FLOAT):
    return field(1, name) + field(2, dtype) + field(3, shape(dims))


def signature(inputs, outputs):
    named = [(1, inputs), (2, outputs)]
    parts = [field(n, entry(key, tensor_info(*info))) for n, infos in named for key, info in infos.items()]
    return b"".join(parts) + field(3, "tensorflow/serving/predict")


def meta_graph(graph_def, signatures, tags=("serve",), version="2.99.0"):
    info = fields(4, tags) + field(5, version)
    return field(1, info) + field(2, graph_def) + fields(5, [entry(k, s) for k, s in signatures.items()])


def saved_model(*meta_graphs):
    return field(1, 1) + fields(2, meta_graphs)
