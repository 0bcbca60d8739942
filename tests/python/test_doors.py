"""The same network, written by two exporters, is the same kernels and the same latency.

The pairs are those of the exports of torchvision, transformers and Keras that the test data has, weights stripped;
`make doors` makes more of them, with weights (docs/doors.md)."""

import csv
import json
from collections import Counter

import pytest

TOLERANCE = 0.1  # percent of the latency
PREDICTOR = "cortexA76cpu_tflite21"

# Pairs that differ in the file itself: kernels that only one of both files has, and the difference in percent on the device
# where it is largest, as a range. A pair that gets better than that has no place here any more.
EXCEPTIONS = {
    # the exporter dynamo=False computes the mask of the attention in each layer, dynamo=True once; it also looks it up by
    # Gather in a flattened tensor instead of GatherND, and writes two transpositions of the keys as one of another shape
    ("bert_tiny.dynamo", "bert_tiny.ts"): (4, (1.0, 2.0)),
    ("minilm_l6.dynamo", "minilm_l6.ts"): (12, (1.0, 2.0)),
}


def shape_options(row):
    inputs = json.loads(row["input"])
    for name, dims in inputs.items() if isinstance(inputs, dict) else [("input", inputs)]:
        yield "--input-shape"
        yield f"{name}:{'x'.join(map(str, dims))}"


def pairs(rows):
    """Of each network the dynamo export with the other ones, and that of Keras 3 with that of tf_keras."""
    for name in rows:
        network, _, door = name.partition(".")
        if door in ("ts", "dynamo_dyn"):
            yield f"{network}.dynamo", name
        elif name.startswith("k2_"):
            yield name.removeprefix("k2_"), name


def run(nn_meter, *arguments):
    result = nn_meter(*arguments)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def kernels_of(nn_meter, path, options):
    """How often each kernel occurs, by type and features. What is folded into weights may be folded in the file already."""
    shown = run(nn_meter, "inspect", "--stage=features", "--predictor", PREDICTOR, "--json", *options, path)
    return Counter(
        (name.split("#")[0].replace("-bn", ""), tuple(round(value, 4) for value in row))
        for name, row in shown["features"]
    )


def latencies_of(nn_meter, path, options):
    answer = run(nn_meter, "predict", "--predictor", "all", "--json", *options, path)
    return {each["predictor"]: each["latency_ms"] for each in answer["results"]}


@pytest.fixture(scope="module")
def generated(shared):
    """{name: (file, options)}, without what only says that weights are gone."""
    folder = shared / "wild"
    if not (folder / "generated.csv").exists():
        pytest.skip(f"the same network from two exporters: no {folder / 'generated.csv'} (docs/test-data.md)")
    with open(folder / "generated.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {
        row["id"].removesuffix(".frozen_stripped"): (
            next(folder / name for name in row["files"].split() if name.endswith((".onnx", ".pb"))),
            list(shape_options(row)),
        )
        for row in rows
    }


def test_two_exporters_write_the_same_network(nn_meter, generated):
    seen, faults = set(), []
    for pair in pairs(generated):
        first, second = (generated[name] for name in pair)
        ours = [latencies_of(nn_meter, *each) for each in (first, second)]
        percent = max(abs(100 * (ours[1][device] / latency - 1)) for device, latency in ours[0].items())
        kernels = [kernels_of(nn_meter, *each) for each in (first, second)]
        apart = max((kernels[0] - kernels[1]).total(), (kernels[1] - kernels[0]).total())
        seen.add(pair)
        if pair in EXCEPTIONS:
            expected, (least, most) = EXCEPTIONS[pair]
            if apart != expected or not least <= percent <= most:
                faults.append(f"{pair}: {apart} kernels, {percent:.3f} %: not as EXCEPTIONS says")
        elif apart or percent > TOLERANCE:
            faults.append(f"{pair}: {apart} kernels differ, {percent:.3f} %: {list(kernels[1] - kernels[0])[:2]}")
    assert not faults
    assert len(seen) >= 15 and set(EXCEPTIONS) <= seen
