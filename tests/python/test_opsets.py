"""Operators whose form changed between operator sets 7 and 24: the same shapes as ONNX's own inference, in every set."""

import json

import pytest
from onnx import TensorProto, helper, shape_inference
from onnx.defs import SchemaError, get_schema

OLDEST, NEWEST = 7, 24


class Graph:
    """Nodes over one image, in the words of one operator set; what a form needs as an input becomes an initializer."""

    def __init__(self, version):
        self.version, self.nodes, self.weights = version, [], []

    def constant(self, values, kind=TensorProto.INT64, shape=None):
        name = f"k{len(self.weights)}"
        shape = [len(values)] if shape is None else shape
        self.weights.append(helper.make_tensor(name, kind, shape, values))
        return name

    def weight(self, *shape):
        name = f"k{len(self.weights)}"
        count = 1
        for dim in shape:
            count *= dim
        self.weights.append(helper.make_tensor(name, TensorProto.FLOAT, shape, [0.5] * count))
        return name

    def add(self, operator, inputs=("x",), outputs=1, **attributes):
        """Adds the node unless this operator set has no such operator; its first output."""
        try:
            schema = get_schema(operator, self.version, "")
        except SchemaError:
            return None
        if schema.deprecated or None in inputs:
            return None
        names = [f"{operator}_{len(self.nodes)}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, names[0], **attributes))
        return names[0]

    def by_input_since(self, version, operator, name, values, **attributes):
        """`name` is an attribute before that set, an input from it on."""
        if self.version < version:
            return self.add(operator, **{name: values}, **attributes)
        return self.add(operator, ["x", self.constant(values)], **attributes)


def windows(g):
    g.add("Conv", ["x", g.weight(6, 4, 3, 3), g.weight(6)], strides=[2, 1], pads=[1, 0, 2, 1])
    g.add("Conv", ["x", g.weight(4, 1, 3, 5)], group=4, auto_pad="SAME_LOWER", strides=[2, 2])
    g.add("ConvTranspose", ["x", g.weight(4, 3, 2, 2)], strides=[2, 2], output_padding=[1, 0])
    g.add("MaxPool", kernel_shape=[3, 2], strides=[2, 2], outputs=2 if g.version >= 8 else 1)
    if g.version >= 10:
        g.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2], dilations=[2, 1], ceil_mode=1)
        g.add("AveragePool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    if g.version >= 19:
        g.add("AveragePool", kernel_shape=[2, 2], dilations=[2, 2])
    g.add("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)
    g.add("LpPool", kernel_shape=[2, 2], p=2)
    g.add("GlobalAveragePool")
    g.add("GlobalMaxPool")


def layers(g):
    g.add("BatchNormalization", ["x", *(g.weight(4) for _ in range(4))])
    g.add("InstanceNormalization", ["x", g.weight(4), g.weight(4)])
    g.add("LayerNormalization", ["x", g.weight(10)])
    g.add("LRN", size=3)
    g.add("Dropout", outputs=2 if g.version >= 10 else 1)
    g.add("Gemm", [g.add("Flatten", axis=1), g.weight(5, 360), g.weight(5)], transB=1)
    g.add("MatMul", ["x", g.weight(10, 7)])
    for name in ("Relu", "Sigmoid", "HardSwish", "Gelu", "Mish", "Erf", "Softplus", "Swish"):
        g.add(name)
    g.add("PRelu", ["x", g.weight(4, 1, 1)])
    g.add("Softmax", axis=1)
    low, high = (g.constant([value], TensorProto.FLOAT, []) for value in (0.0, 6.0))
    g.add("Clip", min=0.0, max=6.0) if g.version < 11 else g.add("Clip", ["x", low, high])


def movement(g):
    if g.version < 10:
        g.add("Slice", axes=[2, 3], starts=[1, -4], ends=[8, 1000])
    else:
        g.add("Slice", ["x", *(g.constant(values) for values in ([1, -1], [8, -1000], [2, 3], [2, -3]))])
    if g.version < 11:
        g.add("Pad", pads=[0, 0, 1, 2, 0, 0, 3, 4], value=1.5)
    else:
        g.add("Pad", ["x", g.constant([0, 0, 1, 2, 0, 0, 3, 4]), g.constant([1.5], TensorProto.FLOAT, [])])
    if g.version >= 18:
        g.add("Pad", ["x", g.constant([1, 2]), "", g.constant([-1])])
        g.add("Split", axis=2, num_outputs=2, outputs=2)
    split = [1, 3]
    g.by_input_since(13, "Split", "split", split, axis=1, outputs=2)
    g.add("Split", axis=3, outputs=2) if g.version < 18 else None
    g.by_input_since(13, "Unsqueeze", "axes", [0, 3])
    one = g.by_input_since(18, "ReduceMean", "axes", [2, 3], keepdims=1)
    if g.version < 13:
        g.add("Squeeze", [one], axes=[2, 3])
    else:
        g.add("Squeeze", [one, g.constant([2, 3])])
    g.add("Squeeze", [one]) if g.version < 13 else None
    g.add("Transpose", perm=[0, 2, 3, 1])
    g.add("Concat", ["x", "x"], axis=1 if g.version < 11 else -3)
    g.add("Reshape", ["x", g.constant([0, -1, 5])])
    g.add("DepthToSpace", blocksize=2)
    g.add("Expand", ["x", g.constant([3, 1, 1, 1, 1])])
    g.add("Tile", ["x", g.constant([1, 2, 1, 3])])
    g.add("Gather", ["x", g.constant([0, 2, 1, 1], shape=[2, 2])], axis=1)


def reductions(g):
    g.by_input_since(13, "ReduceSum", "axes", [1], keepdims=0)
    for name in ("ReduceMax", "ReduceMin", "ReduceL2", "ReduceProd"):
        g.by_input_since(18, name, "axes", [1, 3], keepdims=0)
    g.add("ReduceMean", keepdims=1)
    g.add("ArgMax", axis=1, keepdims=0)
    if g.version < 10:
        g.add("TopK", k=3, axis=3, outputs=2)
    else:
        g.add("TopK", ["x", g.constant([3])], axis=3, outputs=2)
    g.add("CumSum", ["x", g.constant([1], shape=[])])


def sizes(g):
    scales = [1.0, 1.0, 2.0, 1.5]
    if g.version < 9:
        g.add("Upsample", scales=scales)
    elif g.version < 11:
        g.add("Upsample" if g.version == 9 else "Resize", ["x", g.constant(scales, TensorProto.FLOAT)])
    else:
        roi = "" if g.version >= 13 else g.constant([], TensorProto.FLOAT)
        none = "" if g.version >= 13 else g.constant([], TensorProto.FLOAT)
        g.add("Resize", ["x", roi, g.constant(scales, TensorProto.FLOAT)])
        g.add("Resize", ["x", roi, none, g.constant([1, 4, 5, 7])])
    if g.version >= 18:
        sizes_of_axes = g.constant([18, 10])
        g.add("Resize", ["x", "", "", sizes_of_axes], axes=[2, 3], keep_aspect_ratio_policy="not_larger")
    shape = g.add("Shape")
    g.add("Shape", start=1, end=-1) if g.version >= 15 else None
    g.add("Size")
    g.add("Reshape", ["x", shape])
    g.add("ConstantOfShape", [shape])
    g.add("Cast", to=TensorProto.FLOAT16)
    g.add("Range", [g.constant([value], shape=[]) for value in (2, 11, 3)])


@pytest.mark.parametrize("part", [windows, layers, movement, reductions, sizes])
def test_every_operator_set(nn_meter, tmp_path, part):
    for version in range(OLDEST, NEWEST + 1):
        g = Graph(version)
        part(g)
        image = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 4, 9, 10))
        names = [name for node in g.nodes for name in node.output]
        outputs = [helper.make_empty_tensor_value_info(name) for name in names]
        graph = helper.make_graph(g.nodes, "g", [image], outputs, g.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=8)
        inferred = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        known = {}
        for value in [*inferred.graph.output, *inferred.graph.value_info]:
            if value.type.tensor_type.HasField("shape"):
                dims = [
                    dim.dim_value if dim.HasField("dim_value") else None for dim in value.type.tensor_type.shape.dim
                ]
                known[value.name] = dims
        path = tmp_path / f"{part.__name__}{version}.onnx"
        path.write_bytes(model.SerializeToString())
        result = nn_meter("inspect", "--stage=shapes", "--json", path)
        assert result.returncode == 0, f"set {version}: {result.stderr}"
        document = json.loads(result.stdout)
        wrong = {
            name: (known[name], document["tensors"].get(name))
            for name in names
            if name in known and None not in known[name] and document["tensors"].get(name) != known[name]
        }
        assert not wrong, f"set {version} (theirs, ours): {wrong}"
        assert document["notes"] == [], f"set {version}"
        assert len(known) >= len(names) * 0.75
