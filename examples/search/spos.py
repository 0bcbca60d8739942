#!/usr/bin/env python3
"""Single path one-shot search under a latency limit: one supernet is trained, each step along a random path; then many
candidates are drawn, those over the limit are left out by a table of latencies, the others are judged with the supernet's
weights. The best is trained by itself.

usage: spos.py [--predictor NAME] [--limit SHARE] [--epochs N] [--judged N] [--output pareto.png]

--limit: as a share of the latency of the median candidate.
"""

import argparse
import time

import numpy as np
import torch
from digits import Supernet, accuracy, batches, data, draw, fit_statistics, with_ends
from nn_meter.search import LatencyTable
from torch import nn

DRAWN = 1_000_000


def train(net, path, images, labels, epochs, random):
    """path(): the candidate to take in each step."""
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    net.train()
    for _ in range(epochs):
        for part, wanted in batches(images, labels, random):
            loss = nn.functional.cross_entropy(net(part, path()), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictor", default="cortexA76cpu_tflite21")
    parser.add_argument("--limit", type=float, default=0.8)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--judged", type=int, default=60)
    parser.add_argument("--output", default="spos.png")
    options = parser.parse_args()
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    (images, labels), choosing, judging = data()
    net = Supernet()
    choices = [len(layer) for layer in net.layers]

    began = time.perf_counter()
    table = LatencyTable(net.space(), options.predictor)
    print(
        f"latency table of {table.space.size} networks: {time.perf_counter() - began:.1f} s, off by {table.difference:.1e}"
    )
    began = time.perf_counter()
    candidates = random.integers(0, choices, (DRAWN, len(choices)), dtype=np.int32)
    latencies = table.latencies(with_ends(candidates))
    print(f"{DRAWN} candidates: {time.perf_counter() - began:.2f} s")
    limit_ms = options.limit * float(np.median(latencies))
    fast = np.unique(candidates[latencies <= limit_ms], axis=0)
    print(f"{len(fast)} different ones are faster than {limit_ms:.4g} ms on {options.predictor}")

    train(net, lambda: random.integers(0, choices), images, labels, options.epochs, random)
    tried = fast[random.permutation(len(fast))[: options.judged]]
    found = []
    for candidate in tried:
        fit_statistics(net, candidate, images)
        found.append(accuracy(net, candidate, *choosing))
    of_tried = table.latencies(with_ends(tried))
    best = int(np.lexsort((of_tried, -np.asarray(found)))[0])
    alone = Supernet()
    train(alone, lambda: tried[best], images, labels, options.epochs // 3, random)
    fit_statistics(alone, tried[best], images)
    final = accuracy(alone, tried[best], *judging)
    print(
        f"chosen {tried[best].tolist()}: {of_tried[best]:.4g} ms, accuracy {100 * final:.1f} % on images not used before"
    )
    draw(
        options.output,
        of_tried,
        found,
        limit_ms,
        f"SPOS on digits, {options.predictor}",
        (of_tried[best], 100 * found[best]),
    )
    print(f"picture: {options.output}")


if __name__ == "__main__":
    main()
