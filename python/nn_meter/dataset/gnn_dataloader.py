"""The benchmark as graphs for graph neural networks, as nn-Meter 2.0 made them. Needs torch.

for latencies, graphs in GNNDataloader(GNNDataset(train=True, device="cortexA76cpu_tflite21"), batchsize=16):
    graphs.ndata["h"], graphs.edges(), graphs.batch_num_nodes()

`graphs` is a batch of dgl where dgl is installed, as it was, else a GraphBatch.
"""

import json
import os
import random
import sys
from collections.abc import Mapping

from .._core import Error
from ..errors import fault
from ..logs import logger
from ..torch_models import _torch
from ..utils.config_manager import get_user_data_folder
from .bench_dataset import bench_dataset

torch = _torch()

__all__ = ["GNNDataloader", "GNNDataset", "GraphBatch"]

# What a node has behind its type: channels in and out, height and width of the output, kernel size, stride; and their largest
# values in the benchmark, by which they are divided.
LARGEST = (6963, 6963, 224, 224, 11, 4)
CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")
DGL = "dgl==1.1.3"  # the last one that loads beside any torch


class _Computed(Mapping):
    """{model: what is computed of it when asked for}: the matrices of all the models take gigabytes."""

    def __init__(self, graphs, compute):
        self._graphs, self._compute = graphs, compute

    def __getitem__(self, name):
        return self._compute(self._graphs[name])

    def __iter__(self):
        return iter(self._graphs)

    def __len__(self):
        return len(self._graphs)


class _Graph:
    """What is kept of a model: names and types of its nodes, edges [2, edge], numbers [node, 6]."""

    __slots__ = ("edges", "names", "numbers", "types")

    def __init__(self, model):
        self.names = [sys.intern(name) for name in model]
        self.types = [sys.intern(node["attr"]["type"]) for node in model.values()]
        place = {name: i for i, name in enumerate(self.names)}
        edges = [(i, i) for i in range(len(place))]
        for name, node in model.items():  # a node that is not in the graph is a weight
            edges += [(place[other], place[name]) for other in node["inbounds"] if other in place]
            edges += [(place[name], place[other]) for other in node["outbounds"] if other in place]
        self.edges = torch.tensor(sorted(set(edges)), dtype=torch.int32).reshape(-1, 2).T
        self.numbers = torch.tensor([_numbers(model, node) for node in model.values()], dtype=torch.float32)

    def adjacency(self):
        """int32 [node, node], 1 from a node to those that read it and on the diagonal."""
        matrix = torch.zeros(len(self.names), len(self.names), dtype=torch.int32)
        matrix[self.edges[0].long(), self.edges[1].long()] = 1
        return matrix

    def attributes(self, numbers_of_types):
        """float32 [node, type + 6]."""
        types = torch.zeros(len(self.names), len(numbers_of_types))
        types[range(len(self.names)), [numbers_of_types[type] for type in self.types]] = 1
        return torch.cat([types, self.numbers], dim=1)


def _first_shape(node):
    """Of a node's first output; [] where it has none."""
    shapes = (node or {"attr": {}})["attr"].get("output_shape")
    return shapes[0] if shapes else []


def _numbers(model, node):
    """Channels in and out, height, width, kernel size, stride of a node; 0 what it has not."""
    type, out = node["attr"]["type"], _first_shape(node)
    height, width = (out[1], out[2]) if len(out) == 4 else (0, 0)
    if type in CONVOLUTIONS:
        attributes = node["attr"]["attr"]
        size, _, channels_in, channels_out = attributes["weight_shape"]
        return channels_in, channels_out, height, width, size, attributes["strides"][0]
    if not node["inbounds"]:
        return (0,) * 6
    source = next((model[name] for name in node["inbounds"] if name in model), None)
    channels_in, channels_out = (shape[-1] if shape else 0 for shape in (_first_shape(source), out))
    if type == "MatMul":
        return channels_in, channels_out, 0, 0, 0, 0
    return channels_in, channels_out, height, width, 0, 0


