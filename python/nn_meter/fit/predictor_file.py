"""Writes predictor files (docs/predictor-format.md), reads weights back from them, and writes the golden rows that
tests/unit/test_network.c checks."""

import json
import struct
import zlib
from dataclasses import dataclass

import numpy as np
import torch

from .errors import FitError
from .interval import Interval
from .network import CORRECTION_LIMIT, WORK_TERMS, KernelNetwork
from .ranges import Ranges
from .training import Ramp

LAYOUT_VERSION = 2
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


def network_section(network, evidence, interval=None):
    """The data section."""
    table, ranges = evidence.table, evidence.ranges
    interval = interval or Interval()
    features, types = len(table.features), len(table.types)
    networks = [network_layers(net, evidence.ramps) for net in network.networks()]
    index_of = {int(key): i + 1 for i, key in enumerate(network.own)}
    cost = torch.exp(network.log_cost.detach().double()).numpy()

    parts = [
        struct.pack(
            "<4IdfI3f5I",
            LAYOUT_VERSION,
            features,
            types,
            len(networks),
            float(torch.exp(network.log_constant.detach().double())),
            CORRECTION_LIMIT,
            len(evidence.ramps),
            interval.low,
            interval.high,
            interval.doubt,
            *[0] * 5,
        )
    ]
    rows = b""
    for i, name in enumerate(table.features):
        rows += text_field(name, 44) + struct.pack(
            "<5f",
            evidence.mean[i],
            evidence.scale[i],
            ranges.overall_low[i],
            ranges.overall_high[i],
            ranges.tolerance[i],
        )
    parts.append(rows)
    parts.append(b"".join(struct.pack("<I2fI", ramp.feature, ramp.low, ramp.slope, 0) for ramp in evidence.ramps))
    rows = b""
    for t in range(types + 1):
        name = table.types[t] if t < types else ""
        rows += text_field(name, 32) + struct.pack("<6d4I", *cost[t], t in ranges.measured, index_of.get(t, 0), 0, 0)
    parts.append(rows)
    parts += [floats(ranges.low), floats(ranges.high)]
    rows = b""
    for net in networks:
        widths = [len(bias) for _, bias in net]
        rows += struct.pack("<8I", len(widths), *widths, *[0] * (7 - len(widths)))
    parts.append(rows)
    parts.append(floats(network.bias.detach().double().numpy() + networks[0][0][1]))
    parts += [b"".join(layer_bytes(*layer) for layer in net) for net in networks]
    return b"".join(aligned(part) for part in parts)


def with_interval(section, interval):
    """The section with another interval."""
    changed = bytearray(section)
    for name in ("low", "high", "doubt"):
        struct.pack_into("<f", changed, HEADER.fields[name][1], getattr(interval, name))
    return bytes(changed)


# ---------------------------------------------------------------- reading back


@dataclass
class Loaded:
    """A predictor as training left it, in the order of this library's features and kernel types."""

    network: KernelNetwork
    mean: np.ndarray
    scale: np.ndarray
    ramps: list
    ranges: Ranges
    interval: Interval


