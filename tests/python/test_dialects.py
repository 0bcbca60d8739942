"""The same network written by different exporters is the same work: same kernels, same features, same latency.

300 networks of all benchmark families, each as TensorFlow's exporter writes it (asymmetric pads), with automatic padding,
as torch writes it (batch normalisation folded, other spellings of hard swish, squeeze-and-excite, pooling, splits), and
as the benchmark's own JSON. What may differ is named in MAY_DIFFER."""

import importlib.util
import json
import lzma
import random
import re
from pathlib import Path

import pytest

onnx = pytest.importorskip("onnx", reason="dialects: the onnx package is missing; pip install onnx")

NETWORKS = 300
SEED = 20  # fixes the sample
DIALECTS = ["tf2onnx", "autopad", "torch"]
# Symmetric padding may reach over an edge that asymmetric padding leaves alone.
MAY_DIFFER = {"padded"}
DEVICES = sorted(card.parent.name for card in (Path(__file__).resolve().parents[2] / "devices").glob("*/device.json"))
FAMILY = re.compile(r'"family": ?"(\w+)"')


@pytest.fixture(scope="module")
def exporter(shared):
    if not (shared / "bench" / "graphs.jsonl.xz").exists():
        pytest.skip(f"dialects: {shared / 'bench'} is missing (docs/test-data.md)")
    spec = importlib.util.spec_from_file_location("bench2onnx", shared / "bench" / "bench2onnx.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sample(lines):
    """NETWORKS lines, as many of each family as possible, the same ones each time."""
    families = {}
    for line in lines:
        families.setdefault(FAMILY.search(line[:200]).group(1), []).append(line)
    chance = random.Random(SEED)
    for members in families.values():
        chance.shuffle(members)
    rounds = (members[i : i + 1] for i in range(NETWORKS) for members in families.values())
    return [line for turn in rounds for line in turn][:NETWORKS], families


@pytest.fixture(scope="module")
def files(shared, exporter, tmp_path_factory):
    """{network: {"benchmark" or dialect: file}}"""
    folder = tmp_path_factory.mktemp("dialects")
    with lzma.open(shared / "bench" / "graphs.jsonl.xz", "rt") as lines:
        chosen, families = sample(lines)
    assert len(families) == 13
    made = {}
    for line in chosen:
        network = json.loads(line)
        name = network["id"]
        made[name] = {"benchmark": folder / f"{name}.json"}
        made[name]["benchmark"].write_text(line)
        for dialect in DIALECTS:
            made[name][dialect] = folder / f"{name}.{dialect}.onnx"
            onnx.save(exporter.build(json.loads(line), dialect), made[name][dialect])
    return made


def differences(ours, theirs):
    """What tells two lists of kernels with their features apart, in words."""
    names = ours["names"]
    mine = [row for _, row in ours["features"]]
    other = [row for _, row in theirs["features"]]
    if len(mine) != len(other):
        yield f"{len(mine)} and {len(other)} kernels"
    for (kernel, a), (_, b) in zip(ours["features"], theirs["features"], strict=False):
        for name, x, y in zip(names, a, b, strict=True):
            if abs(x - y) > 1e-5 and name not in MAY_DIFFER:
                yield f"{kernel}: {name} {x:g} and {y:g}"


def inspect(nn_meter, stage, device, paths):
    result = nn_meter("inspect", f"--stage={stage}", "--json", "--predictor", device, *paths)
    assert result.returncode == 0, result.stderr
    decoder, objects, text = json.JSONDecoder(), [], result.stdout
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        objects.append(value)
        text = text[end:]
    assert len(objects) == len(paths)
    return objects


@pytest.mark.parametrize("device", DEVICES)
def test_kernels_and_features_agree(nn_meter, files, device):
    faults = []
    for name, paths in files.items():
        kernels = inspect(nn_meter, "kernels", device, paths.values())
        types = [[kernel["predicted_as"] for kernel in one["kernels"]] for one in kernels]
        features = inspect(nn_meter, "features", device, paths.values())
        for dialect, its_types, its_features in zip(paths, types, features, strict=True):
            if its_types != types[0]:
                faults.append(f"{name}, {dialect}: other kernel types")
            faults += [f"{name}, {dialect}: {text}" for text in differences(features[0], its_features)]
    assert not faults, "\n".join(faults[:20])


@pytest.mark.parametrize("device", DEVICES)
def test_latencies_agree(nn_meter, files, device):
    """Within 1 %; the file's name tells network and dialect."""
    folder = next(iter(files.values()))["benchmark"].parent
    result = nn_meter("predict", "--predictor", device, "--jsonl", folder, timeout=600)
    assert result.returncode == 0, result.stderr
    latency = {}
    for line in result.stdout.splitlines():
        one = json.loads(line)
        latency[one["model"].rsplit("/", 1)[-1]] = one["latency_ms"]
    faults = []
    for name, paths in files.items():
        expected = latency[paths["benchmark"].name]
        assert expected > 0
        for dialect in DIALECTS:
            ours = latency[paths[dialect].name]
            if abs(ours / expected - 1) > 0.01:
                faults.append(f"{name}, {dialect}: {ours:.4f} ms, as benchmark graph {expected:.4f} ms")
    assert not faults, "\n".join(faults[:20])
