"""Models made for measuring: chains of any length, and files of any size. Weights have dimensions and no bytes."""

from pathlib import Path

from onnx import TensorProto, helper

BLOCK_NODES = 6


def weight(name, *dims):
    return TensorProto(name=name, data_type=TensorProto.FLOAT, dims=dims)


def normalised_convolution(name, source, channels, nodes, weights):
    weights.append(weight(f"{name}.w", channels, channels, 3, 3))
    nodes.append(
        helper.make_node(
            "Conv", [source, f"{name}.w"], [f"{name}.conv"], f"{name}.conv", pads=[1] * 4, kernel_shape=[3, 3]
        )
    )
    parameters = [f"{name}.{part}" for part in ("scale", "shift", "mean", "variance")]
    weights += [weight(parameter, channels) for parameter in parameters]
    nodes.append(helper.make_node("BatchNormalization", [f"{name}.conv", *parameters], [f"{name}.bn"], f"{name}.bn"))
    return f"{name}.bn"


def residual_chain(node_count, channels=16, size=56):
    """A network of about node_count nodes: residual blocks of two normalised convolutions, ReLU between, Add behind."""
    nodes, weights, tensor = [], [], "image"
    for block in range(max(1, node_count // BLOCK_NODES)):
        first = normalised_convolution(f"b{block}.0", tensor, channels, nodes, weights)
        nodes.append(helper.make_node("Relu", [first], [f"b{block}.relu"], f"b{block}.relu"))
        second = normalised_convolution(f"b{block}.1", f"b{block}.relu", channels, nodes, weights)
        nodes.append(helper.make_node("Add", [second, tensor], [f"b{block}.add"], f"b{block}.add"))
        tensor = f"b{block}.add"
    shape = [1, channels, size, size]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
    output = helper.make_tensor_value_info(tensor, TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "chain", [image], [output], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def varint(value):
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def length_delimited(field, length):
    return varint(field << 3 | 2) + varint(length)


def write_with_weights(model, path: Path):
    """Writes model with a float for every element of every initializer, as a file with holes: zeros that take no room.

    The bytes are what any protobuf writer would write; only nobody has to hold them in memory.
    """
    initializers = list(model.graph.initializer)
    del model.graph.initializer[:]
    graph = model.graph.SerializeToString()
    model.ClearField("graph")
    pieces, length = [], len(graph)
    for tensor in initializers:
        size = 4
        for dimension in tensor.dims:
            size *= dimension
        inner = tensor.SerializeToString() + length_delimited(9, size)  # TensorProto.raw_data
        head = length_delimited(5, len(inner) + size) + inner  # GraphProto.initializer
        pieces.append((head, size))
        length += len(head) + size
    with path.open("wb") as file:
        file.write(model.SerializeToString() + length_delimited(7, length) + graph)  # ModelProto.graph
        for head, size in pieces:
            file.write(head)
            file.seek(size, 1)
        file.truncate()
