"""Modules of torch and models of NNI to nn-Meter's IR."""

import json

from ...models import open_model

__all__ = ["NNIBasedTorchConverter", "NNIIRConverter", "OnnxBasedTorchConverter"]


class OnnxBasedTorchConverter:
    """model: a torch.nn.Module; example_inputs: what it is run with once."""

    def __init__(self, model, example_inputs):
        self.model = open_model(model, "torch", example_inputs)

    def convert(self):
        """The graph, as a dictionary."""
        return json.loads(self.model.to_ir())


class NNIBasedTorchConverter(OnnxBasedTorchConverter):
    """The same: NNI is not needed for it any more."""


class NNIIRConverter:
    """ir_model: a model of NNI, or its dictionary."""

    def __init__(self, ir_model):
        self.model = open_model(ir_model, "nni-ir")

    def convert(self):
        """The graph, as a dictionary."""
        return json.loads(self.model.to_ir())