def _lines(path):
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise fault(
                        Error, "format", f"{path}: line {number}: no JSON: {error}; download it again"
                    ) from None


def _latency(path, line, device):
    """Milliseconds; None where the device was not measured."""
    try:
        return float(line[device]) if line["id"] and line.get(device) else None
    except (AttributeError, KeyError, TypeError, ValueError):
        raise fault(Error, "format", f"{path}: no data set of nn-Meter; download it again") from None


class GNNDataset(torch.utils.data.Dataset):
    """Models of the benchmark and their latencies on a device: dataset[i] is ((adjacency, attributes), milliseconds, types).

    adjacency: int32 [node, node], 1 from a node to those that read its output and on the diagonal.
    attributes: float32 [node, type + 6]: the node's type as one of `types`, in alphabetical order; then channels in and out,
        height and width of the output, kernel size and stride, 0 where a node has none of it.
    types: the set of types of nodes in this dataset.

    train: the first `split_ratio` of each family by name, or the rest of it.
    device: a device that the data set has latencies of.

    The data set is downloaded by bench_dataset() unless it is there. Raises nn_meter.Error.
    """

    def __init__(self, train=True, device="cortexA76cpu_tflite21", split_ratio=0.8):
        self.train, self.device, self.split_ratio = train, device, split_ratio
        self._graphs, self.op_types, self.opname2id = {}, set(), {}
        self.name_list, self.latencies = [], {}
        self.data_dir = bench_dataset(data_folder=os.path.join(get_user_data_folder(), "dataset"))
        self.load_model_archs_and_latencies(self.data_dir)
        if not self.latencies:
            raise fault(Error, "argument", f"device: {device!r} has no latency in {os.path.dirname(self.data_dir[0])}")
        self.construct_attrs()

    @property
    def adjs(self):
        """{model: adjacency}"""
        return _Computed(self._graphs, _Graph.adjacency)

    @property
    def attrs(self):
        """{model: attributes}"""
        return _Computed(self._graphs, lambda graph: graph.attributes(self.opname2id))

    @property
    def nodename2id(self):
        """{model: {name of a node: its row}}"""
        return _Computed(self._graphs, lambda graph: {name: i for i, name in enumerate(graph.names)})

    @property
    def id2nodename(self):
        """{model: {row: name of the node}}"""
        return _Computed(self._graphs, lambda graph: dict(enumerate(graph.names)))

    def load_model_archs_and_latencies(self, data_dir):
        """data_dir: paths of JSONL files, a family each."""
        for path in data_dir:
            self.load_model(path)

    def load_model(self, fpath):
        """Takes this dataset's part of one file's models. Raises nn_meter.Error."""
        measured = {}
        for line in _lines(fpath):
            latency_ms = _latency(fpath, line, self.device)
            if latency_ms is not None:
                measured[line["id"]] = latency_ms
        names = sorted(measured)
        count = int(len(names) * (self.split_ratio if self.train else 1 - self.split_ratio))
        taken = names[:count] if self.train else names[len(names) - count :]
        self.latencies.update(measured)
        self.name_list.extend(taken)
        taken = set(taken)
        for line in _lines(fpath):
            if line["id"] in taken:
                try:
                    self.parse_model(line["id"], line["graph"])
                except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
                    why = f"{type(error).__name__}: {error}"
                    raise fault(
                        Error, "format", f"{fpath}: {line['id']}: no graph of nn-Meter's IR ({why}); download it again"
                    ) from None

    def construct_attrs(self):
        """Numbers the types of nodes."""
        self.opname2id.update((type, i) for i, type in enumerate(sorted(self.op_types)))

    def parse_node(self, model_name, node_name):
        """float32 [6]: what a node has behind its type in `attributes`."""
        graph = self._graphs[model_name]
        return graph.numbers[graph.names.index(node_name)]

    def parse_model(self, model_name, model_data):
        """Keeps one graph: {node: {"attr", "inbounds", "outbounds"}}."""
        self._graphs[model_name] = graph = _Graph(model_data)
        self.op_types.update(graph.types)

    def __getitem__(self, index):
        name = self.name_list[index]
        return (self.adjs[name], self.attrs[name]), self.latencies[name], self.op_types

    def __len__(self):
        return len(self.name_list)


