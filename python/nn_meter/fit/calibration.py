"""Calibration: an existing predictor moved to new measurements, as little as they ask for.

To first order the logarithm of a model's latency is linear in a few things that may differ on the new device: one factor for
everything, one for each kernel type, the cost of each kind of work for each type, the last layers of the networks, the
constant. Each is believed to be near where it is, so far as Spread says, and the measurements to be right within noise_of():
then the most probable change is the solution of one linear system of as many equations as there are measurements
(Bayesian linear regression in its dual form). A few rounds of it (Gauss-Newton) take care of what is not linear.
"""

from dataclasses import dataclass

import numpy as np
import torch

from .network import WORK_TERMS

NOISE = 0.01  # standard deviation of the logarithm of a measurement
# A predictor that is right to within NEAR (root mean square of the logarithms) before anything is changed is most likely one
# of the same device: then half of what is left is taken for noise of the measurements, up to MOST_NOISE.
NEAR = 0.1
MOST_NOISE = 0.04
ROUNDS = 12
HALVINGS = 8


@dataclass
class Spread:
    """Standard deviation of what may differ, in logarithms of a latency."""

    everything: float = 1.0
    type: float = 0.4
    cost: float = 0.3
    trust: float = 0.3  # what the networks say, all of it times a factor
    shared: float = 0.5
    own: float = 0.3
    constant: float = 0.7


class Change:
    """What may change in a network, as one vector of numbers that are all believed to be about normal: parts of it by name,
    scaled by how much each may differ."""

    def __init__(self, network, reach, spread=None):
        """reach: reach.Reach of the network."""
        spread = spread or Spread()
        types = network.type_count + 1
        self.sizes = {"everything": 1, "type": types, "cost": types * WORK_TERMS, "trust": 1}
        self.sizes |= {"shared": len(reach.shared), "own": len(reach.own), "constant": 1}
        self.scale = torch.cat([torch.full((size,), getattr(spread, name)) for name, size in self.sizes.items()])
        # The last layers' inputs are many, and some are large for few kernels: where all are as large as they get, they
        # move a logarithm by the spread, and never by more.
        widths = [net[-1].in_features for net in network.own.values() for _ in range(net[-1].in_features)]
        self._of("shared").div_(len(reach.shared) ** 0.5 * reach.shared)
        self._of("own").div_(torch.tensor(widths) ** 0.5 * reach.own)
        self._of("trust").div_(reach.correction)

    def _of(self, name):
        at = self.start(name)
        return self.scale[at : at + self.sizes[name]]

    def start(self, name):
        names = list(self.sizes)
        return sum(self.sizes[other] for other in names[: names.index(name)])

    def parts(self, vector):
        """{name: what it changes by}"""
        return dict(zip(self.sizes, torch.split(vector * self.scale, list(self.sizes.values()))))

    @property
    def zero(self):
        return torch.zeros(len(self.scale))


class Response:
    """How the latencies of some models answer to a Change of the network."""

    def __init__(self, network, evidence, models, change):
        self.change = change
        rows, self.entry_row, self.owner, self.turns = evidence.batch(models)
        self.has_constant = evidence.constant[models]
        types = evidence.table.type_of[rows]
        values, work, self.index = evidence.values[rows], evidence.work[rows], torch.from_numpy(types)
        with torch.no_grad():
            network(values, work, types)
            self.correction = network.correction
            self.costs = work * torch.exp(network.log_cost)[self.index]
            self.shared = network.shared_hidden(values, self.index)
            self.own = network.own_hidden(values, types)
            self.constant = float(torch.exp(network.log_constant))
        self.type_count = network.type_count + 1

    def totals(self, vector):
        """(milliseconds of the models; of each entry; of the constant of each model; of each row's work, [row, term])"""
        part = self.change.parts(vector)
        log_factor = part["everything"] + part["type"][self.index] + self.correction * (1 + part["trust"])
        log_factor = log_factor + self.shared @ part["shared"] + self.own @ part["own"]
        costs = self.costs * torch.exp(part["cost"].reshape(-1, WORK_TERMS))[self.index]
        kernels = costs.sum(1) * torch.exp(log_factor)
        entries = kernels[self.entry_row] * self.turns
        constant = self.constant * torch.exp(part["constant"]) * self.has_constant
        return constant.clone().index_add(0, self.owner, entries), entries, constant, costs

    def gradient(self, vector):
        """(milliseconds of the models, [model, entry of the vector]: how their logarithms move with it)"""
        totals, entries, constant, costs = self.totals(vector)
        # a model runs a few of all rows, each in one entry
        places, size = torch.stack([self.owner, self.entry_row]), (len(totals), len(self.index))
        shares = torch.sparse_coo_tensor(places, entries / totals[self.owner], size, check_invariants=True)
        of_type = torch.nn.functional.one_hot(self.index, self.type_count).float()
        by_cost = torch.zeros(len(self.index), self.type_count, WORK_TERMS)
        by_cost[torch.arange(len(self.index)), self.index] = costs / costs.sum(1, keepdim=True)
        one = torch.ones(len(self.index), 1)
        rows = [one, of_type, by_cost.flatten(1), self.correction[:, None], self.shared, self.own]
        columns = [shares @ row for row in rows] + [(constant / totals)[:, None]]
        return totals, torch.cat(columns, 1) * self.change.scale


