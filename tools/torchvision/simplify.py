"""An exported graph with what is computed from no input written down, and without what nobody looks at.

What is constant, and with which values, the C library says (list_values): it counts none of it as work, so the latency
stays what it was. Values are taken as constant when they are the same at two sizes of what is left open.
"""

import json
import subprocess

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

TYPES = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "float64": TensorProto.DOUBLE,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "uint8": TensorProto.UINT8,
    "bool": TensorProto.BOOL,
}


def list_values(program, path, shapes):
    """{tensor: what the library knows of it} for one set of input shapes, {input: dimensions}."""
    arguments = [f"{name}:{'x'.join(map(str, dims))}" for name, dims in shapes.items()]
    result = subprocess.run([program, path, *arguments], check=True, capture_output=True, text=True)
    return {row["name"]: row for row in map(json.loads, result.stdout.splitlines())}


def weight(name, kind, dims):
    """A tensor that has its values elsewhere: nowhere."""
    tensor = TensorProto(name=name, data_type=kind, dims=dims)
    tensor.data_location = TensorProto.EXTERNAL
    return tensor


class Facts:
    """What holds at every size: the rows of list_values at several, agreed on."""

    def __init__(self, listings):
        self.first, *self.others = listings

    def agreed(self, name, key):
        row = self.first.get(name)
        if row is None or any(other.get(name, {}).get(key) != row[key] for other in self.others):
            return None
        return row[key]

    def stored(self, name):
        """The tensor as an initializer, or None when it depends on an input or on what is open."""
        kind, dims, values = (self.agreed(name, key) for key in ("type", "dims", "values"))
        if dims is None or kind not in TYPES or (values is None and self.first[name]["values"] is not None):
            return None
        if values is not None:
            array = numpy.array(values).reshape(dims).astype(helper.tensor_dtype_to_np_dtype(TYPES[kind]))
            return numpy_helper.from_array(array)
        return weight(name, TYPES[kind], dims) if self.agreed(name, "constant") else None


def is_small_constant(node):
    return node.op_type == "Constant" and node.attribute[0].name == "value" and len(node.attribute[0].t.raw_data) <= 256


def has_body(node):
    return any(each.HasField("g") or each.graphs for each in node.attribute)


def simplify(model, real_inputs, facts):
    """Rewrites the model in place. real_inputs: names of the inputs that are no weights."""
    graph = model.graph
    if any(has_body(node) for node in graph.node):  # bodies see the names around them
        strip(model)
        return
    declared = {each.name: each.type.tensor_type for each in graph.input if each.name not in real_inputs}
    written = {each.name: each for each in graph.initializer if each.data_location != TensorProto.EXTERNAL}
    written.update((node.output[0], node.attribute[0].t) for node in graph.node if is_small_constant(node))
    producer = {output: node for node in graph.node for output in node.output if output}
    stored, kept, waiting = {}, set(), [output.name for output in graph.output]
    while waiting:
        name = waiting.pop()
        if not name or name in stored or name in real_inputs:
            continue
        node = producer.get(name)
        tensor = written.get(name) or facts.stored(name)
        if tensor is not None:
            stored[name] = tensor
        elif name in declared:  # a weight that is not known by its use
            stored[name] = weight(name, declared[name].elem_type, [dim.dim_value for dim in declared[name].shape.dim])
        elif node is None:
            raise ValueError(f"{name}: neither computed nor stored")
        elif id(node) not in kept:
            kept.add(id(node))
            waiting.extend(node.input)
    nodes = [node for node in graph.node if id(node) in kept]
    order = [name for node in nodes for name in node.input if name in stored]
    inputs = [each for each in graph.input if each.name in real_inputs]
    for field in (graph.node, graph.initializer, graph.input):
        del field[:]
    stored = {name: TensorProto.FromString(tensor.SerializeToString()) for name, tensor in stored.items()}
    order = list(dict.fromkeys(order))
    known = [name for name in order if stored[name].data_location != TensorProto.EXTERNAL]
    constants = [helper.make_node("Constant", [], [name], value=stored[name]) for name in known]
    graph.node.extend(constants)
    graph.node.extend(nodes)
    graph.initializer.extend(stored[name] for name in order if name not in set(known))
    graph.input.extend(inputs)
    strip(model)


def strip(model):
    """Without what is only for people who debug exporters. Names stay: inspect shows them."""
    graph = model.graph
    del graph.value_info[:], graph.metadata_props[:]
    model.doc_string = graph.doc_string = ""
    for node in graph.node:
        node.doc_string = ""
        del node.metadata_props[:]


def load(path):
    return onnx.load(path, load_external_data=False)
