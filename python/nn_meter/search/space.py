"""A search space: layers one behind the other, each with its choices."""

from .._core import Error
from ..errors import fault
from .blocks import chain_of, kind_of


class Space:
    """layers: for each layer its choices, a list of blocks (blocks.py); None is a choice without a block, which hands on what
    it gets. Parts that are not searched are layers with one choice.
    input_shape: of the first layer: that of the tensor for torch and ONNX, (height, width, channels) for descriptions.
    """

    def __init__(self, layers, input_shape):
        self.layers, self.input_shape = [list(choices) for choices in layers], tuple(input_shape)
        if not self.layers or not all(self.layers):
            raise fault(Error, "argument", "a search space needs layers, and each of them choices")
        kinds = {kind_of(block) for choices in self.layers for block in choices if block is not None}
        if len(kinds) != 1:
            raise fault(
                Error, "argument", "blocks are all descriptions, or all of torch and ONNX: one network is made of them"
            )
        self.chain = chain_of(kinds.pop())
        self._prepared = {}  # (layer, choice, input shape) -> block; a module is exported once for each shape

    @property
    def choices(self):
        """How many choices each layer has."""
        return [len(choices) for choices in self.layers]

    @property
    def size(self):
        """How many networks there are."""
        size = 1
        for count in self.choices:
            size *= count
        return size

    def block(self, layer, choice, shape):
        """(block ready to be joined, shape of its output) at an input shape; (None, shape) for no block."""
        if self.layers[layer][choice] is None:
            return None, shape
        key = layer, choice, shape
        if key not in self._prepared:
            place = f"layer {layer}, choice {choice}"
            prepared = self.chain.prepare(self.layers[layer][choice], shape, place)
            self._prepared[key] = prepared, tuple(self.chain.output(prepared))
        return self._prepared[key]

    def network(self, candidate):
        """The nn_meter.Model of a candidate: an index for each layer. Raises nn_meter.Error."""
        if len(candidate) != len(self.layers):
            raise fault(Error, "argument", f"{len(candidate)} choices for {len(self.layers)} layers")
        blocks, shape = [], self.input_shape
        for layer, choice in enumerate(candidate):
            block, shape = self.block(layer, int(choice), shape)
            blocks += [block] if block is not None else []
        if not blocks:
            raise fault(Error, "argument", "a network without any block has no latency")
        return self.chain.join(blocks)

    def draw(self, count, seed=0):
        """`count` candidates at random: an int32 array [candidate, layer]."""
        import numpy as np

        return np.random.default_rng(seed).integers(0, self.choices, (count, len(self.layers)), dtype=np.int32)
