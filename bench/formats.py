"""The same residual chain in every format: networks of about so many nodes, put together here without their tools.

A block has two convolutions, a ReLU between and an addition behind. Where a format keeps batch normalisation, each
convolution has one behind it (6 nodes a block); a TFLite file has none, its converter folds it away (4 nodes a block).
Each writer returns a chain: the file's bytes, how many of them are weights, and how many nodes a reader makes of it.
"""

import json
import sys
from dataclasses import dataclass
from math import prod
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "writers"))
import tensorflow_file as tf  # noqa: E402
from flatbuffer import flatbuffer, i8  # noqa: E402
from models import BLOCK_NODES, residual_chain  # noqa: E402
from tflite_file import RELU, SAME, start, window  # noqa: E402

TFLITE_BLOCK_NODES = 4
NORMALISATION = ("gamma", "beta", "mean", "variance")


@dataclass
class Chain:
    content: bytes
    weight_bytes: int
    nodes: int


def onnx_chain(node_count, channels, size):
    model = residual_chain(node_count, channels, size)
    return Chain(model.SerializeToString(), 0, len(model.graph.node))


# ---------------------------------------------------------------- TensorFlow


def tf_weights(name, dims, filled):
    """A Const with a value for every element, or with one that stands for all; and how many bytes its values take."""
    if not filled:
        return tf.weights(name, *dims), 0
    return tf.const(name, tf.tensor(dims, content=bytes(4 * prod(dims)))), 4 * prod(dims)


def tf_parameters(name, channels):
    """Names and dimensions of the weights of a normalised convolution."""
    return [(f"{name}/kernel", [3, 3, channels, channels]), *[(f"{name}/{part}", [channels]) for part in NORMALISATION]]


def tf_normalised_convolution(name, source, weights, output="{}"):
    """output: how another node names a node's output: 'conv', or 'conv:output:0' in a function."""
    yield tf.node(
        f"{name}/conv",
        "Conv2D",
        [source, weights[0]],
        T=tf.Type(tf.FLOAT),
        strides=[1, 1, 1, 1],
        padding="SAME",
        data_format="NHWC",
        dilations=[1, 1, 1, 1],
    )
    yield tf.node(
        f"{name}/bn",
        "FusedBatchNormV3",
        [output.format(f"{name}/conv", "output"), *weights[1:]],
        T=tf.Type(tf.FLOAT),
        U=tf.Type(tf.FLOAT),
        data_format="NHWC",
        is_training=False,
    )


