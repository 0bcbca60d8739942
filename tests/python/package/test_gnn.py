"""The benchmark as graphs for graph neural networks: what nn-Meter 2.0 made of the same files."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import nn_meter
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from nn_meter.dataset import gnn_dataloader  # noqa: E402 torch comes first
from nn_meter.dataset.gnn_dataloader import GNNDataloader, GNNDataset, GraphBatch  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]
OLD = ROOT / ".venv-nn-meter-2.0" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
CPU, GPU = "cortexA76cpu_tflite21", "adreno640gpu_tflite21"


def node(type, inbounds, outbounds, shape, **attributes):
    return {
        "inbounds": inbounds,
        "attr": {"type": type, "output_shape": [shape] if shape else [], "attr": attributes},
        "outbounds": outbounds,
    }


def network(channels, size, is_depthwise):
    """In the words of TensorFlow, as the benchmark has them."""
    half = size // 2
    kind, weights = (
        ("DepthwiseConv2dNative", [3, 3, channels, 1]) if is_depthwise else ("Conv2D", [5, 5, channels, channels])
    )
    return {
        "in": node("Placeholder", [], ["conv"], [1, size, size, 3]),
        "conv": node(
            "Conv2D", ["in", "w"], ["relu"], [1, half, half, channels], weight_shape=[3, 3, 3, channels], strides=[2, 2]
        ),
        "relu": node("Relu", ["conv"], ["second", "join"], [1, half, half, channels]),
        "second": node(kind, ["relu"], ["join"], [1, half, half, channels], weight_shape=weights, strides=[1, 1]),
        "join": node("ConcatV2", ["relu", "second"], ["mean"], [1, half, half, 2 * channels]),
        "mean": node("Mean", ["join"], ["fc"], [1, 2 * channels]),
        "fc": node("MatMul", ["mean"], ["end"], [1, 10]),
        "end": node("Identity", ["fc"], [], []),
    }


def write_data_set(folder):
    folder.mkdir(parents=True)
    for family, count in (("first", 10), ("second", 6), ("third", 1)):
        lines = []
        for i in reversed(range(count)):
            graph = network(8 * (i + 1), 32 << (i % 3), is_depthwise=family == "second")
            gpu = "" if i % 2 else 1.5 * i + 1
            lines.append(json.dumps({"id": f"{family}_{i}", CPU: f"{i + 0.25}", GPU: gpu, "graph": graph}))
        (folder / f"{family}.jsonl").write_text("\n".join(lines) + "\n")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NN_METER_HOME", str(tmp_path / ".nn_meter"))
    write_data_set(tmp_path / ".nn_meter" / "data" / "dataset")
    return tmp_path / ".nn_meter"


def test_parts(home):
    train, rest = GNNDataset(), GNNDataset(train=False, split_ratio=0.7)
    assert train.name_list == [f"first_{i}" for i in range(8)] + [f"second_{i}" for i in range(4)]
    assert rest.name_list == ["first_7", "first_8", "first_9", "second_5"], (
        "the end of each family, rounded down; none for nothing"
    )
    assert len(train) == 12 and train.latencies["first_3"] == 3.25
    assert {name for name in GNNDataset(device=GPU).name_list} == {f"first_{i}" for i in (0, 2, 4, 6)} | {
        "second_0",
        "second_2",
    }


def test_matrices(home):
    dataset = GNNDataset(split_ratio=1.0)
    (adjacency, attributes), latency_ms, types = dataset[0]
    types = sorted(types)
    assert types == sorted(
        ["Conv2D", "ConcatV2", "DepthwiseConv2dNative", "Identity", "MatMul", "Mean", "Placeholder", "Relu"]
    )
    assert latency_ms == 0.25 and adjacency.dtype == torch.int32 and attributes.dtype == torch.float32
    assert adjacency.shape == (8, 8) and attributes.shape == (8, 8 + 6)
    row = dataset.nodename2id["first_0"]
    assert dataset.id2nodename["first_0"][row["join"]] == "join"
    readers = {"in": "conv", "conv": "relu", "second": "join", "join": "mean", "mean": "fc", "fc": "end"}
    edges = {(row[a], row[b]) for a, b in [*readers.items(), ("relu", "second"), ("relu", "join")]}
    assert set(map(tuple, adjacency.nonzero().tolist())) == edges | {(i, i) for i in range(8)}
    expected = {
        "in": [0, 0, 0, 0, 0, 0],
        "conv": [3, 8, 16, 16, 3, 2],
        "relu": [8, 8, 16, 16, 0, 0],
        "second": [8, 8, 16, 16, 5, 1],
        "join": [8, 16, 16, 16, 0, 0],  # channels of the first that it reads
        "mean": [16, 16, 0, 0, 0, 0],
        "fc": [16, 10, 0, 0, 0, 0],
        "end": [10, 0, 0, 0, 0, 0],
    }
    for name, numbers in expected.items():
        assert attributes[row[name]][-6:].tolist() == dataset.parse_node("first_0", name).tolist() == numbers
        assert attributes[row[name]][:-6].tolist() == [
            float(t == network(8, 32, False)[name]["attr"]["type"]) for t in types
        ]
    assert pickle.loads(pickle.dumps(dataset))[0][1] == latency_ms, "for the workers of torch's own loader"


def test_batches_without_dgl(home, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "dgl", None)
    dataset = GNNDataset()
    loader = GNNDataloader(dataset, batchsize=4)
    assert f"pip install {gnn_dataloader.DGL}" in capsys.readouterr().out
    assert len(loader) == 12 and isinstance(loader, torch.utils.data.DataLoader)
    batches = list(loader)
    assert [len(latencies) for latencies, _ in batches] == [4, 4, 4]
    latencies, graphs = batches[0]
    assert latencies.tolist() == [0.25, 1.25, 2.25, 3.25] and isinstance(graphs, GraphBatch)
    assert graphs.batch_size == 4 and graphs.batch_num_nodes().tolist() == [8] * 4
    assert graphs.graph_of_nodes().tolist() == sum(([i] * 8 for i in range(4)), [])
    assert (graphs.num_nodes(), graphs.num_edges()) == (32, 4 * (8 + 8))
    (adjacency, attributes), _, _ = dataset[1]
    largest = torch.tensor([1] * len(dataset.op_types) + [6963, 6963, 224, 224, 11, 4])
    assert torch.equal(graphs.ndata["h"][8:16], attributes / largest)
    start, end = graphs.edges()
    mine = (start >= 8) & (start < 16)
    assert torch.equal(torch.stack([start[mine], end[mine]]).T - 8, adjacency.nonzero())
    assert graphs.to("cpu") is graphs


def test_batches_of_dgl(home):
    dgl = pytest.importorskip(
        "dgl", reason="dgl is not installed: only batches without it are tried", exc_type=ImportError
    )
    dataset = GNNDataset()
    latencies, graphs = next(iter(GNNDataloader(dataset, batchsize=4)))
    assert isinstance(graphs, dgl.DGLGraph) and latencies.tolist() == [0.25, 1.25, 2.25, 3.25]
    largest = torch.tensor([1] * len(dataset.op_types) + [6963, 6963, 224, 224, 11, 4])
    matrices = [dataset[i][0] for i in range(4)]
    ours = GraphBatch([a.nonzero().T for a, _ in matrices], [features / largest for _, features in matrices])
    for one, other in zip((*graphs.edges(), graphs.ndata["h"]), (*ours.edges(), ours.ndata["h"])):
        assert torch.equal(one, other)
    assert graphs.batch_size == ours.batch_size and graphs.num_nodes() == ours.num_nodes()
    assert torch.equal(graphs.batch_num_nodes(), ours.batch_num_nodes()) and graphs.num_edges() == ours.num_edges()


def test_shuffled_batches_hold_all_models_in_another_order(home):
    loader = GNNDataloader(GNNDataset(), shuffle=True, batchsize=3)
    orders = [[ms for latencies, _ in loader for ms in latencies.tolist()] for _ in range(6)]
    assert len(set(map(tuple, orders))) > 1 and len(set(map(tuple, map(sorted, orders)))) == 1


def test_a_graph_network_learns_from_batches(home, monkeypatch):
    """In torch alone: sums over neighbours, mean over the nodes of a graph."""
    monkeypatch.setitem(sys.modules, "dgl", None)
    torch.manual_seed(0)
    loader = GNNDataloader(GNNDataset(), batchsize=12)
    first, last = torch.nn.LazyLinear(16), torch.nn.Linear(16, 1)

    def output(graphs):
        start, end = graphs.edges()
        hidden = torch.relu(first(graphs.ndata["h"] * 50))
        hidden = torch.zeros_like(hidden).index_add(0, end, hidden[start])
        sums = torch.zeros(graphs.batch_size, 16).index_add(0, graphs.graph_of_nodes(), hidden)
        return last(sums / graphs.batch_num_nodes()[:, None])[:, 0]

    output(next(iter(loader))[1])
    optimizer = torch.optim.Adam([*first.parameters(), *last.parameters()], lr=0.02)
    losses = []
    for _ in range(80):
        for latencies, graphs in loader:
            loss = (output(graphs) - latencies).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_what_is_wrong_is_said(home):
    with pytest.raises(nn_meter.Error, match="device: 'toaster' has no latency in"):
        GNNDataset(device="toaster")
    folder = home / "data" / "dataset"
    (folder / "fourth.jsonl").write_text('{"id": "x"\n')
    with pytest.raises(nn_meter.Error, match=r"fourth.jsonl: line 1: no JSON"):
        GNNDataset()
    (folder / "fourth.jsonl").write_text("[1]\n")
    with pytest.raises(nn_meter.Error, match=r"fourth.jsonl: no data set of nn-Meter"):
        GNNDataset()
    (folder / "fourth.jsonl").write_text(json.dumps({"id": "x", CPU: 1, "graph": {"a": {}}}) + "\n")
    with pytest.raises(nn_meter.Error, match=r"fourth.jsonl: x: no graph of nn-Meter's IR"):
        GNNDataset(split_ratio=1.0)


def test_without_torch_it_says_so(tmp_path):
    code = "import sys; sys.modules['torch'] = None; import nn_meter.dataset.gnn_dataloader"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert "MissingPackage: torch is not installed; pip install torch" in done.stderr


ASK = """
import json, sys
sys.path[:0] = sys.argv[1:2]
sys.path += sys.argv[2:]  # torch
from nn_meter.dataset.gnn_dataloader import GNNDataset
answer = {}
for options in ({}, {"train": False}, {"device": "adreno640gpu_tflite21", "split_ratio": 0.5}):
    dataset = GNNDataset(**options)
    models = {name: [dataset[i][0][0].tolist(), dataset[i][0][1].tolist(), dataset[i][1]] for i, name in enumerate(dataset.name_list)}
    answer[str(options)] = [dataset.name_list, models, sorted(dataset.op_types)]
