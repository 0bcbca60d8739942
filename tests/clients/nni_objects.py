"""Predicts what NNI 3.0 calls a model: graphs, frozen spaces of each kind, their modules. Prints JSON: {case: latency or error}."""

import json
import logging
import sys
import warnings

import torch

warnings.filterwarnings("ignore")

import nn_meter  # noqa: E402
import nni  # noqa: E402
import nni.nas.nn.pytorch.layers as layers  # noqa: E402
from nn_meter.search import HardwareLatencyEstimator, LatencyFilter  # noqa: E402
from nni.nas.evaluator import FunctionalEvaluator  # noqa: E402
from nni.nas.hub.pytorch import NasBench201, ProxylessNAS  # noqa: E402
from nni.nas.nn.pytorch import InputChoice, LayerChoice, ModelSpace, MutableConv2d, Repeat  # noqa: E402
from nni.nas.space import RawFormatModelSpace, SimplifiedModelSpace  # noqa: E402
from nni.nas.space.pytorch import PytorchGraphModelSpace  # noqa: E402

logging.disable(logging.WARNING)  # NNI's own
DEVICE = "cortexA76cpu_tflite21"
SHAPE = (1, 3, 64, 64)


class Net(ModelSpace):
    def __init__(self):
        super().__init__()
        self.stem = layers.Sequential(layers.Conv2d(3, 16, 3, 2, 1), layers.BatchNorm2d(16), layers.ReLU())
        self.body = LayerChoice([layers.Conv2d(16, 16, 3, 1, 1), layers.Conv2d(16, 16, 7, 1, 3)], label="body")
        self.head = layers.Sequential(layers.AdaptiveAvgPool2d(1), layers.Flatten(), layers.Linear(16, 10))

    def forward(self, x):
        return self.head(self.body(self.stem(x)))


class Plain(torch.nn.Module):
    """Net after its choice has been made, without NNI."""

    def __init__(self, kernel):
        super().__init__()
        nn = torch.nn
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU())
        self.body = nn.Conv2d(16, 16, kernel, 1, kernel // 2)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))

    def forward(self, x):
        return self.head(self.body(self.stem(x)))


class Every(ModelSpace):
    """Choices of each other kind: of a value, of inputs, of depth."""

    def __init__(self):
        super().__init__()
        width = nni.choice("width", [16, 32])
        self.stem = MutableConv2d(3, width, 3, 2, 1)
        self.left, self.right = MutableConv2d(width, width, 1), MutableConv2d(width, width, 3, 1, 1)
        self.join = InputChoice(n_candidates=2, n_chosen=1, label="join")
        self.rest = Repeat(lambda i: MutableConv2d(width, width, 3, 1, 1), (1, 3), label="depth")

    def forward(self, x):
        x = self.stem(x)
        return self.rest(self.join([self.left(x), self.right(x)]))


def evaluate(model):
    return 0.0


def cases():
    """{name: (what predict() is given, model_type)}; the value is called."""
    evaluator, space = FunctionalEvaluator(evaluate), Net()
    raw, simplified = RawFormatModelSpace(space, evaluator), SimplifiedModelSpace.from_model(Net(), evaluator)
    graph = PytorchGraphModelSpace.from_model(Net(), evaluator, dummy_input=SHAPE)
    without_shape = PytorchGraphModelSpace.from_model(Net(), evaluator)
    graph.simplify(), without_shape.simplify()  # NNI asks for it before it freezes a graph
    small, large = ({"body": f"layerchoice_body_{i}"} for i in range(2))
    for number, kernel, name in ((0, 3, small), (1, 7, large)):
        yield f"plain {number}", Plain(kernel), "torch"
        yield f"raw {number}", raw.freeze({"body": number}), "nni-ir"
        yield f"simplified {number}", simplified.freeze({"body": number}), "nni-ir"
        yield f"module {number}", space.freeze({"body": number}), "nni-ir"
        yield f"module as torch {number}", space.freeze({"body": number}), "torch"
        yield f"told {number}", simplified.freeze({"body": number}), None
        yield f"graph {number}", graph.freeze(name), "nni-ir"
        yield f"graph without shapes {number}", without_shape.freeze(name), "nni-ir"
        yield f"dump {number}", graph.freeze(name)._dump(), "nni-ir"
        yield f"built from graph {number}", graph.freeze(name).executable_model(), "torch"
    yield "open raw", raw, "nni-ir"
    yield "open simplified", simplified, "nni-ir"
    yield "open module", space, "nni-ir"
    yield "open graph", graph, "nni-ir"
    yield "no model", object(), "nni-ir"
    every = Every()
    for width, join, depth in ((16, [0], 1), (32, [1], 3)):
        sample = {"width": width, "join": join, "depth": depth}
        yield f"every {width}", every.freeze(sample), "nni-ir"
        yield f"every simplified {width}", SimplifiedModelSpace.from_model(every, None).freeze(sample), "nni-ir"
    yield "failing", SimplifiedModelSpace.from_model(Net(), None).freeze({"body": 0}), "nni-ir"


def hub(predictor):
    """Whole spaces of NNI's model hub, as a strategy hands their models over."""
    answer = {}
    for space, shape in ((ProxylessNAS(), (1, 3, 224, 224)), (NasBench201(), (1, 3, 32, 32))):
        model = SimplifiedModelSpace.from_model(space, FunctionalEvaluator(evaluate)).random()
        answer[type(space).__name__] = [
            predictor.predict(model, "nni-ir", input_shape=shape),
            predictor.predict(model.executable_model(), "torch", input_shape=shape),
        ]
    return answer


def filtered(limit):
    """Which of the two models of a space are faster than a limit, as frozen spaces."""
    is_fast = LatencyFilter(limit, DEVICE, input_shape=SHAPE)
    space = SimplifiedModelSpace.from_model(Net(), FunctionalEvaluator(evaluate))
    return [bool(is_fast(space.freeze({"body": number}))) for number in range(2)]


def estimated(predictor):
    """A space of the hub whose choices are all LayerChoice: [estimate, what predict() says of that model] of some, and the
    estimator's own check; of one with other choices, what is noted."""
    space, shape = NasBench201(num_modules_per_stack=1), (1, 3, 32, 32)
    estimator = HardwareLatencyEstimator(DEVICE, space, shape)
    pairs = []
    for _ in range(4):
        sample = {label: mutable.random() for label, mutable in space.simplify().items()}
        whole = predictor.predict(space.freeze(sample), "nni-ir", input_shape=shape)
        pairs.append([estimator.export_latency(sample), whole])
    other = HardwareLatencyEstimator(DEVICE, ProxylessNAS())
    return {"pairs": pairs, "difference": estimator.difference, "notes": other.notes, "other": other.difference}


def main():
    nn_meter.logger.setLevel("WARNING")
    predictor = nn_meter.load_latency_predictor(DEVICE)
    answer = {}
    for name, model, model_type in cases():
        if name == "failing":
            model.model.trace_kwargs["unknown"] = 1
        try:
            answer[name] = predictor.predict(model, model_type, input_shape=SHAPE)
        except nn_meter.Error as error:
            answer[name] = str(error)
    limit = answer["plain 0"] * 1.01
    results = {"cases": answer, "hub": hub(predictor), "filter": filtered(limit), "estimator": estimated(predictor)}
    print(json.dumps(results))


if __name__ == "__main__":
    sys.exit(main())
