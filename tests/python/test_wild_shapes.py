"""Every tensor of every real model has the shape that the runtime recorded, however the file says it."""

import csv
import json
import lzma


def read_catalog(path, wanted):
    with open(path, newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if wanted(row)]


def shape_options(row):
    """--input-shape for each input of the catalog; a scalar has nothing to give."""
    for name, dims in json.loads(row["input"]).items():
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


def test_wild(nn_meter, shared, wild_models):
    rows = read_catalog(shared / "wild" / "catalog.csv", lambda row: row["format"] == "onnx")
    assert len(rows) >= 30
    found = [differences(nn_meter, shared, row, wild_models / "onnx" / f"{row['id']}.onnx") for row in rows]
    assert not list(filter(None, found))


def test_generated(nn_meter, shared):
    rows = read_catalog(shared / "wild" / "generated.csv", lambda row: ".onnx" in row["files"])
    assert len(rows) >= 25
    found = []
    for row in rows:
        path = next(name for name in row["files"].split() if name.endswith(".onnx"))
        found.append(differences(nn_meter, shared, row, shared / "wild" / path))
    assert not list(filter(None, found))
