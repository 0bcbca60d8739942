"""Kernels, features and graphs in nn-Meter 2.0's own terms."""

import json
from pathlib import Path

import networkx
import nn_meter
import pytest
from networkx.algorithms.isomorphism import categorical_node_match
from nn_meter.kernel_detector import KernelDetector
from nn_meter.kernel_detector.rule_reader import RuleReader
from nn_meter.predictor.prediction import extract_feature, predict_by_kernel
from nn_meter.predictor.prediction.utils import get_accuracy, get_kernel_name
from nn_meter.utils.graph_tool import ModelGraph

ROOT = Path(__file__).resolve().parents[3]
MOBILENET = ROOT / "examples" / "mobilenet_v2.onnx"
RULES = ROOT / "devices" / "cortexA76cpu_tflite21" / "fusion_rules.json"


@pytest.fixture(scope="module")
def kernels():
    detector = KernelDetector(str(RULES))
    detector.load_graph(nn_meter.model_file_to_graph(str(MOBILENET), "onnx"))
    return detector.get_kernels()


class Constant:
    """Predicts 2 ms for each row, and remembers what it was asked."""

    def __init__(self):
        self.rows = []

    def predict(self, rows):
        self.rows += rows
        return [2.0] * len(rows)


def test_detector_takes_rules_as_path_or_content(kernels):
    detector = KernelDetector(RULES.read_bytes())
    detector.load_graph(ModelGraph(graph=nn_meter.model_file_to_graph(str(MOBILENET), "onnx")))
    assert detector.get_kernels() == kernels
    assert kernels[0]["op"].startswith("conv") and kernels[0]["cin"] == 3 and kernels[0]["ks"] == [3, 3]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (b"", "fusion rules: "),
        (b"{", "fusion rules: "),
        (b'{"BF_conv_relu": 1}', "fusion rules: "),
        (b"\x80\x04.", "fusion rules: "),
    ],
)
def test_rules_that_are_none_are_refused(rules, message):
    detector = KernelDetector(rules)
    detector.load_model(nn_meter.Model(MOBILENET))
    with pytest.raises(nn_meter.Error, match=message):
        detector.get_kernels()


def test_rules_as_content_are_what_they_are_as_a_file():
    model = nn_meter.Model(MOBILENET)
    for compat in ("own", "nn-meter-2.0"):
        as_file = model.inspect("kernels", fusion_rules=RULES, compat=compat)
        assert model.inspect("kernels", fusion_rules=RULES.read_bytes(), compat=compat) == as_file
    unfused = model.inspect("kernels", nn_meter.Predictor("cortexA76cpu_tflite21"), b'{"MON": {"obey": 0}}', "own")
    assert unfused.count('"type"') > as_file.count('"type"')


def test_features_are_those_of_the_library(kernels):
    features = extract_feature.get_predict_features(kernels)
    model = nn_meter.Model(
        json.dumps(nn_meter.model_file_to_graph(str(MOBILENET), "onnx")).encode(), format="nnmeter-ir"
    )
    document = json.loads(model.inspect("features", fusion_rules=RULES, compat="nn-meter-2.0"))
    assert [list(kernel.values())[0] for kernel in features.values()] == [row for _, row in document["features"]]
    assert list(features) == list(range(len(features)))


def test_features_of_made_up_kernels():
    convolution = {"op": "conv-relu", "ks": [3, 3], "strides": [2, 2], "inputh": 224, "cin": 3, "cout": 32}
    convolution["input_tensors"] = [[1, 224, 224, 3]]
    (row,) = extract_feature.get_predict_features([convolution]).values()
    flops, weights = extract_feature.get_flop(3, 32, 3, 224, 224, 2)
    assert row == {"conv-relu": [224, 3, 32, 3, 2, flops / 2e6, weights / 1e6]}
    assert extract_feature.get_predict_features([]) == {}
    with pytest.raises(nn_meter.Error, match="conv: 'ks' must be a list of sizes"):
        extract_feature.get_predict_features([{"op": "conv", "ks": 3}])
    with pytest.raises(nn_meter.Error, match="'op' must be a text"):
        extract_feature.get_predict_features([{"ks": [3, 3]}])


def test_counts():
    assert extract_feature.get_flop(3, 32, 3, 224, 224, 2) == (22478848.0, 896)
    assert extract_feature.get_depthwise_flop(32, 32, 3, 112, 112, 1) == (8028160.0, 320)
    assert extract_feature.get_flops_params("conv-bn", 56, 16, 32, 3, 1) == (29102080.0, 4640)
    assert extract_feature.get_flops_params("dwconv", 56, 16, 32, 3, 1) == (2007040.0, 320)
    assert extract_feature.get_flops_params("pool", 56, 16, 32, 3, 1) is None
    assert extract_feature.get_conv_mem(5, 7, 3, 10, 10, 1) == 1522


def test_names_of_predictors():
    names = {"conv-relu": "conv-bn-relu", "dwconv": "dwconv-bn-relu", "gap": "global-avgpool", "bn-relu": "bnrelu"}
    names |= {"add-relu": "addrelu", "fc-relu": "fc", "se-relu": "se", "hswish": "hswish"}
    names |= {"max-pool": "maxpool", "channel_shuffle": "channelshuffle", "SE": "se", "of its own": "of its own"}
    assert {name: get_kernel_name(name) for name in names} == names
    assert predict_by_kernel.merge_conv_kernels("conv-add") == "conv-bn-relu"
    assert predict_by_kernel.merge_conv_kernels("maxpool") == "maxpool"
    assert get_accuracy([1.0, 2.0], [1.0, 2.1], 0.03) == 0.5


