"""Fits a KernelNetwork to measured latencies: a whole model costs what its kernels cost, and a constant; a kernel that
was measured alone is a model of one kernel without the constant.

fit(Evidence, Settings) -> KernelNetwork.
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from .network import WORK_TERMS, KernelNetwork
from .ranges import Ranges

# Features that memories and tilings have steps in: cut into pieces of half an octave.
RAMPED = (
    "log_weight_elements",
    "log_input_elements",
    "log_output_elements",
    "log_input_channels",
    "log_output_channels",
)
PIECE = np.log(2) / 2
# Features of which any value above zero is another case than zero.
SWITCHED = tuple(f"{side}_waste_{unit}" for side in ("input", "output") for unit in (4, 8, 16, 32))
SWITCH = 1e-3
MANY_ROWS = 1000
TAIL_FROM = 0.05
GUESS_STEPS = 400
LEAST_STEPS = 1500  # of a training, however few the models are
CHECKS = 8  # looks at the validation models during a training
PATIENCE = 3  # looks without a better one before it ends


@dataclass
class Settings:
    epochs: int = 40
    batch: int = 64  # models
    rate: float = 3e-3
    decay: float = 5e-4  # of the weights of the hidden layers, in each step at full rate
    beta: float = 0.03  # where the loss turns from squared to absolute, as a relative error
    tail: float = 0.0  # extra weight of errors beyond TAIL_FROM, squared: for noise that goes one way
    shared_width: int = 128
    own_width: int = 64  # of kernel types with many distinct kernels; half of it for the others
    belief: float = 2.0  # times Belief: how much what is measured little follows its kin
    hardware: str = ""  # which of START to begin from; "": whichever explains the measurements best
    seed: int = 0

    @classmethod
    def for_count(cls, count, seed=0):
        """Settings that suit `count` measurements: small batches and more turns when they are few."""
        batch = max(16, min(cls.batch, count // 8))
        epochs = max(cls.epochs if count < 5000 else 16, LEAST_STEPS * batch // max(1, count))
        return cls(epochs=epochs, batch=batch, seed=seed)


# What work costs before anything is measured: milliseconds per multiply-add, element read, element written, weight, window
# element, kernel; and per run. About 10 GFLOPS and 20 GB/s for one core of a phone, 100 GFLOPS and 20 GB/s for its GPU and
# its like, which take longer to start a kernel.
START = {
    "cpu": (1e-7, 2e-7, 2e-7, 2.5e-7, 5e-8, 2e-3, 0.03),
    "gpu": (1e-8, 2e-7, 2e-7, 2e-7, 1e-8, 1e-2, 0.2),
    "accelerator": (1e-8, 3e-7, 3e-7, 3e-7, 1e-8, 5e-2, 0.8),
}


@dataclass
class Belief:
    """How strongly training believes what it starts with: each number is how many models would have to be measured to
    weigh as much against a deviation of one (a factor of e in a cost)."""

    rate: float = 20.0  # START
    kin: float = 5.0  # the types of a class cost alike, the classes too
    bias: float = 3.0  # the shared network treats the types of a class alike
    own: float = 3.0  # a type needs no network of its own
    own_part: float = 0.6  # mean square of what the own networks add, for each type
    correction: float = 0.4  # mean square of what all networks add, for each type

    def loss(self, network, start):
        """Of the parameters alone."""
        rates = ((network.log_rate - start[:-1]) ** 2).sum() + (network.log_constant - start[-1]) ** 2
        kin = (network.class_cost**2).sum() + (network.type_cost**2).sum()
        own = sum((net[-1].weight ** 2).sum() + net[-1].bias.square().sum() for net in network.own.values())
        return self.rate * rates + self.kin * kin + self.bias * network.type_bias.square().sum() + self.own * own

    def correction_loss(self, network):
        """Of what the networks added for the rows just computed; every type counts the same, however few its rows."""
        weight = torch.from_numpy(1 / np.bincount(network.types)[network.types]).float()
        return (
            self.own_part * (weight * network.own_part**2).sum()
            + self.correction * (weight * network.correction**2).sum()
        )


@dataclass
class Ramp:
    feature: int
    low: np.float32
    slope: np.float32
    mean: np.float32 = 0
    scale: np.float32 = 1

    def height(self, values):
        return ((values[:, [self.feature]] - self.low) * self.slope).clip(0, 1)


def make_ramps(features, values):
    ramps = [Ramp(features.index(name), np.float32(0), np.float32(1 / SWITCH)) for name in SWITCHED]
    for name in RAMPED:
        index = features.index(name)
        first = np.ceil(np.quantile(values[:, index], 0.05) / PIECE)
        last = np.floor(np.quantile(values[:, index], 0.999) / PIECE)
        ramps += [Ramp(index, np.float32(piece * PIECE), np.float32(1 / PIECE)) for piece in np.arange(first, last)]
    for ramp in ramps:
        height = ramp.height(values)
        ramp.mean, ramp.scale = np.float32(height.mean()), np.float32(1 / max(height.std(), 0.02))
    return ramps


def normalisation(features, values):
    """(mean, scale, ramps) of features; values: [row, feature]."""
    values = values.astype(np.float64)
    spread = values.std(0)
    scale = np.where(spread > 1e-6, 1 / np.maximum(spread, 1e-6), 1).astype(np.float32)
    return values.mean(0).astype(np.float32), scale, make_ramps(features, values)


class Evidence:
    """A kernel table and one device's measurements as tensors, normalised by the rows that training sees."""

    def __init__(self, table, latencies, training, start=None):
        """latencies: milliseconds per model of the table, NaN where unknown; training: indices of models to learn from;
        start: what gives mean, scale and ramps (a predictor_file.Loaded), instead of the rows."""
        self.table = table
        self.latencies = torch.from_numpy(np.asarray(latencies, np.float32))
        self.training = np.asarray(training)
        used = np.unique(np.concatenate([table.rows[table.start[m] : table.start[m + 1]] for m in self.training]))
        self.used = used
        if start:
            self.mean, self.scale, self.ramps = start.mean, start.scale, start.ramps
        else:
            self.mean, self.scale, self.ramps = normalisation(table.features, table.values[used])
        self.measured = np.unique(table.type_of[used])
        ranges = Ranges.of(self)
        if start:
            ranges = start.ranges.widened(ranges)
        self.ranges = ranges
        self.values = torch.from_numpy(self.inputs(ranges.clamp(table.values, table.type_of)))
        work = np.concatenate([table.work, np.ones((len(table.work), 1))], 1)
        self.work = torch.from_numpy(work.astype(np.float32))
        self.constant = torch.from_numpy(table.constant.astype(np.float32))

    def inputs(self, values):
        """What the networks see of features: normalised, then ramps."""
        columns = [(values - self.mean) * self.scale]
        columns += [(ramp.height(values) - ramp.mean) * ramp.scale for ramp in self.ramps]
        return np.concatenate(columns, 1, dtype=values.dtype)

    def batch(self, models):
        """Distinct rows of the models, and for each entry its row among those, its model, its turns."""
        table = self.table
        spans = [slice(table.start[m], table.start[m + 1]) for m in models]
        rows, entry_row = np.unique(np.concatenate([table.rows[s] for s in spans]), return_inverse=True)
        owner = np.repeat(np.arange(len(models)), [s.stop - s.start for s in spans])
        turns = np.concatenate([table.turns[s] for s in spans]).astype(np.float32)
        return rows, torch.from_numpy(entry_row), torch.from_numpy(owner), torch.from_numpy(turns)