def tf_blocks(node_count, image, weights_of, output="{}"):
    """Nodes of the chain, and the name of its result; weights_of(layer): the names of its five weights."""
    nodes, source = [], image
    for block in range(max(1, node_count // BLOCK_NODES)):
        name = f"b{block}"
        nodes += tf_normalised_convolution(f"{name}/0", source, weights_of(f"{name}/0"), output)
        first = output.format(f"{name}/0/bn", "y")
        nodes.append(tf.node(f"{name}/relu", "Relu", [first], T=tf.Type(tf.FLOAT)))
        middle = output.format(f"{name}/relu", "activations")
        nodes += tf_normalised_convolution(f"{name}/1", middle, weights_of(f"{name}/1"), output)
        second = output.format(f"{name}/1/bn", "y")
        nodes.append(tf.node(f"{name}/add", "AddV2", [second, source], T=tf.Type(tf.FLOAT)))
        source = output.format(f"{name}/add", "z")
    return nodes, source


def tf_layers(node_count):
    return [f"b{block}/{half}" for block in range(max(1, node_count // BLOCK_NODES)) for half in (0, 1)]


def frozen_chain(node_count, channels, size, filled=False):
    constants, weight_bytes = [], 0
    for layer in tf_layers(node_count):
        for name, dims in tf_parameters(layer, channels):
            constant, added = tf_weights(name, dims, filled)
            constants.append(constant)
            weight_bytes += added
    nodes, _ = tf_blocks(node_count, "image", lambda layer: [name for name, _ in tf_parameters(layer, channels)])
    graph = tf.graph([tf.placeholder("image", 1, size, size, channels), *constants, *nodes])
    return Chain(graph, weight_bytes, len(nodes))


def saved_model_chain(node_count, channels, size):
    """As TensorFlow 2 saves it: variables at the top, and a function that reads them."""
    parameters = [pair for layer in tf_layers(node_count) for pair in tf_parameters(layer, channels)]
    shape = [1, size, size, channels]
    handles = [tf.node(name, "VarHandleOp", dtype=tf.Type(tf.FLOAT), shape=tf.Shape(dims)) for name, dims in parameters]
    reads = [tf.node(f"{name}/read", "ReadVariableOp", [name], dtype=tf.Type(tf.FLOAT)) for name, _ in parameters]
    read_of = [f"{name}/read:value:0" for name, _ in parameters]
    place = {layer: index * 5 for index, layer in enumerate(tf_layers(node_count))}
    nodes, last = tf_blocks(
        node_count, "image", lambda layer: read_of[place[layer] : place[layer] + 5], output="{}:{}:0"
    )
    arguments = ["image", *[name for name, _ in parameters]]
    result = tf.node("result", "Identity", [last], T=tf.Type(tf.FLOAT))
    serve = tf.function("serve", arguments, {"result": "result:output:0"}, [*reads, *nodes, result])
    image = tf.placeholder("serving_image", *shape)
    inputs = ["serving_image", *[name for name, _ in parameters]]
    call = tf.node("StatefulPartitionedCall", "StatefulPartitionedCall", inputs, f=tf.Function("serve"))
    signature = tf.signature({"image": ("serving_image:0", shape)}, {"y": ("StatefulPartitionedCall:0", shape)})
    meta_graph = tf.meta_graph(tf.graph([*handles, image, call], [serve]), {"serving_default": signature})
    return Chain(tf.saved_model(meta_graph), 0, len(nodes))


# ---------------------------------------------------------------- TFLite


def tflite_chain(node_count, channels, size, filled=False):
    shape = [1, size, size, channels]
    model, graph = start(*shape)
    weight_bytes, source = 0, "x"

    def weight(name, *dims):
        nonlocal weight_bytes
        graph.weight(name, *dims, size=None if filled else 0)
        weight_bytes += 4 * prod(dims) if filled else 0
        return name

    def convolution(name, source, activation):
        weights = [weight(f"{name}/kernel", channels, 3, 3, channels), weight(f"{name}/bias", channels)]
        graph.tensor(f"{name}/conv", shape)
        return graph.op("CONV_2D", [source, *weights], [f"{name}/conv"], window(SAME, (1, 1), activation))

    blocks = max(1, node_count // TFLITE_BLOCK_NODES)
    for block in range(blocks):
        first = convolution(f"b{block}/0", source, RELU)
        second = convolution(f"b{block}/1", first, 0)
        graph.tensor(f"b{block}/add", shape)
        source = graph.op("ADD", [second, source], [f"b{block}/add"], {0: i8(0)})
    graph.output(source)
    return Chain(flatbuffer(model.table(), share_layouts=True), weight_bytes, blocks * TFLITE_BLOCK_NODES)


# ---------------------------------------------------------------- JSON


def nni_chain(node_count, channels, size):
    """NNI's graph IR, with the shapes that its converter can record."""
    nodes, edges, shape = {}, [], [1, channels, size, size]

    def add(name, kind, sources, **parameters):
        """sources: (node, slot of this one)."""
        attributes = {"input_shape": [shape] * len(sources), "output_shape": [shape]}
        nodes[name] = {"operation": {"type": kind, "parameters": parameters, "attributes": attributes}}
        for source, slot in sources:
            edges.append({"head": [source, 0 if source == "_inputs" else None], "tail": [name, slot]})
        return name

    def normalised_convolution(name, source):
        convolution = {"in_channels": channels, "out_channels": channels, "kernel_size": 3, "padding": 1, "bias": False}
        torch = "__torch__.torch.nn.modules"
        conv = add(f"{name}__conv", f"{torch}.conv.Conv2d", [(source, None)], **convolution)
        return add(f"{name}__bn", f"{torch}.batchnorm.BatchNorm2d", [(conv, None)], num_features=channels)

    source = "_inputs"
    for block in range(max(1, node_count // BLOCK_NODES)):
        first = normalised_convolution(f"_model__b{block}_0", source)
        relu = add(f"_model__b{block}_relu", "__torch__.torch.nn.modules.activation.ReLU", [(first, None)])
        second = normalised_convolution(f"_model__b{block}_1", relu)
        source = add(f"_model__b{block}_add", "aten::add", [(second, 0), (source, 1)])
    edges.append({"head": [source, None], "tail": ["_outputs", None]})
    graph = {"_model": {"inputs": ["image"], "outputs": ["y"], "nodes": nodes, "edges": edges}}
    return Chain(json.dumps(graph).encode(), 0, len(nodes))


def benchmark_chain(node_count, channels, size):
    operators, source = [["input", [], [size, size, channels]]], 0

    def add(kind, inputs, *parameters):
        operators.append([kind, inputs, *parameters])
        return len(operators) - 1

    for _ in range(max(1, node_count // BLOCK_NODES)):
        first = add("bn", [add("conv", [source], channels, 3, 1, "SAME")])
        second = add("bn", [add("conv", [add("relu", [first])], channels, 3, 1, "SAME")])
        source = add("add", [second, source])
    graph = {"id": "chain", "family": "chain", "ops": operators}
    return Chain(json.dumps(graph).encode(), 0, len(operators) - 1)
