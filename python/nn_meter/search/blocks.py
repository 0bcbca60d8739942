"""Blocks of a search space, and networks put together from them.

A block is a torch.nn.Module, an ONNX model with one input and one output (path, bytes or onnx.ModelProto), or a description:
the operators of the block as in the benchmark's graphs, [[type, inputs, parameter ...], ...], the first of which is
["input", [], shape] (the shape is that of the benchmark: height, width, channels) and the last the block's output.
"""

import json
import os

from .._core import Error, Model
from ..errors import fault

KINDS = ("description", "onnx")


def kind_of(block):
    """Which of KINDS a block is joined as."""
    return "description" if isinstance(block, (list, tuple)) else "onnx"


def chain_of(kind):
    return {"description": DescriptionChain, "onnx": OnnxChain}[kind]


def shape_of(model, tensor):
    """Dimensions of a tensor of a model."""
    return tuple(json.loads(model.inspect("shapes"))["tensors"][tensor])


# ------------------------------------------------------------------------------------------------ descriptions


class DescriptionChain:
    """Joins descriptions. Shapes are those of the benchmark: (height, width, channels)."""

    @staticmethod
    def prepare(block, shape, place):
        """The block at that input shape."""
        if not block or block[0][0] != "input":
            raise fault(
                Error, "argument", f"{place}: a description begins with ['input', [], [height, width, channels]]"
            )
        return [["input", [], list(shape)], *block[1:]]

    @staticmethod
    def join(blocks):
        """An nn_meter.Model of prepared blocks, one behind the other."""
        ops = [blocks[0][0]]
        last = 0
        for block in blocks:
            first = len(ops) - 1  # operator 1 of the block comes behind what is there
            places = [last] + [first + i for i in range(1, len(block))]
            for type, inputs, *parameters in block[1:]:
                ops.append([type, [places[i] for i in inputs], *parameters])
            last = len(ops) - 1
        graph = {"id": "search", "family": "", "ops": ops}
        return Model(json.dumps(graph).encode(), "search", "benchmark")

    @classmethod
    def output(cls, prepared):
        return shape_of(cls.join([prepared]), f"op{len(prepared) - 1}")[1:]


# ------------------------------------------------------------------------------------------------ ONNX


def _onnx():
    try:
        import onnx
    except ImportError:
        from ..errors import MissingPackage

        raise fault(
            MissingPackage, "unsupported", "onnx is not installed; pip install onnx, or describe the blocks as lists"
        ) from None
    return onnx


def _proto_of(block, shape):
    onnx = _onnx()
    if isinstance(block, onnx.ModelProto):
        return block
    if isinstance(block, (bytes, bytearray)):
        return onnx.load_model_from_string(bytes(block))
    if isinstance(block, (str, os.PathLike)):
        return onnx.load(block, load_external_data=False)
    from ..torch_models import onnx_of

    return onnx.load_model_from_string(onnx_of(block, shape))


def _data_inputs(graph):
    """Inputs that are no weights: weights lie behind the first, or have values."""
    stored = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in stored]


class OnnxChain:
    """Joins ONNX graphs. Shapes are those of the tensors."""

    @staticmethod
    def prepare(block, shape, place):
        proto = _onnx().ModelProto()
        proto.CopyFrom(_proto_of(block, shape))
        inputs = _data_inputs(proto.graph)
        if not inputs or len(proto.graph.output) != 1:
            raise fault(Error, "graph", f"{place}: a block has one input and one output; this one has not")
        dims = inputs[0].type.tensor_type.shape
        del dims.dim[:]
        for size in shape:
            dims.dim.add().dim_value = size
        del proto.graph.value_info[:]
        for tensor in proto.graph.output:  # follows from the input
            tensor.type.tensor_type.ClearField("shape")
        return proto

    @staticmethod
    def join(blocks):
        onnx = _onnx()
        whole = onnx.ModelProto()
        whole.CopyFrom(blocks[0])
        del whole.graph.node[:], whole.graph.initializer[:], whole.graph.input[:], whole.graph.output[:]
        del whole.graph.sparse_initializer[:]
        _join_opsets(whole, blocks)
        last = None
        for number, block in enumerate(blocks):
            last = _append(whole.graph, block.graph, f"{number}/", last)
        return Model(whole.SerializeToString(), "search", "onnx")

    @classmethod
    def output(cls, prepared):
        return shape_of(cls.join([prepared]), "0/" + prepared.graph.output[0].name)


def _join_opsets(whole, blocks):
    versions = {}
    for block in blocks:
        for opset in block.opset_import:
            if versions.setdefault(opset.domain, opset.version) != opset.version:
                raise fault(
                    Error,
                    "graph",
                    f"blocks of operator sets {versions[opset.domain]} and {opset.version}; export all for the same one",
                )
        for function in block.functions:
            if function.name not in {known.name for known in whole.functions}:
                whole.functions.append(function)
    del whole.opset_import[:]
    for domain, version in versions.items():
        whole.opset_import.add(domain=domain, version=version)


def _append(whole, graph, prefix, last):
    """Adds a block's graph behind the tensor `last` (None: it begins); the name of the block's output."""
    entry = _data_inputs(graph)[0].name
    names = {"": "", entry: last} if last is not None else {"": ""}

    def name(text):
        return names.get(text, prefix + text)

    _append_nodes(whole.node, graph.node, name, prefix)
    for tensor in graph.initializer:
        whole.initializer.append(tensor)
        whole.initializer[-1].name = name(tensor.name)
    for value in graph.input:
        if value.name != entry or last is None:
            whole.input.append(value)
            whole.input[-1].name = name(value.name)
    del whole.output[:]
    whole.output.append(graph.output[0])
    whole.output[0].name = name(graph.output[0].name)
    return whole.output[0].name


def _append_nodes(to, nodes, name, prefix):
    for node in nodes:
        to.append(node)
        _rename(to[-1], name, prefix)


def _rename(node, name, prefix):
    """Also in the bodies of If and Loop, which see the names around them."""
    node.name = prefix + node.name
    node.input[:] = [name(text) for text in node.input]
    node.output[:] = [name(text) for text in node.output]
    for attribute in node.attribute:
        for graph in [attribute.g] if attribute.HasField("g") else attribute.graphs:
            for part in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
                part.name = name(part.name)
            for inner in graph.node:
                _rename(inner, name, prefix)
