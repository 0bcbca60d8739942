"""Calibration: an existing predictor moved to new measurements, by few of them and as little as they ask for."""

import copy
from dataclasses import dataclass

import numpy as np
import torch

from .training import Best, cosine, model_latencies, predict, relative_loss


@dataclass
class CalibrationSettings:
    steps: int = 300  # of each of the two stages; each sees all measurements, unless they are many
    scale_rate: float = 0.02  # learning rate of the scale of each kernel type
    scale_hold: float = 0.05  # how strongly a type's scale is held at the common one
    rate: float = 1e-3  # learning rate of everything
    hold: float = 1.0  # how strongly the weights are held near where they were
    beta: float = 0.03
    most_models: int = 256  # in one step
    seed: int = 0


def adopt_types(network, measured, known):
    """Kernel types that the predictor never measured start from its record for unknown types."""
    unknown = network.type_count
    with torch.no_grad():
        for t in sorted(set(measured) - set(known)):
            network.log_cost[t] = network.log_cost[unknown]
            network.type_bias[t] = network.type_bias[unknown]
            if str(unknown) in network.own:
                network.own[str(t)] = copy.deepcopy(network.own[str(unknown)])


def scale_to_median(network, evidence):
    """Everything times the median of measured / predicted; returns that factor."""
    predicted = predict(network, evidence, evidence.training)
    factor = float(np.median(evidence.latencies[evidence.training].numpy() / predicted))
    with torch.no_grad():
        network.log_cost += np.log(factor)
        network.log_constant += np.log(factor)
    return factor


def fit_scales(network, evidence, settings, batches):
    """One factor for each kernel type and one for the constant."""
    shift = torch.zeros(network.type_count + 2, requires_grad=True)
    cost, constant = network.log_cost.detach().clone(), network.log_constant.detach().clone()
    optimiser = torch.optim.Adam([shift], lr=settings.scale_rate)
    kernels = torch.zeros(len(evidence.values))
    with torch.no_grad():  # the networks do not change, so neither do the kernels' shares
        used = evidence.used
        kernels[used] = network(evidence.values[used], evidence.work[used], evidence.table.type_of[used])
    for step in range(settings.steps):
        for group in optimiser.param_groups:
            group["lr"] = settings.scale_rate * cosine(step, settings.steps)
        rows, entry_row, owner, turns, models = next(batches)
        types = torch.from_numpy(evidence.table.type_of[rows])[entry_row]
        shares = kernels[rows][entry_row] * turns * torch.exp(shift[types])
        totals = torch.zeros(len(models)).index_add(0, owner, shares)
        totals = totals + evidence.constant[models] * torch.exp(constant + shift[-1])
        loss = relative_loss(totals, evidence.latencies[models], settings.beta)
        loss = loss + settings.scale_hold / len(evidence.training) * (shift**2).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        network.log_cost.copy_(cost + shift[: network.type_count + 1].unsqueeze(1))
        network.log_constant.copy_(constant + shift[-1])


def batches_of(evidence, settings):
    """Endless batches: (rows, row of each entry, model of each entry, turns, models)."""
    generator = np.random.default_rng(settings.seed)
    fixed = None
    while True:
        if len(evidence.training) > settings.most_models:
            models = generator.choice(evidence.training, settings.most_models, replace=False)
            yield *evidence.batch(models), models
        else:
            fixed = fixed or (*evidence.batch(evidence.training), evidence.training)
            yield fixed


def calibrate(network, evidence, settings, report=None, validation=None):
    """Changes the network, whose inputs the evidence is normalised for, to fit the evidence. report, validation: as for
    training.fit."""
    torch.manual_seed(settings.seed)
    scale_to_median(network, evidence)
    batches = batches_of(evidence, settings)
    fit_scales(network, evidence, settings, batches)
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    start = [parameter.detach().clone() for parameter in parameters]
    optimiser = torch.optim.Adam(parameters, lr=settings.rate)
    best = Best(evidence, validation)
    best.look(network)
    hold = settings.hold / len(evidence.training)
    for step in range(settings.steps):
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * cosine(step, settings.steps)
        *batch, models = next(batches)
        predicted = model_latencies(network, evidence, models, batch)
        loss = relative_loss(predicted, evidence.latencies[models], settings.beta)
        optimiser.zero_grad()
        loss.backward()
        with torch.no_grad():  # the gradient of hold * (what has changed, squared)
            for parameter, before in zip(parameters, start):
                if parameter.grad is not None:
                    parameter.grad.add_(parameter - before, alpha=2 * hold)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        if (step + 1) % max(1, settings.steps // 8) == 0:
            stop = best.look(network)
            if report:
                report((step + 1) / settings.steps, network)
            if stop:
                break
    best.restore(network)
    return network