print(json.dumps(answer), file=sys.stderr)
"""


def test_the_same_as_nn_meter_2_0(tmp_path):
    """nn-Meter 2.0 itself, with the torch of this environment."""
    if not OLD.exists():
        pytest.skip("nn-Meter 2.0 could not be had from PyPI: its datasets are not compared")
    folder = tmp_path / ".nn_meter"
    write_data_set(folder / "data" / "dataset")
    (folder / "data" / "dataset" / "third.jsonl").unlink()  # it takes one model for both parts
    (folder / "config").mkdir()
    (folder / "config" / "settings.yaml").write_text(f"data_folder: {folder / 'data'}\n")
    (folder / "config" / "predictors.yaml").write_text("[]\n")
    (folder / "config" / "registry.yaml").write_text("{}\n")
    answers = []
    environment = {**os.environ, "HOME": str(tmp_path)}
    environment.pop("NN_METER_HOME", None)
    for python, paths in (
        (OLD.parents[2] / "bin" / "python", [str(OLD), str(Path(torch.__file__).parents[1])]),
        (sys.executable, []),
    ):
        done = subprocess.run(
            [python, "-c", ASK, *paths], capture_output=True, text=True, env=environment, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr[-2000:]
        answers.append(json.loads(done.stderr.splitlines()[-1]))
    assert answers[0] == answers[1]
    assert len(answers[1]["{}"][0]) == 12
