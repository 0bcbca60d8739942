"""python repeat.py FOLDER COUNT LEAST [search]: everything that takes or gives memory, COUNT times each.

FOLDER has small.onnx. Prints a line of JSON, {kind: bytes by which the process grew for each prediction}: the memory that is
resident after COUNT calls less that after as many calls to warm up. What a leak takes it takes each time, what an allocator
keeps for itself it does not: where it is more than LEAST, the calls are made again, and the least growth counts.
Imports nothing but nn_meter, so that a leak is no other package's; with "search" also what needs NumPy.
"""

import gc
import json
import pickle
import sys
from array import array
from itertools import cycle, islice
from pathlib import Path

import nn_meter
from nn_meter import _core

CPU = "cortexA76cpu_tflite21"
MANY = 50  # models that predict_many is given at a time
ROUNDS = 3
folder, count, least = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])

nn_meter.logger.setLevel("WARNING")
path = folder / "small.onnx"
data = path.read_bytes()
graph = nn_meter.model_file_to_graph(path, "onnx")
predictor = nn_meter.load_latency_predictor(CPU)
model = nn_meter.Model(path)
rules = nn_meter.Rules(predictor.predictor.rules)


def damaged_files():
    """What is refused at every stage: cut anywhere, no model at all, cyclic and contradictory graphs, not there."""
    yield from (data[:size] for size in range(1, len(data), 7))
    broken = {name: dict(node, inbounds=["nobody"] if node["inbounds"] else []) for name, node in graph.items()}
    for number, text in enumerate((b"{", b"[1, 2]", b"\x80\x04.", json.dumps(broken).encode())):
        file = folder / f"damaged{number}"
        file.write_bytes(text)
        yield from (file, text)
    yield folder / "gone.onnx"


damaged = list(damaged_files())


def refused(source):
    try:
        predictor.predict(source, None)
    except nn_meter.Error as error:
        return str(error)
    return ""  # a file that is cut behind its nodes is a model


def refused_arguments():
    for call in (
        lambda: nn_meter.Predictor("toaster"),
        lambda: nn_meter.Predictor(b"NNMP damaged"),
        lambda: nn_meter.Rules(b"{", "rules.json"),
        lambda: nn_meter.Model(path, format="caffe"),
        lambda: nn_meter.Model(path, input_shapes={"nobody": (1, 2)}),
        lambda: nn_meter.Model(path, input_shapes={"x": (1, "two")}),
        lambda: model.inspect("kernels", predictor.predictor, compat="older"),
        lambda: nn_meter.Table(rules).add(model, 99),
        lambda: _core.search_sums(b"\1\0\0\0", b"", b"", b"", 0.0),
        lambda: _core.compat_rows(b"[{}]"),
    ):
        try:
            call()
        except (nn_meter.Error, TypeError, ValueError, IndexError):
            continue
        raise AssertionError("something wrong was not refused")


def many():
    models = list(islice(cycle([path, data, json.dumps(graph).encode(), damaged[0]]), MANY))
    found = list(predictor.predict_many(models, None, jobs=2, keep_going=True))
    assert len(found) == MANY


def table():
    kernels = nn_meter.Table(rules)
    kernels.add(model)
    kernels.add(model, 0)
    rows, entries = kernels.rows(), kernels.entries()
    milliseconds, _, _ = predictor.predictor.estimate(rows["types"], rows["work"], rows["features"])
    assert len(entries["models"]) == 4 * (1 + len(milliseconds) // 8)


# a space of two layers with one state and two choices each
candidates, sizes = array("i", [0, 1, 1, 0]).tobytes(), array("i", [1, 2, 1, 2]).tobytes()
costs, states = array("d", [1, 2, 3, 4]).tobytes(), array("i", [0] * 4).tobytes()


def stages():
    model.kernels(rules)
    model.to_ir()
    for stage in ("graph", "shapes", "kernels", "features"):
        model.inspect(stage, predictor.predictor)


def search():
    """A table of two layers, whose six kernels are predicted, and networks of it."""
    from nn_meter.search import LatencyTable, Space

    shape = [8, 8, 4]
    first = [[["input", [], shape], ["conv", [0], 4, size, 1, "SAME"]] for size in (1, 3)]
    space = Space([first, [[["input", [], shape], ["relu", [0]]], None]], shape)
    latencies = LatencyTable(space, predictor.predictor, checked=0).latencies([[0, 0], [1, 0], [1, 1]])
    assert latencies.min() > 0


errors = cycle(damaged)
KINDS = {  # kind: (what is done, how many predictions that is)
    "path": (lambda: predictor.predict(path, "onnx"), 1),
    "bytes": (lambda: predictor.predict(data, "onnx"), 1),
    "dictionary of IR": (lambda: predictor.predict(graph, "nnmeter-ir"), 1),
    "detail": (lambda: predictor.predict(data, "onnx", detail=True)._repr_html_(), 1),
    "as nn-Meter 2.0": (lambda: predictor.predictor.predict(model, "nn-meter-2.0"), 1),
    "damaged files": (lambda: refused(next(errors)), 1),
    "predict_many": (many, MANY),
    "table of kernels": (table, 1),
    "search table": (lambda: _core.search_sums(candidates, sizes, costs, states, 0.5), 1),
    "stages": (stages, 5),
    "wrong arguments": (refused_arguments, 10),
    "predictors": (lambda: (pickle.loads(pickle.dumps(nn_meter.Predictor(CPU))), nn_meter.predictors(home=folder)), 3),
}
if sys.argv[4:] == ["search"]:
    KINDS["search"] = search, 6


def resident():
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def grown(call, times):
    """Bytes by which the process grew."""
    before = resident()
    for _ in range(times):
        call()
    return resident() - before


def main():
    growth = {}
    for kind, (call, predictions) in KINDS.items():
        times = -(-count // predictions)
        grown(call, times)  # to warm up
        for _ in range(ROUNDS):
            growth[kind] = min(growth.get(kind, float("inf")), grown(call, times) / count)
            if growth[kind] < least:
                break
    print(json.dumps(growth))


main()
