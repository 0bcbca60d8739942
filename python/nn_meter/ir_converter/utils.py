"""From models to nn-Meter's IR."""

import json

from .._core import Error
from ..errors import fault
from ..models import INPUT_SHAPE, open_model

__all__ = ["model_file_to_graph", "model_to_graph", "nni_model_to_graph", "onnx_model_to_graph", "torch_model_to_graph"]


def _graph_of(model, model_type, input_shape=INPUT_SHAPE, apply_nni=False):
    return json.loads(open_model(model, model_type, input_shape, apply_nni).to_ir())


def model_file_to_graph(filename: str, model_type: str, input_shape=INPUT_SHAPE, apply_nni=False):
    """The graph of a file, as a dictionary. model_type "nnmeter-ir": the file's own; "torch": filename is the name of a
    network of torchvision. Raises nn_meter.Error; ValueError for other model types."""
    if model_type == "nnmeter-ir":
        try:
            with open(filename, encoding="utf-8") as file:
                return json.load(file)
        except (OSError, ValueError) as error:
            raise fault(Error, "io", f"{filename}: cannot be read: {error}; check the path") from None
    return _graph_of(filename, model_type, input_shape, apply_nni)


def model_to_graph(model, model_type, input_shape=INPUT_SHAPE, apply_nni=False):
    """The graph of an object, as a dictionary; one that is a graph already is given back as it is. Raises nn_meter.Error;
    ValueError for other model types."""
    if model_type == "nnmeter-ir" and isinstance(model, dict):
        return model
    return _graph_of(model, model_type, input_shape, apply_nni)


def onnx_model_to_graph(model):
    return _graph_of(model, "onnx")


def nni_model_to_graph(model):
    return _graph_of(model, "nni-ir")


def torch_model_to_graph(model, input_shape=INPUT_SHAPE, apply_nni=False):
    return _graph_of(model, "torch", input_shape, apply_nni)