def test_objects_for_single_kernels(kernels, capsys):
    """A predictor of one's own objects, as nn-Meter 2.0 took it: sums what they say, and names what has none."""
    convolution, depthwise = Constant(), Constant()
    mine = {"conv-bn-relu": convolution, "dwconv-bn-relu": depthwise}
    predictor = nn_meter.nnMeterPredictor(mine, str(RULES))
    total = predictor.predict(str(MOBILENET), "onnx")
    asked = len(convolution.rows) + len(depthwise.rows)
    assert total == 2.0 * asked and asked >= 52 and len(convolution.rows[0]) == 7
    assert "No predictor for" in capsys.readouterr().out
    assert total == predict_by_kernel.nn_predict(mine, kernels)
    with pytest.raises(nn_meter.Error, match="detail"):
        predictor.predict(str(MOBILENET), "onnx", detail=True)
    with pytest.raises(nn_meter.Error, match="predict_many: needs a predictor"):
        predictor.predict_many([MOBILENET])


def test_rules(tmp_path):
    path = tmp_path / "rules.json"
    path.write_text('{"BF_conv_relu": {"obey": true}, "BF_conv_add": {"obey": false}, "MON": {"obey": 1}}')
    rules = RuleReader(path)
    assert rules.is_fusible("conv", "relu") and not rules.is_fusible("conv", "add") and not rules.is_fusible("a", "b")
    assert rules.query_rule("MON") == 1 and rules.query_rule("RT") is None
    assert not RuleReader().is_fusible("conv", "relu")


# ------------------------------------------------------------------ graphs


def entry(type, inbounds=(), outbounds=()):
    return {"attr": {"type": type, "attr": {}}, "inbounds": list(inbounds), "outbounds": list(outbounds)}


@pytest.fixture
def graph():
    return ModelGraph(
        graph={
            "a": entry("Conv", [], ["b", "c"]),
            "b": entry("Relu", ["a"], ["d"]),
            "c": entry("Relu", ["a", "gone"], ["d"]),
            "d": entry("Add", ["b", "c"]),
            "alone": entry("Identity"),
        }
    )


def test_heads_tails_and_roots(graph):
    assert graph.get_graph_head() == ["a", "alone"] and graph.get_graph_tail() == ["d", "alone"]
    assert graph.get_root_node(["b", "d"]) == "b" and graph.get_root_node(["c", "b", "a"]) == "a"
    assert graph.get_node_type("a") == "Conv" and graph.get_node_attr("nobody") is None
    assert graph.find_weight_roots("d") == ([], [])


def test_refresh_leaves_out_what_hangs_loose(graph):
    graph.refresh()
    assert list(graph.get_graph()) == ["a", "b", "c", "d"]
    assert graph.get_node_inbounds("c") == ["a"] and graph.get_node_outbounds("a") == ["b", "c"]


def test_nodes_and_edges_change(graph):
    graph.node("e", ["d"])
    graph.set_node_attr("e", {"type": "Relu"})
    graph.add_node_attr("e", "k", 3)
    assert graph.get_node_attr("e") == {"type": "Relu", "attr": {"k": 3}} and graph.get_node_outbounds("d") == ["e"]
    graph.add_node_inbounds("e", "a")
    graph.add_node_outbounds("e", "b")
    assert graph.get_node_inbounds("e") == ["d", "a"] and graph.get_node_outbounds("e") == ["b"]
    graph.remove_node_inbounds("e", "a")
    graph.remove_node_outbounds("e", "b")
    graph.set_node_inbounds("b", ["d"])
    graph.set_node_outbounds("b", [])
    assert graph.get_node_inbounds("e") == ["d"] and graph.get_node_inbounds("b") == ["d"]


def test_fuse(graph):
    assert graph.fuse(["a", "b"], "conv-relu", name="block") is True
    assert graph.get_graph()["block"] == {
        "attr": {"type": "conv-relu", "attr": {"primitive_nodes": ["a", "b"]}},
        "inbounds": [],
        "outbounds": ["c", "d"],
    }
    assert set(graph.get_node_inbounds("d")) == {"c", "block"} and "a" not in graph.get_graph()
    graph.fuse(["c", "d"], "relu-add", is_block=False)
    assert graph.get_node_attr("c;d") == {"type": "relu-add", "attr": {}} and "gone" in graph.get_node_inbounds("c;d")


def test_subgraphs_and_networkx(graph, tmp_path):
    assert isinstance(graph.get_networkx_graph(), networkx.MultiDiGraph)
    pair = ModelGraph(graph={"x": entry("Conv", [], ["y"]), "y": entry("Relu", ["x"])})
    found = graph.find_subgraphs(pair, categorical_node_match("type", None))
    assert sorted(sorted(places) for places in found) == [["a", "b"], ["a", "c"]]
    path = tmp_path / "graph.json"
    graph.dump_json(path)
    assert ModelGraph(filename=path).get_graph() == graph.get_graph()
    assert ModelGraph().get_graph() == {}
