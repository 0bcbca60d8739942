#!/usr/bin/env python3
"""Writes one network as model files, through each door that its framework has. tools/doors.py calls it, a process each.

usage: doors_networks.py keras|torch NETWORK FOLDER    fills FOLDER; prints a line `door<TAB>file` for each file, and
                                                       `!door<TAB>reason` for a door that the framework fails at

Images are 224x224 (299x299 for Inception-V3), batch 1 where the door wants a number. Weights are random, and so are the
statistics of normalisations: with the zeros and ones of a fresh network converters drop what a trained network keeps.
"""

import os
import sys
import traceback
from pathlib import Path

from torchvision_import import import_torchvision

SEED = 1
OPSET = 18


def image_size(network):
    return 299 if network.lower().startswith("inception") else 224


def offer(door, make, path):
    """Calls make(path) and says what came of it; one door that fails does not close the others."""
    try:
        make(path)
        print(f"{door}\t{path.name}", flush=True)
    except Exception as error:  # whatever a converter throws
        traceback.print_exc()
        print(f"!{door}\t{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}", flush=True)


# ------------------------------------------------------------------- Keras


def scatter_statistics(model, size):
    """Random numbers for what a fresh network has as zeros and ones."""
    import keras
    import numpy

    random = numpy.random.default_rng(SEED)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.5, each.shape) for each in layer.get_weights()])
        if isinstance(layer, keras.layers.Normalization) and layer.input_mean is None:  # else it is given already
            layer.adapt(random.uniform(0, 1, (4, size, size, 3)) * [0.7, 1.0, 1.3])


def keras_doors(network, folder):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow
    import tf2onnx
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    size = image_size(network)
    tensorflow.keras.utils.set_random_seed(SEED)
    model = getattr(tensorflow.keras.applications, network)(weights=None, input_shape=(size, size, 3))
    scatter_statistics(model, size)
    image = tensorflow.TensorSpec([1, size, size, 3], tensorflow.float32, name="image")
    call = tensorflow.function(lambda image: model(image, training=False)).get_concrete_function(image)
    frozen = convert_variables_to_constants_v2(call)
    inputs = [each.name for each in frozen.inputs]
    outputs = [each.name for each in frozen.outputs]

    def to_graph(path):
        path.write_bytes(frozen.graph.as_graph_def().SerializeToString())

    def to_lite(path):
        path.write_bytes(tensorflow.lite.TFLiteConverter.from_keras_model(model).convert())

    def to_onnx(path, **options):
        definition = frozen.graph.as_graph_def()
        tf2onnx.convert.from_graph_def(
            definition, input_names=inputs, output_names=outputs, opset=OPSET, output_path=str(path), **options
        )

    offer("frozen graph", to_graph, folder / "frozen.pb")
    offer("SavedModel", lambda path: model.export(str(path), verbose=False), folder / "saved_model")
    offer("TFLite", to_lite, folder / "model.tflite")
    offer("tf2onnx", to_onnx, folder / "tf2onnx.onnx")
    offer("tf2onnx, image channels first", lambda path: to_onnx(path, inputs_as_nchw=inputs), folder / "nchw.onnx")


# ------------------------------------------------------------------- torch


def torch_doors(network, folder):
    import torch

    models = import_torchvision().models
    torch.manual_seed(SEED)
    make = getattr(models, network)
    model = make(weights=None, **({"init_weights": False} if "inception" in network else {})).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            for values in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                values.uniform_(0.5, 1.5)
    size = image_size(network)
    image = torch.rand(1, 3, size, size)

    def export(path, dynamo):
        torch.onnx.export(model, (image,), str(path), dynamo=dynamo)

    offer("ts exporter", lambda path: export(path, False), folder / "ts.onnx")
    offer("dynamo exporter", lambda path: export(path, True), folder / "dynamo.onnx")


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in ("keras", "torch"):
        sys.exit(__doc__)
    {"keras": keras_doors, "torch": torch_doors}[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))