def model_latencies(network, evidence, models, batch=None):
    """Milliseconds of the models, which may be one kernel alone. batch: evidence.batch(models), when it is known."""
    rows, entry_row, owner, turns = batch or evidence.batch(models)
    kernels = network(evidence.values[rows], evidence.work[rows], evidence.table.type_of[rows])
    totals = torch.zeros(len(models)).index_add(0, owner, kernels[entry_row] * turns)
    return totals + evidence.constant[models] * torch.exp(network.log_constant)


def predict(network, evidence, models, step=2000):
    network.eval()
    with torch.no_grad():
        parts = [model_latencies(network, evidence, models[i : i + step]) for i in range(0, len(models), step)]
    network.train()
    return torch.cat(parts).numpy()


def relative_loss(predicted, measured, beta, tail=0.0):
    error = torch.log(predicted / measured)
    loss = functional.smooth_l1_loss(error, torch.zeros_like(error), beta=beta)
    return loss + tail * (functional.relu(error.abs() - TAIL_FROM) ** 2).mean()


def cosine(step, steps):
    """Share of the learning rate: a short rise, then half a cosine down to almost nothing."""
    return min(1, (step + 1) / 100) * (0.5 * (1 + np.cos(np.pi * step / steps)) + 1e-3)


def work_sums(evidence, models):
    """[model, type + 1, term]: the work of each model."""
    table, types = evidence.table, len(evidence.table.types)
    sums = np.zeros((len(models), types + 1, WORK_TERMS))
    work = evidence.work.numpy()
    for i, model in enumerate(models):
        span = slice(table.start[model], table.start[model + 1])
        rows = table.rows[span]
        np.add.at(sums[i], table.type_of[rows], work[rows] * table.turns[span, None])
    return torch.from_numpy(sums.astype(np.float32))


