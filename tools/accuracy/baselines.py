#!/usr/bin/env python3
"""What a user would take instead of nn-Meter, on the same models and splits; writes tools/accuracy/baselines.json.

usage: baselines.py [--shared FOLDER] [--output figures.json]

Four ways to tell a latency from a model, all of them from the operators of the benchmark's graphs alone:
  flops           latency = a FLOPs^b, the proxy of most papers
  flops_bytes     latency = a FLOPs + b bytes + c, least squares of the relative error, nothing negative
  boosted_trees   LightGBM on features of the whole model: for each operator how many, and their FLOPs, bytes, weights
  graph_network   message passing over the operator graph (plain torch), one network for all four devices
Each learns from all but the fifth that nothing else looks at (benchmark.HELD_OUT) and is judged on it; then with each family
left out in turn, as in protocol.py; trees and graph network learn from LEFT_OUT_MODELS of the others then, for their time.
"""

import argparse
import json
import lzma
import sys
import time
from pathlib import Path

import lightgbm
import numpy as np
import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "train"))

import benchmark  # noqa: E402
from protocol import DEVICES, figures, mean_figures  # noqa: E402

OPERATORS = (
    *("input", "conv", "dwconv", "bn", "relu", "relu6", "maxpool", "avgpool", "mean", "reshape", "transpose", "fc"),
    *("add", "mul", "add_const", "mul_const", "concat", "split"),
)
NUMBERS = ("flops", "bytes", "weights", "elements", "height", "channels", "window", "stride")
LAYERS, WIDTH, BATCH = 3, 64, 128
EPOCHS, LEFT_OUT_EPOCHS = 10, 8
LEFT_OUT_MODELS = 4000


# ------------------------------------------------------------------------------------------------ operators


