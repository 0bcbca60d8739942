"""ONNX to nn-Meter's IR."""

import json

from ...models import open_model

__all__ = ["OnnxConverter"]


class OnnxConverter:
    """model: an onnx.ModelProto, or the path or bytes of a file."""

    def __init__(self, model):
        self.model = open_model(model, "onnx")

    def convert(self):
        """The graph, as a dictionary."""
        return json.loads(self.model.to_ir())