class _Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, dtype, count):
        array = np.frombuffer(self.data, dtype, count, self.at)
        self.at += -(-array.nbytes // 16) * 16
        return array


FEATURE = np.dtype(
    [("name", "S44"), ("mean", "<f4"), ("scale", "<f4"), ("low", "<f4"), ("high", "<f4"), ("tolerance", "<f4")]
)
RAMP = np.dtype([("feature", "<u4"), ("low", "<f4"), ("slope", "<f4"), ("zero", "<u4")])
TYPE = np.dtype(
    [("name", "S32"), ("cost", "<f8", WORK_TERMS), ("measured", "<u4"), ("network", "<u4"), ("zero", "<u4", 2)]
)
HEADER = np.dtype(
    [("version", "<u4"), ("features", "<u4"), ("types", "<u4"), ("networks", "<u4"), ("constant", "<f8")]
    + [("limit", "<f4"), ("ramps", "<u4")]
    + [("low", "<f4"), ("high", "<f4"), ("doubt", "<f4"), ("zero", "<u4", 5)]
)
SHAPE = np.dtype([("layers", "<u4"), ("widths", "<u4", 7)])


def _take_layers(cursor, shape, inputs):
    """[(weight [output, input], bias)] of one network."""
    layers = []
    for width in shape["widths"][: shape["layers"]].tolist():
        bias = cursor.take("<f4", width)
        weight = cursor.take("<f4", width * inputs)
        if width > 1:
            weight = weight.reshape(width // BLOCK, inputs, BLOCK).transpose(0, 2, 1)
        layers.append((weight.reshape(width, inputs), bias))
        inputs = width
    return layers


def _set_layers(network, layers, columns):
    linear = [layer for layer in network if isinstance(layer, torch.nn.Linear)]
    for i, (layer, (weight, bias)) in enumerate(zip(linear, layers)):
        layer.weight.data = torch.from_numpy(np.array(weight[:, columns] if i == 0 else weight))
        layer.bias.data = torch.from_numpy(bias.copy())


def read_predictor(predictor, features, types):
    """read_section() of an nn_meter.Predictor of kind network; faults name it."""
    try:
        return read_section(predictor.data, features, types)
    except FitError as fault:
        raise FitError(f"{predictor.name}: cannot be calibrated: {fault}; start from another predictor") from None


def read_section(data, features, types):
    """Loaded, from the data section of a predictor that the library opened (so every number in it is in order).
    features, types: the library's names. Raises FitError for networks that training cannot go on with."""
    cursor = _Cursor(data)
    header = cursor.take(HEADER, 1)[0]
    if header["limit"] != CORRECTION_LIMIT:
        raise FitError(f"its correction limit is {header['limit']}, not {CORRECTION_LIMIT}: not made by nn-meter fit")
    file_features = cursor.take(FEATURE, header["features"])
    ramps = cursor.take(RAMP, header["ramps"])
    file_types = cursor.take(TYPE, header["types"] + 1)
    count = int(header["types"]) * int(header["features"])
    low = cursor.take("<f4", count).reshape(header["types"], -1)
    high = cursor.take("<f4", count).reshape(header["types"], -1)
    shapes = cursor.take(SHAPE, header["networks"])
    if any(shape["layers"] != 3 or shape["widths"][0] != shape["widths"][1] for shape in shapes):
        raise FitError("its networks are not of two equal hidden layers: not made by nn-meter fit")
    biases = cursor.take("<f4", len(file_types) * int(shapes[0]["widths"][0])).reshape(len(file_types), -1)
    inputs = len(file_features) + len(ramps)
    networks = [_take_layers(cursor, shape, inputs) for shape in shapes]

    column_of = {name.decode(): i for i, name in enumerate(file_features["name"])}
    order = [column_of[name] for name in features]  # the library has checked that they are the same
    columns = order + list(range(len(order), inputs))
    place_of = {name.decode(): i for i, name in enumerate(file_types["name"][:-1])}
    rows = [place_of.get(name, len(file_types) - 1) for name in types] + [len(file_types) - 1]
    own = {t: networks[file_types["network"][row]] for t, row in enumerate(rows) if file_types["network"][row]}
    network = KernelNetwork(
        inputs, types, {t: len(layers[0][1]) for t, layers in own.items()}, int(shapes[0]["widths"][0])
    )
    with torch.no_grad():
        _set_layers(network.shared, networks[0], columns)
        for t, layers in own.items():
            _set_layers(network.own[str(t)], layers, columns)
        network.type_bias.copy_(torch.from_numpy(biases[rows] - networks[0][0][1]))
        cost = np.maximum(file_types["cost"][rows], np.finfo(np.float32).tiny)
        network.class_bias.zero_()
        network.type_cost.copy_(torch.from_numpy(np.log(cost)))
        network.log_constant.fill_(float(np.log(max(header["constant"], 1e-12))))
    measured = {t for t, row in enumerate(rows[:-1]) if row < len(low) and file_types["measured"][row]}
    bounds = np.zeros((2, len(types), len(features)))
    for t in measured:
        bounds[:, t] = low[rows[t]][order], high[rows[t]][order]
    ranges = Ranges(measured, *bounds, *(file_features[name][order] for name in ("low", "high", "tolerance")))
    return Loaded(
        network,
        file_features["mean"][order],
        file_features["scale"][order],
        [Ramp(order.index(ramp["feature"]), ramp["low"], ramp["slope"]) for ramp in ramps],
        ranges,
        Interval(*(float(header[name]) for name in ("low", "high", "doubt"))),
    )


# ---------------------------------------------------------------- the whole file


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
        for row, one, other in zip(rows, known, unknown)
    ]
    return f'{{"features": {json.dumps(table.features)},\n "kernels": [\n' + ",\n".join(kernels) + "\n]}\n"
