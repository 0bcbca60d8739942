"""Writes predictor files (docs/predictor-format.md) and the golden rows that tests/unit/test_network.c checks."""

import json
import struct
import zlib

import numpy as np
import torch

from .network import CORRECTION_LIMIT

LAYOUT_VERSION = 1
BLOCK = 32  # outputs of a hidden layer whose weights lie side by side
FORMAT_VERSION = 1


def aligned(data):
    return data + bytes(-len(data) % 16)


def text_field(text, size):
    raw = text.encode("ascii")
    if len(raw) >= size:
        raise ValueError(f"'{text}' is longer than the {size - 1} characters the format has for it")
    return raw.ljust(size, b"\0")


def floats(array):
    return np.ascontiguousarray(array, "<f4").tobytes()


def layer_bytes(weight, bias):
    """Biases, then weights: [block][input][output of the block], for the last layer [input]; each padded to 16 bytes."""
    outputs, inputs = weight.shape
    if outputs > 1:
        weight = weight.reshape(outputs // BLOCK, BLOCK, inputs).transpose(0, 2, 1)
    return aligned(floats(bias)) + aligned(floats(weight))


def network_layers(network, ramps):
    """Weights and biases in double precision. The first layer takes ramps as they are: what training normalises them with
    becomes part of it."""
    layers = [
        (layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy())
        for layer in network
        if isinstance(layer, torch.nn.Linear)
    ]
    weight, bias = layers[0]
    first = weight.shape[1] - len(ramps)
    scaled = weight[:, first:] * np.array([ramp.scale for ramp in ramps])
    layers[0] = np.concatenate([weight[:, :first], scaled], 1), bias - scaled @ np.array([ramp.mean for ramp in ramps])
    return layers


def feature_tolerance(values):
    """How far beyond what was measured a feature may lie: 5 % of its span, for logarithms at most a factor of 1.1."""
    return min(0.05 * float(values.max() - values.min()), np.log(1.1))


def network_section(network, evidence):
    table, measured = evidence.table, set(evidence.measured.tolist())
    features, types = len(table.features), len(table.types)
    values, type_of = table.values[evidence.used], table.type_of[evidence.used]
    networks = [network_layers(net, evidence.ramps) for net in (network.shared, *network.own.values())]
    index_of = {int(key): i + 1 for i, key in enumerate(network.own)}
    cost = torch.exp(network.log_cost.detach().double()).numpy()

    parts = [
        struct.pack(
            "<4Idf9I",
            LAYOUT_VERSION,
            features,
            types,
            len(networks),
            float(torch.exp(network.log_constant.detach().double())),
            CORRECTION_LIMIT,
            len(evidence.ramps),
            *[0] * 8,
        )
    ]
    rows = b""
    for i, name in enumerate(table.features):
        column = values[:, i]
        rows += text_field(name, 44) + struct.pack(
            "<5f", evidence.mean[i], evidence.scale[i], column.min(), column.max(), feature_tolerance(column)
        )
    parts.append(rows)
    parts.append(b"".join(struct.pack("<I2fI", ramp.feature, ramp.low, ramp.slope, 0) for ramp in evidence.ramps))
    rows = b""
    for t in range(types + 1):
        name = table.types[t] if t < types else ""
        rows += text_field(name, 32) + struct.pack("<4d4I", *cost[t], t in measured, index_of.get(t, 0), 0, 0)
    parts.append(rows)
    low, high = np.zeros((types, features)), np.zeros((types, features))
    for t in measured:
        low[t], high[t] = values[type_of == t].min(0), values[type_of == t].max(0)
    parts += [floats(low), floats(high)]
    rows = b""
    for net in networks:
        widths = [len(bias) for _, bias in net]
        rows += struct.pack("<8I", len(widths), *widths, *[0] * (7 - len(widths)))
    parts.append(rows)
    parts.append(floats(network.type_bias.detach().double().numpy() + networks[0][0][1]))
    parts += [b"".join(layer_bytes(*layer) for layer in net) for net in networks]
    return b"".join(aligned(part) for part in parts)


def container(name, version, card, rules, data):
    info = json.dumps({"name": name, "version": version, "kind": "network", "card": card}).encode()
    sections = [(b"info", info), (b"rules", rules), (b"data", data)]
    at = 32 + 32 * len(sections)
    entries, bodies = b"", b""
    for title, body in sections:
        entries += title.ljust(16, b"\0") + struct.pack("<2Q", at, len(body))
        bodies += aligned(body)
        at += len(aligned(body))
    tail = entries + bodies
    return struct.pack("<8s2IQ2I", b"NNMETER", FORMAT_VERSION, len(sections), at, zlib.crc32(tail), 0) + tail


def golden_text(network, evidence, count, seed=0):
    """{"features": [names], "kernels": [[type, [work], [features], milliseconds, milliseconds as an unknown type]]} for
    rows that training saw, computed in double precision."""
    table = evidence.table
    rows = np.sort(np.random.default_rng(seed).choice(evidence.used, count, replace=False))
    values = torch.from_numpy(evidence.inputs(table.values[rows].astype(np.float64)))
    work = evidence.work[rows].double()
    network = network.double()
    with torch.no_grad():
        known = network(values, work, table.type_of[rows]).tolist()
        unknown = network(values, work, np.full(len(rows), len(table.types))).tolist()
    network.float()
    kernels = [
        json.dumps(
            [
                table.types[table.type_of[row]],
                table.work[row].tolist(),
                [float(f"{x:.9g}") for x in table.values[row]],
                float(f"{one:.10g}"),
                float(f"{other:.10g}"),
            ]
        )
        for row, one, other in zip(rows, known, unknown, strict=True)
    ]
    return f'{{"features": {json.dumps(table.features)},\n "kernels": [\n' + ",\n".join(kernels) + "\n]}\n"
