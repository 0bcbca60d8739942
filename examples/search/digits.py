"""What both searches share: scikit-learn's digits (1,797 images of 8 x 8), a supernet of blocks, and a picture.

The supernet's blocks are also the search space that nn_meter.search predicts.
"""

import matplotlib
import numpy as np
import torch
from nn_meter.search import Space
from sklearn.datasets import load_digits
from torch import nn

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

SIZE = 32  # images are enlarged, so that the choice of a kernel matters for the latency
DEPTH = 5
KERNELS, EXPANSIONS = (3, 5, 7), (2, 4)


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


def inverted(channels_in, channels_out, kernel, stride, expansion):
    """The block of MobileNetV2."""
    wide = channels_in * expansion
    kind = Residual if stride == 1 and channels_in == channels_out else nn.Sequential
    return kind(
        nn.Conv2d(channels_in, wide, 1, bias=False),
        nn.BatchNorm2d(wide),
        nn.ReLU(),
        nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False),
        nn.BatchNorm2d(wide),
        nn.ReLU(),
        nn.Conv2d(wide, channels_out, 1, bias=False),
        nn.BatchNorm2d(channels_out),
    )


class Supernet(nn.Module):
    """A stem, DEPTH layers with a choice of blocks each, a head. Layers that keep the shape may also be left out."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        layers, channels = [], 8
        for number in range(DEPTH):
            stride = 2 if number in (1, 3) else 1
            wider = channels * stride
            choices = [inverted(channels, wider, k, stride, e) for k in KERNELS for e in EXPANSIONS]
            layers.append(nn.ModuleList(choices + ([nn.Identity()] if stride == 1 else [])))
            channels = wider
        self.layers = nn.ModuleList(layers)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))

    def forward(self, images, candidate):
        """candidate: for each layer the number of a choice, or the weights of all of them (a tensor)."""
        x = self.stem(images)
        for choices, chosen in zip(self.layers, candidate):
            if torch.is_tensor(chosen):
                x = sum(weight * block(x) for weight, block in zip(chosen, choices))
            else:
                x = choices[int(chosen)](x)
        return self.head(x)

    def space(self):
        """The same as nn_meter sees it; the stem and the head are layers with one choice."""
        layers = [[self.stem], *[list(choices) for choices in self.layers], [self.head]]
        return Space(layers, (1, 1, SIZE, SIZE))


def with_ends(candidates):
    """Candidates of the space from those of the layers that are searched."""
    return np.pad(np.asarray(candidates), ((0, 0), (1, 1)))


def data(seed=0):
    """(images, labels) to train with, to choose with, to judge by."""
    digits = load_digits()
    images = torch.from_numpy(digits.images[:, None].astype(np.float32) / 16)
    images = nn.functional.interpolate(images, size=(SIZE, SIZE), mode="bilinear")
    labels = torch.from_numpy(digits.target).long()
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(labels)))
    return [(images[part], labels[part]) for part in (order[:1000], order[1000:1400], order[1400:])]


def batches(images, labels, random, size=50):
    for part in torch.from_numpy(random.permutation(len(labels))).split(size):
        yield images[part], labels[part]


def fit_statistics(net, candidate, images):
    """Batch normalisation's means and variances for one candidate: the supernet's are those of all of them together."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the mean of all batches
    net.train()
    with torch.no_grad():
        for part in images[:500].split(100):
            net(part, candidate)


def accuracy(net, candidate, images, labels):
    net.eval()
    with torch.no_grad():
        return float((net(images, candidate).argmax(1) == labels).float().mean())


def pareto(latencies, accuracies):
    """Indices of the candidates that no other beats in both, the fastest first."""
    best, found = -1.0, []
    for i in np.lexsort((-np.asarray(accuracies), latencies)):
        if accuracies[i] > best:
            best = accuracies[i]
            found.append(int(i))
    return found


def draw(path, latencies, accuracies, limit_ms, title, chosen=None):
    front = pareto(latencies, accuracies)
    figure, axes = plt.subplots(figsize=(7, 4.5))
    axes.scatter(latencies, 100 * np.asarray(accuracies), s=14, color="#9aa5b1", label="candidates")
    axes.plot(
        [latencies[i] for i in front], [100 * accuracies[i] for i in front], "o-", color="#c44e52", label="Pareto front"
    )
    if chosen is not None:
        axes.plot(*chosen, "*", markersize=15, color="#4c72b0", label="chosen")
    axes.axvline(limit_ms, color="#555555", linestyle=":", label=f"limit {limit_ms:.3g} ms")
    axes.set(xlabel="predicted latency, ms", ylabel="accuracy, %", title=title)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
