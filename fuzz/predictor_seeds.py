"""Writes the small predictor files from which fuzz_predictor starts: fuzz/corpus/predictor/{forest,network}.nnmeter.

They are made from docs/predictor-format.md alone, so they also check that paper. A network must name the features of
src/features/feature_list.inc: run this again when those change.
"""

import json
import re
import struct
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def fill(data, multiple=16):
    return data + bytes(-len(data) % multiple)


def text(name, size):
    return name.encode().ljust(size, b"\0")


def floats(value, count):
    return fill(struct.pack(f"<{count}f", *[value] * count))


def container(kind, data):
    info = json.dumps({"name": "seed", "version": "1.0", "kind": kind, "card": ""}).encode()
    sections = {"info": info, "rules": b'{"BF_conv_relu": {"obey": true}}', "data": data}
    table = body = b""
    for name, content in sections.items():
        table += text(name, 16) + struct.pack("<QQ", 32 + 32 * len(sections) + len(body), len(content))
        body += fill(content)
    rest = table + body
    return struct.pack("<8sIIQII", b"NNMETER", 1, len(sections), 32 + len(rest), zlib.crc32(rest), 0) + rest


def inner(feature, skip, threshold):
    return struct.pack("<If", feature | skip << 8, threshold)


def leaf(index):
    return struct.pack("<II", 255, index)


def forests():
    first = [inner(0, 2, 16), leaf(0), inner(1, 2, 64), leaf(1), leaf(2)]
    second = [inner(1, 2, 8), leaf(3), leaf(0)]
    kinds = [("bn", 2, [first, second]), ("concat", 5, [second]), ("fc", 4, [[leaf(0)]])]
    table = bodies = b""
    for name, features, trees in kinds:
        nodes = b"".join(node for tree in trees for node in tree)
        starts = [sum(map(len, trees[:i])) for i in range(len(trees) + 1)]
        offset = 8 + 56 * len(kinds) + len(bodies)
        table += text(name, 32) + struct.pack("<IIIIQ", features, len(trees), len(nodes) // 8, 4, offset)
        bodies += fill(struct.pack("<4d", 1, 2, 3, 4) + nodes + struct.pack(f"<{len(starts)}I", *starts), 8)
    return struct.pack("<II", 1, len(kinds)) + table + bodies


def network():
    names = re.findall(
        r'^NNM_FEATURE\(\w+, "(\w+)"', (ROOT / "src/features/feature_list.inc").read_text(), re.MULTILINE
    )
    types = [("conv", 1, 1), ("relu", 1, 0)]  # name, measured, own network
    ramps, width = 2, 32
    data = struct.pack("<IIIIdfI3f20x", 2, len(names), len(types), 2, 0.5, 8, ramps, -0.05, 0.05, 0.3)
    data += b"".join(text(name, 44) + struct.pack("<5f", 1, 0.5, 0, 30, 0.1) for name in names)
    data += b"".join(struct.pack("<I4f12x", i, 2, 0.5, 0.5, 2) for i in range(ramps))
    for name, measured, own in [*types, ("", 0, 0)]:
        data += text(name, 32) + struct.pack("<6dII8x", 1e-9, 1e-9, 1e-9, 1e-9, 1e-9, 1e-3, measured, own)
    data += floats(0, len(types) * len(names)) + floats(30, len(types) * len(names))
    data += struct.pack("<8I", 2, width, 1, 0, 0, 0, 0, 0) * 2
    data += floats(0.01, (len(types) + 1) * width)
    for _ in range(2):
        data += floats(0.01, width) + floats(0.01, (len(names) + ramps) * width) + floats(0.01, 1) + floats(0.01, width)
    return data


if __name__ == "__main__":
    corpus = ROOT / "fuzz/corpus/predictor"
    corpus.mkdir(parents=True, exist_ok=True)
    (corpus / "forest.nnmeter").write_bytes(container("forest", forests()))
    (corpus / "network.nnmeter").write_bytes(container("network", network()))
