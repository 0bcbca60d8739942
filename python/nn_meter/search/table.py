"""The latencies of a search space as a table of what each block costs behind the ones in front of it.

What a network costs is the sum of its kernels. What a block adds to it hangs on the block in front, as operators are fused
across the border. So the sum runs along an automaton whose states are the blocks that the layers so far may end in; what
a block costs in a state is what the kernels of the state's blocks and the block cost together, less those of the state's
alone. Blocks that are no kernel at all keep the state. One block of memory is exact where each block has a kernel that
is not fused away; a lone activation may be, and then two blocks of memory are needed. LatencyTable tries, and says.
"""

import numpy as np

from .. import _core
from .._core import Error, Predictor
from ..errors import fault

CHECKED = 32  # networks that are put together to check the table
TOLERANCE = 1e-6
MEMORY = (1, 2, 3)  # blocks that a state remembers: the first that is exact
MOST_STATES = 20_000  # of one layer: more memory is not worth it


class LatencyTable:
    """space: a Space; predictor: a name, path or nn_meter.Predictor. report(share of the work done): called now and then.

    notes: what the predictor guessed, extrapolated or left out for any of the blocks, each once.
    difference: the largest relative difference to whole networks, of those that were put together to check (None: not
        checked, checked=0); memory: how many blocks the states remember. Raises nn_meter.Error.
    """

    def __init__(self, space, predictor, *, checked=CHECKED, seed=0, report=None):
        self.space = space
        self.predictor = predictor if isinstance(predictor, Predictor) else Predictor(predictor)
        self.constant_ms = self.difference = None
        self._notes = {}
        self._known = {}  # places one behind the other -> (milliseconds, number) of their kernels
        kept = None
        for memory in MEMORY:
            built = self._build(memory, report)
            if built is None:
                break
            self._use(memory, built)
            if not checked:
                break
            self.difference = self.check(checked, seed)
            if kept and self.difference >= kept[0]:  # more memory is no better
                self.difference = kept[0]
                self._use(*kept[1:])
                break
            if self.is_exact:
                break
            kept = self.difference, memory, built

    def _use(self, memory, built):
        self.memory, (self.sizes, self.costs, self.next) = memory, built
        self.arrays = self.sizes.tobytes(), self.costs.tobytes(), self.next.tobytes()

    # ---- building

    def _kernels(self, places):
        """(milliseconds, number) of the kernels of blocks one behind the other; a place is (layer, choice, input shape)."""
        if not places:
            return 0.0, 0
        if places not in self._known:
            blocks = [self.space.block(*place)[0] for place in places]
            prediction = self.predictor.predict(self.space.chain.join(blocks))
            self.constant_ms = prediction.constant_ms
            self._notes.update(dict.fromkeys(prediction.notes))
            self._known[places] = prediction.latency_ms - prediction.constant_ms, len(prediction.kernels)
        return self._known[places]

    def _step(self, state, place, memory):
        """(what the block at that place costs in a state, the state behind it); a state is the places it remembers."""
        if self.space.block(*place)[0] is None or not self._kernels((place,))[1]:
            return 0.0, state
        behind = (*state, place)
        return self._kernels(behind)[0] - self._kernels(state)[0], behind[-memory:]

    def _build(self, memory, report):
        """(states and choices of each layer; costs and next states of each layer, [state, choice], one after the other), None
        for too many states."""
        states, sizes, costs, following = [((), self.space.input_shape)], [], [], []
        for layer, choices in enumerate(self.space.layers):
            sizes.append((len(states), len(choices)))
            next_states = {}
            for state, shape in states:
                for choice in range(len(choices)):
                    cost, behind = self._step(state, (layer, choice, shape), memory)
                    costs.append(cost)
                    out = self.space.block(layer, choice, shape)[1]
                    following.append(next_states.setdefault((behind, out), len(next_states)))
            states = list(next_states)
            if len(states) > MOST_STATES:
                return None
            if report:
                report((layer + 1) / len(self.space.layers))
        return np.array(sizes, np.int32), np.array(costs), np.array(following, np.int32)

    # ---- using

    @property
    def notes(self):
        return tuple(self._notes)

    def latencies(self, candidates):
        """Milliseconds of candidates: an integer array [candidate, layer] of choices; float64 [candidate]. Computed in C without
        Python's lock. Raises IndexError for a choice that there is not, ValueError for an array that does not fit."""
        candidates = np.asarray(candidates)
        if candidates.ndim != 2 or candidates.shape[1] != len(self.space.layers) or candidates.dtype.kind not in "iu":
            raise ValueError(f"candidates must be an integer array [candidate, {len(self.space.layers)}]")
        sums = _core.search_sums(candidates.astype(np.int32).tobytes(), *self.arrays, self.constant_ms)
        return np.frombuffer(sums)

    def latency(self, candidate):
        """Milliseconds of one candidate."""
        return float(self.latencies(np.asarray([candidate]))[0])

    def check(self, count=CHECKED, seed=0):
        """The largest relative difference to what the predictor says of whole networks, `count` drawn at random."""
        candidates = self.space.draw(count, seed)
        whole = np.array([self.predictor.predict(self.space.network(c)).latency_ms for c in candidates])
        return float(np.abs(self.latencies(candidates) / whole - 1).max())

    @property
    def is_exact(self):
        """Whether the sums equal whole networks' latencies."""
        return self.difference is not None and self.difference <= TOLERANCE

    def expected(self, probabilities):
        """Mean latency in milliseconds when each layer's choice is drawn by its own probabilities; a tensor that can be
        differentiated by them.

        probabilities: for each layer a torch tensor [choice]. Raises nn_meter.Error."""
        from ..torch_models import _torch

        torch = _torch()
        if [len(p) for p in probabilities] != self.space.choices:
            raise fault(Error, "argument", f"probabilities must be of {self.space.choices} choices, one tensor a layer")
        state = torch.ones(1, dtype=torch.float64)  # how probable each state is
        total = torch.tensor(self.constant_ms, dtype=torch.float64)
        at = 0
        for (states, choices), p in zip(self.sizes.tolist(), probabilities):
            entries = slice(at, at + states * choices)
            ways = state[:, None] * p.to(torch.float64)[None, :]
            total = total + (ways * torch.from_numpy(self.costs[entries].reshape(states, choices))).sum()
            following = torch.from_numpy(self.next[entries]).long()
            count = int(following.max()) + 1
            state = torch.zeros(count, dtype=torch.float64).index_add(0, following, ways.flatten())
            at += states * choices
        return total
