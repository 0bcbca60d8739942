"""What choices cost together, from whole networks that differ in a few of them.

The latency of a network is taken apart around the network of all first candidates: what each other candidate adds there, then
what two neighbours add beyond the sum of both (operators fused across their border), then three in a row. Of candidates
drawn by probabilities that are independent, the mean is then a sum of products.
"""

import itertools

import numpy as np

MOST_NETWORKS = 20_000  # that are predicted for the parts of one order


class Parts:
    """measure({label: candidate}): milliseconds of a network, the first candidate where a label is missing.
    counts: {label: how many candidates}; neighbours: pairs of labels that may cost something together.

    terms: {labels: array [candidate, ...] of milliseconds}, () for the network of all first candidates.
    """

    def __init__(self, measure, counts, neighbours):
        self.measure, self.counts, self.neighbours = measure, counts, neighbours
        self.terms = {(): np.array(measure({}))}
        self.add([(label,) for label in counts])

    def add(self, groups):
        """Takes terms of more groups of labels in; False, and none, where that are too many networks."""
        if sum(np.prod([self.counts[label] - 1 for label in group]) for group in groups) > MOST_NETWORKS:
            return False
        for group in groups:
            term = np.zeros([self.counts[label] for label in group])
            for chosen in itertools.product(*(range(1, self.counts[label]) for label in group)):
                known = sum(
                    self._value(dict(zip(part, candidates)))
                    for size in range(len(group))
                    for part, candidates in zip(
                        itertools.combinations(group, size), itertools.combinations(chosen, size)
                    )
                )
                term[chosen] = self.measure(dict(zip(group, chosen))) - known
            self.terms[group] = term
        return True

    def _value(self, chosen):
        term = self.terms.get(tuple(chosen))
        return 0.0 if term is None else float(term[tuple(chosen.values())])

    def pairs(self):
        """Groups of two, in the order of counts."""
        return [tuple(label for label in self.counts if label in pair) for pair in self.neighbours]

    def triples(self):
        """Groups of three of which one is a neighbour of both others."""
        beside = {label: set() for label in self.counts}
        for a, b in self.pairs():
            beside[a].add(b)
            beside[b].add(a)
        found = {
            frozenset((middle, *ends))
            for middle, others in beside.items()
            for ends in itertools.combinations(sorted(others), 2)
        }
        return [tuple(label for label in self.counts if label in group) for group in sorted(found, key=sorted)]

    def move(self, milliseconds):
        """Moves {label: milliseconds} from the network of all first candidates to each candidate of a label: no sum changes, and
        each candidate has what it takes instead of the difference to the first."""
        for label, ms in milliseconds.items():
            self.terms[(label,)] += ms
            self.terms[()] -= ms

    def total(self, chosen):
        """Milliseconds of {label: candidate}, by the terms."""
        return sum(float(term[tuple(chosen[label] for label in group)]) for group, term in self.terms.items())

    def expected(self, probabilities, as_tensor):
        """The mean under {label: tensor of probabilities}; as_tensor turns an array into a tensor."""
        total = as_tensor(self.terms[()])
        for group, term in self.terms.items():
            if group and term.any():
                part = as_tensor(term)
                for label in group:  # the first axis is summed away, one label after the other
                    part = (probabilities[label].reshape(-1, *[1] * (part.dim() - 1)) * part).sum(0)
                total = total + part
        return total