class GraphBatch:
    """Several graphs as one, without edges between them; what a batch of dgl is called by here, for torch alone.

    ndata: {"h": float32 [node, feature]}.
    """

    def __init__(self, edges, features):
        """edges: int64 [2, edge] of each graph; features: float32 [node, feature] of each."""
        sizes = [len(rows) for rows in features]
        starts = torch.tensor([0, *sizes[:-1]]).cumsum(0)
        self._edges = torch.cat([pairs + start for pairs, start in zip(edges, starts)], dim=1)
        self._sizes = torch.tensor(sizes)
        self.ndata = {"h": torch.cat(list(features))}

    def to(self, device):
        """Moves its tensors to a device; itself."""
        self._edges, self._sizes = self._edges.to(device), self._sizes.to(device)
        self.ndata = {key: value.to(device) for key, value in self.ndata.items()}
        return self

    @property
    def batch_size(self):
        return len(self._sizes)

    def batch_num_nodes(self):
        """int64 [graph]: how many nodes each graph has."""
        return self._sizes

    def num_nodes(self):
        return len(self.ndata["h"])

    def num_edges(self):
        return self._edges.shape[1]

    def edges(self):
        """(int64 [edge], int64 [edge]): from where and to where."""
        return self._edges[0], self._edges[1]

    def graph_of_nodes(self):
        """int64 [node]: the number of the graph that each node belongs to."""
        return torch.arange(self.batch_size, device=self._sizes.device).repeat_interleave(self._sizes)


def _dgl():
    """The package dgl, or None after a message."""
    try:
        import dgl
    except Exception as error:  # one that was built for another torch fails with any of several errors
        why = " ".join(str(error).split())[:120]
        logger.info("dgl cannot be imported (%s): batches are GraphBatch; pip install %s for those of dgl", why, DGL)
        return None
    return dgl


class GNNDataloader(torch.utils.data.DataLoader):
    """Batches of a GNNDataset: (milliseconds as a float32 tensor [graph], batched graph).

    The batch is one of dgl where that is installed, else a GraphBatch. Its `ndata["h"]` are the nodes' attributes, each divided
    by its largest value in the benchmark. len() is the number of models, not that of batches, as it was.
    """

    def __init__(self, dataset, shuffle=False, batchsize=1):
        # All is in memory: torch's own way of loading, its workers and samplers, is not set up.
        self.dataset, self.shuffle, self.batchsize = dataset, shuffle, batchsize
        self.op_num, self.length = len(dataset.op_types), len(dataset)
        self.indexes, self.pos = list(range(self.length)), 0
        self.graphs, self.latencies = {}, {}
        self._package = _dgl()
        self.construct_graphs()

    def construct_graphs(self):
        """The graphs of all models, and their latencies."""
        largest = torch.tensor([1] * self.op_num + list(LARGEST))
        for number in range(self.length):
            (adjacency, attributes), latency_ms, _ = self.dataset[number]
            edges, features = adjacency.nonzero().T, attributes / largest
            if self._package:
                graph = self._package.graph((edges[0], edges[1]))
                graph.ndata["h"] = features
            else:
                graph = (edges, features)
            self.graphs[number], self.latencies[number] = graph, latency_ms

    def __iter__(self):
        if self.shuffle:
            random.shuffle(self.indexes)
        self.pos = 0
        return self

    def __len__(self):
        return self.length

    def __next__(self):
        batch = self.indexes[self.pos : self.pos + self.batchsize]
        if not batch:
            raise StopIteration
        self.pos += len(batch)
        latencies, graphs = torch.tensor([self.latencies[i] for i in batch]), [self.graphs[i] for i in batch]
        return latencies, self._package.batch(graphs) if self._package else GraphBatch(*zip(*graphs))
