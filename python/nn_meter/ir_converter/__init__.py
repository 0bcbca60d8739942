"""Models as graphs in nn-Meter's IR: {node: {"attr", "inbounds", "outbounds"}}."""

from .utils import model_file_to_graph, model_to_graph

__all__ = ["model_file_to_graph", "model_to_graph"]
