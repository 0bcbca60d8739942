#!/usr/bin/env python3
"""One-shot search with the latency in the loss, in the manner of ProxylessNAS: each layer has a probability for each of its
blocks; weights and probabilities are learned in turn, the latter from the error on other images and the expected latency,
which is differentiable.

usage: proxyless.py [--predictor NAME] [--limit SHARE] [--epochs N] [--output pareto.png]

--limit: as a share of the expected latency at the start, where all blocks are as probable.
"""

import argparse

import numpy as np
import torch
from digits import Supernet, accuracy, batches, data, draw, fit_statistics, with_ends
from nn_meter.search import LatencyTable
from torch import nn

WEIGHT = 1.0  # of the latency beyond the limit, as a logarithm, beside the cross entropy


def gates(scores):
    """One block in the forward pass, all of them in the backward pass: straight through the Gumbel softmax."""
    return [nn.functional.gumbel_softmax(score, tau=1.0, hard=True) for score in scores]


def expected_ms(table, scores):
    ends = torch.ones(1, dtype=torch.float64)
    return table.expected([ends, *[torch.softmax(score, 0) for score in scores], ends])


def search(net, table, scores, limit_ms, parts, epochs, random):
    """Yields the expected latency after each epoch."""
    (images, labels), (other_images, other_labels) = parts
    weights = torch.optim.Adam(net.parameters(), 3e-3)
    architecture = torch.optim.Adam(scores, 2e-2)
    for _ in range(epochs):
        net.train()
        pairs = zip(batches(images, labels, random), batches(other_images, other_labels, random, 40))
        for (part, wanted), (other, other_wanted) in pairs:
            loss = nn.functional.cross_entropy(net(part, [g.detach() for g in gates(scores)]), wanted)
            weights.zero_grad()
            loss.backward()
            weights.step()
            over = torch.relu(torch.log(expected_ms(table, scores) / limit_ms))
            loss = nn.functional.cross_entropy(net(other, gates(scores)), other_wanted) + WEIGHT * over
            architecture.zero_grad()
            loss.backward()
            architecture.step()
        yield float(expected_ms(table, scores).detach())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictor", default="cortexA76cpu_tflite21")
    parser.add_argument("--limit", type=float, default=0.7)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--output", default="proxyless.png")
    options = parser.parse_args()
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    training, choosing, judging = data()
    net = Supernet()
    table = LatencyTable(net.space(), options.predictor)
    scores = [torch.zeros(len(layer), requires_grad=True) for layer in net.layers]
    start_ms = float(expected_ms(table, scores).detach())
    limit_ms = options.limit * start_ms
    print(f"expected latency at the start {start_ms:.4g} ms, limit {limit_ms:.4g} ms on {options.predictor}")
    for epoch, latency_ms in enumerate(
        search(net, table, scores, limit_ms, (training, choosing), options.epochs, random), 1
    ):
        if epoch % 10 == 0:
            print(f"epoch {epoch}: expected latency {latency_ms:.4g} ms")

    chosen = [int(score.argmax()) for score in scores]
    drawn = [[int(torch.multinomial(torch.softmax(score.detach(), 0), 1)) for score in scores] for _ in range(40)]
    tried = np.unique(np.array([chosen, *drawn], np.int32), axis=0)
    found = []
    for candidate in tried:
        fit_statistics(net, candidate, training[0])
        found.append(accuracy(net, candidate, *choosing))
    of_tried = table.latencies(with_ends(tried))
    fit_statistics(net, chosen, training[0])
    latency_ms, final = table.latencies(with_ends([chosen]))[0], accuracy(net, chosen, *judging)
    print(f"chosen {chosen}: {latency_ms:.4g} ms, accuracy {100 * final:.1f} % on images not used before")
    here = (latency_ms, 100 * accuracy(net, chosen, *choosing))
    draw(options.output, of_tried, found, limit_ms, f"Latency in the loss, digits, {options.predictor}", here)
    print(f"picture: {options.output}")


if __name__ == "__main__":
    main()