def apply(network, part):
    """Changes the network by Change.parts."""
    with torch.no_grad():
        network.log_rate += part["everything"]
        network.type_cost += part["type"][:, None] + part["cost"].reshape(-1, WORK_TERMS)
        network.log_constant += part["constant"][0]
        trust = 1 + part["trust"]
        network.shared[-1].weight.mul_(trust).add_(part["shared"])
        network.shared[-1].bias *= trust
        at = 0
        for net in network.own.values():
            width = net[-1].in_features
            net[-1].weight.mul_(trust).add_(part["own"][at : at + width])
            net[-1].bias *= trust
            at += width


def solve(response, measured, noise, vector):
    """The most probable change, by the gradient at `vector`."""
    totals, gradient = response.gradient(vector)
    wanted = torch.log(measured / totals) + gradient @ vector
    matrix = (gradient @ gradient.T).double() + noise**2 * torch.eye(len(measured), dtype=torch.float64)
    return (gradient.T.double() @ torch.linalg.solve(matrix, wanted.double())).float()


def surprise(response, measured, noise, vector):
    """What solve() makes least: how improbable the measurements and the change are together."""
    totals, *_ = response.totals(vector)
    return float((torch.log(measured / totals) ** 2).sum() / noise**2 + (vector**2).sum())


def descend(response, measured, noise, vector):
    """solve(), but no further than is for the better: far away the gradient is another one."""
    before, wanted = surprise(response, measured, noise, vector), solve(response, measured, noise, vector)
    for halving in range(HALVINGS):
        step = vector + 0.5**halving * (wanted - vector)
        if surprise(response, measured, noise, step) < before:
            return step
    return vector


def noise_of(predicted, measured):
    """Standard deviation of the logarithm of a measurement, from what the predictor said before. Arrays of milliseconds."""
    off = float(np.sqrt(np.mean(np.log(measured / predicted) ** 2)))
    return min(max(NOISE, off / 2), MOST_NOISE) if off < NEAR else NOISE


def scale_to_median(network, predicted, measured):
    """Everything times the median of measured / predicted."""
    factor = float(np.median(np.log(measured / predicted)))
    with torch.no_grad():
        network.log_rate += factor
        network.log_constant += factor


def calibrate(network, evidence, predicted, reach, spread=None, noise=None, report=None):
    """Changes the network, whose inputs the evidence is normalised for, to fit evidence.training.

    predicted: milliseconds of those models as the network says now; reach: reach.Reach of the network; noise: standard
    deviation of the logarithm of a measurement, None: noise_of().
    report(share of the way, network) is called each round.
    """
    measured = evidence.latencies[evidence.training]
    noise = noise_of(predicted, measured.numpy()) if noise is None else noise
    scale_to_median(network, predicted, measured.numpy())
    change = Change(network, reach, spread)
    response = Response(network, evidence, evidence.training, change)
    vector = change.zero
    for number in range(ROUNDS):
        vector = descend(response, measured, noise, vector)
        if report:
            report((number + 1) / ROUNDS, network)
    apply(network, change.parts(vector))
    return network