def fit_guess(network, evidence, sums, start, belief, strength, steps=GUESS_STEPS):
    """The costs per unit of work alone, all models at once. sums: work_sums() of the training. Returns the loss."""
    measured, constant = evidence.latencies[evidence.training], evidence.constant[evidence.training]
    with torch.no_grad():
        network.log_rate.copy_(start[:-1])
        network.log_constant.copy_(start[-1])
        network.class_cost.zero_()
        network.type_cost.zero_()
    parameters = [network.log_rate, network.class_cost, network.type_cost, network.log_constant]
    optimiser = torch.optim.Adam(parameters, lr=0.05)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 0.05 * cosine(step, steps)
        predicted = (sums * torch.exp(network.log_cost)).sum((1, 2)) + constant * torch.exp(network.log_constant)
        loss = relative_loss(predicted, measured, 0.1) + strength * belief.loss(network, start) / len(evidence.training)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return float(loss.detach())


def start_of(network, evidence, settings, belief):
    """The start that explains the measurements best, as logarithms; the network's costs are fitted from it."""
    names = [settings.hardware] if settings.hardware else list(START)
    starts = [torch.log(torch.tensor(START[name])) for name in names]
    sums = work_sums(evidence, evidence.training)
    losses = [fit_guess(network, evidence, sums, start, belief, settings.belief) for start in starts]
    best = starts[int(np.argmin(losses))]
    if best is not starts[-1]:
        fit_guess(network, evidence, sums, best, belief, settings.belief)
    return best


