"""Kernels of a graph under the fusion rules of a device."""

import json

from ..models import open_model


class KernelDetector:
    """rule_file: path of a fusion_rules.json, or its content as bytes."""

    def __init__(self, rule_file):
        self.rule_file, self.model = rule_file, None

    def load_graph(self, graph):
        """graph: nn-Meter's IR as a dictionary, or an object whose get_graph() gives it. Raises nn_meter.Error."""
        self.load_model(open_model(graph.get_graph() if hasattr(graph, "get_graph") else graph, "nnmeter-ir"))

    def load_model(self, model):
        """model: an nn_meter.Model."""
        self.model = model

    def get_kernels(self):
        """A list of dictionaries: "op", "name", and what is known of "input_tensors", "ks", "strides", "split_dim", "inputh",
        "inputw", "cin", "cout", "output_tensors", "inbounds", "outbounds", "nodes". Raises nn_meter.Error."""
        return json.loads(self.model.inspect("kernels", None, self.rule_file, "nn-meter-2.0"))["kernels"]