def window_output(size, window, stride, padding):
    return -(-size // stride) if padding == "SAME" else (size - window) // stride + 1


def shape_of(operator, inputs):
    """The output shape [..., channels] of one operator of a benchmark graph."""
    kind, shapes, numbers = operator[0], inputs, operator[2:]
    if kind in ("input", "reshape", "transpose"):
        return list(numbers[0]) if kind == "input" else list(numbers[0])[1:]
    if kind == "fc":
        return [*shapes[0][:-1], numbers[0]]
    if kind == "mean":
        return [1, 1, shapes[0][-1]]
    if kind in ("conv", "dwconv", "maxpool", "avgpool"):
        window, stride, padding = numbers[-3:]
        height, width = (window_output(size, window, stride, padding) for size in shapes[0][:2])
        return [height, width, numbers[0] if kind == "conv" else shapes[0][-1]]
    if kind == "concat":
        return [*shapes[0][:-1], sum(shape[-1] for shape in shapes)]
    if kind == "split":
        return [*shapes[0][:-1], shapes[0][-1] // 2]
    return max(shapes, key=np.prod)


def describe(operator, inputs, output):
    """NUMBERS of one operator."""
    kind, numbers = operator[0], operator[2:]
    window, stride = (numbers[-3], numbers[-2]) if kind in ("conv", "dwconv", "maxpool", "avgpool") else (1, 1)
    read, written = sum(float(np.prod(shape)) for shape in inputs), float(np.prod(output))
    weights = {
        "conv": window**2 * inputs[0][-1] * output[-1] if inputs else 0,
        "dwconv": window**2 * output[-1],
        "fc": inputs[0][-1] * output[-1] if inputs else 0,
        "bn": 2 * output[-1],
    }.get(kind, 0)
    positions = written / output[-1]
    flops = 2 * weights * positions if kind in ("conv", "dwconv", "fc") else written * window**2
    if kind == "input":
        flops = read = 0.0
    height = output[0] if len(output) > 1 else 1
    return flops, 4 * (read + written + weights), weights, written, height, output[-1], window, stride


class Graphs:
    """The models that have latencies. Nodes of model m are start[m]:start[m + 1] of kinds and numbers."""

    def __init__(self, shared):
        measured = benchmark.read_latencies(shared / "bench" / "latency.csv")
        wanted = set().union(*(measured[device] for device in DEVICES))
        self.models, self.families, start, kinds, rows, edges = [], [], [0], [], [], []
        with lzma.open(shared / "bench" / "graphs.jsonl.xz") as file:
            for line in file:
                graph = json.loads(line)
                if graph["id"] not in wanted:
                    continue
                shapes, first = [], start[-1]
                for index, operator in enumerate(graph["ops"]):
                    inputs = [shapes[i] for i in operator[1]]
                    shapes.append(shape_of(operator, inputs))
                    kinds.append(OPERATORS.index(operator[0]))
                    rows.append(describe(operator, inputs, shapes[-1]))
                    edges += [(first + i, first + index) for i in operator[1]]
                self.models.append(graph["id"])
                self.families.append(graph["family"])
                start.append(first + len(graph["ops"]))
        self.start, self.kinds = np.array(start), np.array(kinds)
        self.numbers, self.edges = np.array(rows, float), np.array(edges)
        self.edge_start = np.searchsorted(self.edges[:, 1], self.start)
        self.families = np.array(self.families)
        self.judged = np.array([benchmark.fold_of(model) == benchmark.HELD_OUT for model in self.models])
        self.latencies = np.array([[measured[d].get(model, np.nan) for d in DEVICES] for model in self.models])

    def sums(self):
        """[model, operator, flops | bytes | weights | count]"""
        columns = np.concatenate([self.numbers[:, :3], np.ones((len(self.kinds), 1))], 1)
        sums = np.zeros((len(self.models), len(OPERATORS), 4))
        np.add.at(sums, (np.repeat(np.arange(len(self.models)), np.diff(self.start)), self.kinds), columns)
        return sums


# ------------------------------------------------------------------------------------------------ methods


def flops(sums, latencies, learned):
    work = np.log(sums[:, :, 0].sum(1))
    slope, offset = np.polyfit(work[learned], np.log(latencies[learned]), 1)
    return np.exp(slope * work + offset)


def flops_bytes(sums, latencies, learned):
    columns = np.stack([sums[:, :, 0].sum(1), sums[:, :, 1].sum(1), np.ones(len(sums))], 1)
    scale = columns[learned].mean(0)
    relative = columns[learned] / scale / latencies[learned, None]
    for kept in ((0, 1, 2), (0, 1), (0, 2), (1, 2), (0,), (1,)):  # the first without a negative cost
        costs = np.zeros(3)
        costs[list(kept)] = np.linalg.lstsq(relative[:, kept], np.ones(len(relative)), rcond=None)[0]
        if (costs >= 0).all():
            break
    return (columns / scale) @ costs


def boosted_trees(sums, latencies, learned):
    totals = sums.sum(1)
    columns = np.log1p(np.concatenate([sums.reshape(len(sums), -1), totals], 1))
    settings = {
        "learning_rate": 0.08,
        "num_leaves": 63,
        "num_threads": 1,
        "seed": 0,
        "deterministic": True,
        "verbose": -1,
    }
    data = lightgbm.Dataset(columns[learned], np.log(latencies[learned]))
    return np.exp(lightgbm.train(settings, data, num_boost_round=300).predict(columns))


class GraphNetwork(nn.Module):
    """Logarithms of the latencies on all devices: nodes hear from what they read and from what reads them."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(len(OPERATORS) + len(NUMBERS), WIDTH)
        self.layers = nn.ModuleList(nn.Linear(3 * WIDTH, WIDTH) for _ in range(LAYERS))
        self.cost = nn.Linear(WIDTH, WIDTH)
        self.last = nn.Sequential(nn.Linear(2 * WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, len(DEVICES)))

    def forward(self, nodes, edges, owner, count):
        hidden = nn.functional.silu(self.first(nodes))
        source, target = edges
        for layer in self.layers:
            before = torch.zeros_like(hidden).index_add(0, target, hidden[source])
            after = torch.zeros_like(hidden).index_add(0, source, hidden[target])
            hidden = hidden + nn.functional.silu(layer(torch.cat([hidden, before, after], 1)))
        costs = nn.functional.softplus(self.cost(hidden))
        sums = torch.zeros(count, WIDTH).index_add(0, owner, costs)
        means = torch.zeros(count, WIDTH).index_add(0, owner, hidden)
        means = means / torch.bincount(owner, minlength=count)[:, None]
        return self.last(torch.cat([torch.log(sums), means], 1))


class GraphTrainer:
    def __init__(self, graphs):
        logs = np.log1p(graphs.numbers)
        logs = (logs - logs.mean(0)) / logs.std(0)
        self.nodes = torch.from_numpy(np.concatenate([np.eye(len(OPERATORS))[graphs.kinds], logs], 1)).float()
        self.graphs, self.targets = graphs, torch.from_numpy(np.log(graphs.latencies)).float()

    def batch(self, models):
        start, edge_start = self.graphs.start, self.graphs.edge_start
        nodes = np.concatenate([np.arange(start[m], start[m + 1]) for m in models])
        sizes = start[models + 1] - start[models]
        shift = np.concatenate([[0], np.cumsum(sizes)[:-1]]) - start[models]
        edges = [self.graphs.edges[edge_start[m] : edge_start[m + 1]] + s for m, s in zip(models, shift)]
        owner = torch.from_numpy(np.repeat(np.arange(len(models)), sizes))
        return self.nodes[nodes], torch.from_numpy(np.concatenate(edges).T.copy()), owner, len(models)

    def predict(self, network, models):
        with torch.no_grad():
            return (
                torch.cat([network(*self.batch(models[i : i + 500])) for i in range(0, len(models), 500)]).exp().numpy()
            )

    def fit(self, learned, epochs):
        torch.manual_seed(0)
        generator, network = np.random.default_rng(0), GraphNetwork()
        optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
        steps = epochs * len(learned) // BATCH
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps + 1)
        offset, done = torch.nanmean(self.targets[learned], 0), 0
        with torch.no_grad():
            network.last[-1].bias.copy_(offset)
        while done < steps:
            order = generator.permutation(learned)
            for at in range(0, len(order) - BATCH + 1, BATCH):
                models = order[at : at + BATCH]
                error = network(*self.batch(models)) - self.targets[models]
                loss = nn.functional.smooth_l1_loss(torch.nan_to_num(error), torch.zeros_like(error), beta=0.03)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
                done += 1
                if done == steps:
                    break
        return network


METHODS = {"flops": flops, "flops_bytes": flops_bytes, "boosted_trees": boosted_trees}


# ------------------------------------------------------------------------------------------------ splits


def simple_methods(graphs, sums, learned, judged):
    """{device: {method: figures}}"""
    results = {}
    for column, device in enumerate(DEVICES):
        latencies = graphs.latencies[:, column]
        known = np.isfinite(latencies)
        mine = np.where(judged & known)[0]
        if not len(mine):
            continue
        results[device] = {
            name: figures(method(sums, latencies, np.where(learned & known)[0])[mine], latencies[mine])
            for name, method in METHODS.items()
        }
    return results


def graph_network(graphs, trainer, learned, judged, epochs):
    models = np.where(judged)[0]
    predicted = trainer.predict(trainer.fit(learned, epochs), models)
    results = {}
    for column, device in enumerate(DEVICES):
        known = np.isfinite(graphs.latencies[models, column])
        if known.any():
            measured = graphs.latencies[models[known], column]
            results[device] = {"graph_network": figures(predicted[known, column], measured)}
    return results


def both(graphs, sums, trainer, judged, sample, epochs):
    learned = np.zeros(len(graphs.models), bool)
    learned[sample] = True
    results = simple_methods(graphs, sums, learned, judged)
    for device, found in graph_network(graphs, trainer, sample, judged, epochs).items():
        results[device] |= found
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", help="folder with bench/ (default: beside the repository)")
    parser.add_argument("--output", type=Path, default=ROOT / "tools" / "accuracy" / "baselines.json")
    options = parser.parse_args()
    if not (Path(options.shared or ROOT.parent / "shared") / "bench" / "latency.csv").exists():
        print("SKIPPED: no baselines, because the benchmark is not there. docs/accuracy.md says where it comes from.")
        return 0
    torch.set_num_threads(1)
    began = time.time()
    graphs = Graphs(benchmark.shared_folder(options.shared))
    sums, trainer = graphs.sums(), GraphTrainer(graphs)
    everything = ~graphs.judged
    print(f"{len(graphs.models)} graphs read, {time.time() - began:.0f} s", file=sys.stderr, flush=True)
    found = both(graphs, sums, trainer, graphs.judged, np.where(everything)[0], EPOCHS)
    results = {
        device: {name: {"random": values} for name, values in methods.items()} for device, methods in found.items()
    }
    print(f"random split: {time.time() - began:.0f} s {json.dumps(found)}", file=sys.stderr, flush=True)
    left_out = {device: {name: [] for name in methods} for device, methods in results.items()}
    for family in np.unique(graphs.families):
        learned, judged = everything & (graphs.families != family), graphs.judged & (graphs.families == family)
        sample = np.random.default_rng(0).permutation(np.where(learned)[0])[:LEFT_OUT_MODELS]
        found = both(graphs, sums, trainer, judged, sample, LEFT_OUT_EPOCHS)
        print(f"{family} left out: {time.time() - began:.0f} s {json.dumps(found)}", file=sys.stderr, flush=True)
        for device, methods in found.items():
            for name, values in methods.items():
                left_out[device][name].append(values)
    for device, methods in left_out.items():
        for name, several in methods.items():
            results[device][name]["left_out"] = mean_figures(several)
    options.output.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
