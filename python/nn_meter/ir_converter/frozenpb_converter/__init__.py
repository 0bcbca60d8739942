"""Frozen graphs of TensorFlow to nn-Meter's IR, without TensorFlow."""

import json

from ...models import open_model

__all__ = ["FrozenPbConverter"]


class FrozenPbConverter:
    """file_name: path of a .pb file."""

    def __init__(self, file_name):
        self.model = open_model(file_name, "pb")

    def get_flatten_graph(self):
        """The graph, as a dictionary."""
        return json.loads(self.model.to_ir())
