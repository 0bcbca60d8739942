"""Models of every kind that nn-Meter 2.0 took, as nn_meter.Model: files, bytes, and objects of other packages."""

import json
import os

from ._core import Error, Model
from .errors import UnsupportedModelType, fault
from .logs import logger

INPUT_SHAPE = (1, 3, 224, 224)  # what nn-Meter 2.0 took for granted


def _is_path(model):
    return isinstance(model, (str, os.PathLike))


def _file(source, format, input_shape, name="model"):
    """A path or bytes. The input shape only counts where the file leaves its shape open, and then it is said."""
    try:
        return Model(source, None if _is_path(source) else name, format)
    except Error as error:
        if error.status != "shape" or input_shape is None:
            raise
        try:
            model = Model(source, None if _is_path(source) else name, format, input_shapes={"": tuple(input_shape)})
        except Error:
            raise error from None
    shape = "x".join(map(str, input_shape))
    logger.info("%s leaves the shape of its input open: %s is taken (input_shape)", model.name, shape)
    return model


def _of_onnx(model, input_shape, apply_nni):
    if hasattr(model, "SerializeToString"):
        model = model.SerializeToString()
    return _file(model, "onnx", input_shape)


def _of_file(format):
    return lambda model, input_shape, apply_nni: _file(model, format, input_shape)


def _of_ir(model, input_shape, apply_nni):
    if isinstance(model, dict):
        from .utils.utils import NumpyEncoder

        model = json.dumps(model, cls=NumpyEncoder).encode()
    return Model(model, None if _is_path(model) else "model", "nnmeter-ir")


def _of_nni_ir(model, input_shape, apply_nni):
    if _is_path(model) or isinstance(model, (bytes, bytearray)):
        return _file(model, "nni-ir", input_shape)
    from . import nni_models

    if isinstance(model, dict):
        return _file(nni_models.json_of(model), "nni-ir", input_shape)
    graph, module = nni_models.graph_or_module(model)
    if module is not None:
        return _of_torch(module, input_shape, apply_nni=False)
    return _file(graph, "nni-ir", input_shape, type(model).__name__)


def _shapes_of_network(input_shape):
    """For a network by name: the shape of its one input, where it is not its own."""
    if input_shape is None or input_shape is INPUT_SHAPE:  # not given
        return None
    if len(input_shape) == 1 and not isinstance(input_shape[0], int):  # a tuple of one shape
        input_shape = input_shape[0]
    return {"": tuple(input_shape)}


def _of_torchvision(name, input_shape, apply_nni):
    """From the library's own graphs; what these do not have, from torchvision where that is installed."""
    try:
        return Model(name, None, "torchvision", input_shapes=_shapes_of_network(input_shape))
    except Error as error:
        from .torch_models import torchvision_model

        try:
            network = torchvision_model(name)
        except Error:
            raise error from None
    return _of_torch(network, input_shape, apply_nni)


def _of_torch(model, input_shape, apply_nni):
    from .nni_models import open_choices
    from .torch_models import onnx_of

    if isinstance(model, str):
        return _of_torchvision(model, input_shape, apply_nni)
    if apply_nni:
        logger.info(
            "apply_nni: NNI is not needed any more; the model is exported by torch itself, which gives the same kernels"
        )
    labels = open_choices(model) if hasattr(model, "named_modules") else ""
    if labels:
        logger.info("%s has open choices (%s): the first of each is taken", type(model).__name__, labels)
    return _file(onnx_of(model, input_shape), "onnx", None, type(model).__name__)


def _of_anything(model, input_shape, apply_nni):
    """Tells what it is: a file from its content, an object from what it can do."""
    if hasattr(model, "SerializeToString"):
        return _of_onnx(model, input_shape, apply_nni)
    if hasattr(model, "_dump") or hasattr(model, "executable_model"):
        return _of_nni_ir(model, input_shape, apply_nni)
    if hasattr(model, "named_modules") or hasattr(model, "graph_module"):  # a module or an exported program
        return _of_torch(model, input_shape, apply_nni)
    if isinstance(model, dict):
        return _of_nni_ir(model, input_shape, apply_nni) if "_model" in model else _of_ir(model, input_shape, apply_nni)
    return _file(model, None, input_shape)


MODEL_TYPES = {
    "onnx": _of_onnx,
    "pb": _of_file("tensorflow"),
    "torch": _of_torch,
    "nnmeter-ir": _of_ir,
    "nni-ir": _of_nni_ir,
    # beyond nn-Meter 2.0
    "tensorflow": _of_file("tensorflow"),
    "tflite": _of_file("tflite"),
    "benchmark": _of_file("benchmark"),
    "torchvision": _of_torchvision,
    None: _of_anything,
}


def open_model(model, model_type=None, input_shape=INPUT_SHAPE, apply_nni=False):
    """An nn_meter.Model.

    model: a path, bytes, an nn_meter.Model, the name of a network of torchvision, or an object: onnx.ModelProto,
        torch.nn.Module, torch.export.ExportedProgram, a model of NNI (a graph or its dictionary, a frozen space, its module),
        a dictionary of nn-Meter's IR.
    model_type: a key of MODEL_TYPES; None tells it from the content.
    input_shape: for torch, and modules of NNI, one shape, several, or the inputs themselves; for files, only where they leave it open; for
        networks of torchvision by name, when it is INPUT_SHAPE itself, the network's own.

    Raises nn_meter.Error; UnsupportedModelType (a ValueError as well) for other model types.
    """
    if isinstance(model, Model):
        return model
    if model_type not in MODEL_TYPES:
        known = ", ".join(str(name) for name in MODEL_TYPES if name)
        raise fault(
            UnsupportedModelType,
            "argument",
            f"Unsupported model type: {model_type}; there are {known}, and None to tell",
        )
    return MODEL_TYPES[model_type](model, input_shape, apply_nni)