def own_widths(evidence, width):
    rows = np.bincount(evidence.table.type_of[evidence.used], minlength=len(evidence.table.types))
    return {int(t): width if rows[t] >= MANY_ROWS else width // 2 for t in evidence.measured}


class Reproducible:
    """Torch on so many threads and with deterministic algorithms alone, for a while."""

    def __init__(self, threads):
        self.threads = threads

    def __enter__(self):
        self.before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
        torch.set_num_threads(self.threads)
        torch.use_deterministic_algorithms(True)

    def __exit__(self, *_):
        torch.set_num_threads(self.before[0])
        torch.use_deterministic_algorithms(self.before[1])


class Best:
    """Keeps the network that was best on models it does not learn from, and says when to stop."""

    def __init__(self, evidence, validation):
        self.evidence, self.validation = evidence, np.asarray(validation if validation is not None else [], int)
        self.loss, self.state, self.misses = np.inf, None, 0

    def look(self, network):
        """True: no better for PATIENCE looks."""
        if not len(self.validation):
            return False
        measured = self.evidence.latencies[self.validation].numpy()
        loss = float(np.abs(np.log(predict(network, self.evidence, self.validation) / measured)).mean())
        if loss < self.loss:
            self.loss, self.state, self.misses = loss, copy.deepcopy(network.state_dict()), 0
        else:
            self.misses += 1
        return self.misses >= PATIENCE

    def restore(self, network):
        if self.state:
            network.load_state_dict(self.state)


def optimiser_of(networks, settings):
    """Adam for all parameters, each once; only weights of hidden layers decay."""
    hidden = {id(weight): weight for network in networks for weight in network.hidden_weights()}
    others = {id(p): p for network in networks for p in network.parameters() if id(p) not in hidden}
    return torch.optim.AdamW(
        [
            {"params": list(hidden.values()), "weight_decay": settings.decay / settings.rate},
            {"params": list(others.values()), "weight_decay": 0.0},
        ],
        lr=settings.rate,
        betas=(0.9, 0.99),
    )


class Batches:
    """Models to learn from, some at a time, in an order that is drawn anew when all had their turn."""

    def __init__(self, evidence, settings):
        self.models, self.size = evidence.training, min(settings.batch, len(evidence.training))
        self.generator, self.order = np.random.default_rng(settings.seed), np.array([], int)

    def next(self):
        if len(self.order) < self.size:
            self.order = self.generator.permutation(self.models)
        models, self.order = self.order[: self.size], self.order[self.size :]
        return models


def device_loss(network, evidence, models, start, belief, settings):
    """What training makes least for one device. start: start_of() it."""
    predicted = model_latencies(network, evidence, models)
    doubt = belief.loss(network, start) + belief.correction_loss(network)
    loss = relative_loss(predicted, evidence.latencies[models], settings.beta, settings.tail)
    return loss + settings.belief * doubt / len(evidence.training)


def new_network(evidence, settings, widths=None):
    """widths: of the networks of the types, {index: width}; those that the evidence asks for when not given."""
    torch.manual_seed(settings.seed)
    widths = own_widths(evidence, settings.own_width) if widths is None else widths
    return KernelNetwork(evidence.values.shape[1], evidence.table.types, widths, settings.shared_width)


def fit(evidence, settings, report=None, validation=None):
    """A fitted network. report(share of the way, network) is called CHECKS times. validation: indices of models to watch:
    training stops when it gets no better for them, and the best network counts."""
    network = new_network(evidence, settings)
    best = Best(evidence, validation)

    def look(share):
        stop = best.look(network)
        if report:
            report(share, network)
        return stop

    descend([network], [evidence], settings, look)
    best.restore(network)
    return network


def descend(networks, evidences, settings, look):
    """Trains networks, which may share parameters, on one device's evidence each. look(share of the way) is called CHECKS
    times, and says whether to stop."""
    belief = Belief()
    starts = [start_of(*pair, settings, belief) for pair in zip(networks, evidences, strict=True)]
    optimiser = optimiser_of(networks, settings)
    batches = [Batches(evidence, settings) for evidence in evidences]
    most = max(evidences, key=lambda evidence: len(evidence.training))
    steps = max(1, settings.epochs * len(most.training) // min(settings.batch, len(most.training)))
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * cosine(step, steps)
        loss = sum(
            device_loss(network, evidence, batch.next(), start, belief, settings)
            for network, evidence, batch, start in zip(networks, evidences, batches, starts, strict=True)
        )
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        if (step + 1) % max(1, steps // CHECKS) == 0 and look((step + 1) / steps):
            break
