"""Fits a KernelNetwork to measured latencies: a whole model costs what its kernels cost, and a constant; a kernel that
was measured alone is a model of one kernel without the constant.

fit(Evidence, Settings) -> KernelNetwork.
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from .network import KernelNetwork

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
LEAST_STEPS = 1500  # of a training, however few the models are
CHECKS = 8  # looks at the validation models during a training
PATIENCE = 3  # looks without a better one before it ends


@dataclass
class Settings:
    epochs: int = 40
    batch: int = 128  # models
    rate: float = 3e-3
    beta: float = 0.03  # where the loss turns from squared to absolute, as a relative error
    tail: float = 0.0  # extra weight of errors beyond TAIL_FROM, squared: for noise that goes one way
    shared_width: int = 128
    own_width: int = 64  # of kernel types with many distinct kernels; half of it for the others
    seed: int = 0

    @classmethod
    def for_count(cls, count, seed=0):
        """Settings that suit `count` measurements: small batches and more turns when they are few."""
        batch = max(16, min(cls.batch, count // 8))
        epochs = max(cls.epochs if count < 5000 else 16, LEAST_STEPS * batch // max(1, count))
        return cls(epochs=epochs, batch=batch, seed=seed)


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
            values = table.values[used].astype(np.float64)
            spread = values.std(0)
            self.mean = values.mean(0).astype(np.float32)
            self.scale = np.where(spread > 1e-6, 1 / np.maximum(spread, 1e-6), 1).astype(np.float32)
            self.ramps = make_ramps(table.features, values)
        self.values = torch.from_numpy(self.inputs(table.values))
        work = np.concatenate([table.work, np.ones((len(table.work), 1))], 1)
        self.work = torch.from_numpy(work.astype(np.float32))
        self.measured = np.unique(table.type_of[used])
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


def fit_guess(network, evidence, steps=1500):
    """The costs per unit of work alone: linear in the sums over a model, hence all models at once."""
    table, types = evidence.table, network.type_count
    entry_model = np.repeat(np.arange(len(table.models)), np.diff(table.start))
    sums = np.zeros((len(table.models), types + 1, 4))
    work = evidence.work.numpy()[table.rows] * table.turns[:, None]
    np.add.at(sums, (entry_model, table.type_of[table.rows]), work)
    sums = torch.from_numpy(sums[evidence.training].reshape(len(evidence.training), -1).astype(np.float32))
    measured, constant = evidence.latencies[evidence.training], evidence.constant[evidence.training]
    start = network.log_cost.detach().clone()
    optimiser = torch.optim.Adam([network.log_cost, network.log_constant], lr=0.05)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 0.05 * cosine(step, steps)
        predicted = sums @ torch.exp(network.log_cost).reshape(-1) + constant * torch.exp(network.log_constant)
        loss = relative_loss(predicted, measured, 0.1) + 1e-5 * ((network.log_cost - start) ** 2).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def fit_unknown(network, evidence, steps=400, batch=4096):
    """Teaches the record for types never measured what the measured types' kernels cost, type left out of sight."""
    unknown = network.type_count
    with torch.no_grad():
        network.log_cost[unknown] = network.log_cost[torch.from_numpy(evidence.measured)].mean(0)
        network.type_bias[unknown] = network.type_bias[torch.from_numpy(evidence.measured)].mean(0)
    generator = np.random.default_rng(0)
    batch = min(batch, 2 * len(evidence.used))
    own = list(network.own[str(unknown)].parameters())
    optimiser = torch.optim.Adam([network.log_cost, network.type_bias, *own], lr=3e-3)
    kept = torch.arange(unknown)
    frozen = network.log_cost[kept].detach().clone(), network.type_bias[kept].detach().clone()
    types = evidence.table.type_of[evidence.used]
    for step in range(steps):
        # as many rows of each type as there are
        pick = np.concatenate(
            [
                generator.choice(evidence.used[types == t], -(-batch // len(evidence.measured)))
                for t in evidence.measured
            ]
        )
        values, work = evidence.values[pick], evidence.work[pick]
        with torch.no_grad():
            target = torch.log(network(values, work, evidence.table.type_of[pick]))
        predicted = torch.log(network(values, work, np.full(len(pick), unknown)))
        loss = functional.smooth_l1_loss(predicted, target)
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * cosine(step, steps)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            network.log_cost[kept], network.type_bias[kept] = frozen


def own_widths(evidence, width):
    unknown = len(evidence.table.types)
    rows = np.bincount(evidence.table.type_of[evidence.used], minlength=unknown)
    return {int(t): width if rows[t] >= MANY_ROWS else width // 2 for t in evidence.measured} | {unknown: width // 2}


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


def fit(evidence, settings, report=None, validation=None):
    """A fitted network. report(share of the way, network) is called CHECKS times. validation: indices of models to watch:
    training stops when it gets no better for them, and the best network counts."""
    torch.manual_seed(settings.seed)
    generator = np.random.default_rng(settings.seed)
    network = KernelNetwork(
        evidence.values.shape[1],
        len(evidence.table.types),
        own_widths(evidence, settings.own_width),
        settings.shared_width,
    )
    fit_guess(network, evidence)
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.rate, betas=(0.9, 0.99))
    batch = min(settings.batch, len(evidence.training))
    steps = max(1, settings.epochs * len(evidence.training) // batch)
    order = np.array([], int)
    best = Best(evidence, validation)
    for step in range(steps):
        if len(order) < batch:
            order = generator.permutation(evidence.training)
        models, order = order[:batch], order[batch:]
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * cosine(step, steps)
        loss = relative_loss(
            model_latencies(network, evidence, models), evidence.latencies[models], settings.beta, settings.tail
        )
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        if (step + 1) % max(1, steps // CHECKS) == 0:
            stop = best.look(network)
            if report:
                report((step + 1) / steps, network)
            if stop:
                break
    best.restore(network)
    fit_unknown(network, evidence)
    return network
