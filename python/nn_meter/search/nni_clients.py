"""What users of NNI's examples know: a filter by latency, and the expected latency under path probabilities."""

import json
from pathlib import Path

from .._core import Error, Predictor
from ..errors import fault
from ..models import INPUT_SHAPE, open_model
from ..predictor import load_latency_predictor
from .space import Space
from .table import LatencyTable

__all__ = ["HardwareLatencyEstimator", "LatencyFilter"]


class LatencyFilter:
    """Says of a model whether it is fast enough: model -> bool.

    threshold: milliseconds; predictor: a name, or an object of load_latency_predictor(); reverse: whether it is slow enough
    instead. model_type, input_shape: as for predict(); None for models of NNI, torch, ONNX and files, which tell what they
    are.
    """

    def __init__(
        self, threshold, predictor, predictor_version=None, reverse=False, *, model_type=None, input_shape=INPUT_SHAPE
    ):
        by_name = isinstance(predictor, str)
        self.predictors = load_latency_predictor(predictor, predictor_version) if by_name else predictor
        self.threshold, self.reverse = threshold, reverse
        self.model_type, self.input_shape = model_type, input_shape

    def __call__(self, ir_model):
        latency_ms = self.predictors.predict(ir_model, self.model_type, self.input_shape)
        return latency_ms > self.threshold if self.reverse else latency_ms < self.threshold


def _is_choice(module):
    """NNI's LayerChoice, of whatever version, without NNI."""
    return any(kind.__name__ == "LayerChoice" for kind in type(module).__mro__)


def _candidates(choice):
    names = list(getattr(choice, "names", None) or dict(choice.named_children()))
    return {str(name): choice[name] for name in names}


def _label(name, choice):
    return str(getattr(choice, "label", None) or name)


def _inputs_of_choices(torch, model, dummy_input):
    """{name of a LayerChoice: shapes of what it reads}, by running the model once."""
    seen = {}

    def remember(name):
        def hook(_, inputs):  # gives back nothing: what it gave back would be the input
            seen.setdefault(name, [tuple(tensor.shape) for tensor in inputs])

        return hook

    hooks = [
        module.register_forward_pre_hook(remember(name)) for name, module in model.named_modules() if _is_choice(module)
    ]
    try:
        with torch.no_grad():
            model(torch.zeros(tuple(dummy_input)))
    finally:
        for hook in hooks:
            hook.remove()
    if not seen:
        raise fault(
            Error, "argument", f"{type(model).__name__}: no LayerChoice ran; give a model with choices, or a Space"
        )
    return seen


class HardwareLatencyEstimator:
    """The latency of a model with choices, in milliseconds: expected under probabilities, or of one architecture.

    applied_hardware: name of a predictor, or an nn_meter.Predictor.
    model: a Space, whose layers are called "0", "1", ...: then exact (LatencyTable). Or a torch module with LayerChoice of NNI
        in it: each candidate is predicted alone, where it stands; operators that are fused across its borders in the whole
        network count as they stand alone.
    dummy_input: shape of the model's input.
    notes: what the predictor guessed, extrapolated or left out.
    dump_lat_table: where to write the table of the latencies, as JSON (which YAML reads as well); None: nowhere.
    """

    def __init__(self, applied_hardware, model, dummy_input=(1, 3, 224, 224), dump_lat_table=None):
        by_name = not isinstance(applied_hardware, Predictor)
        self.predictor = Predictor(applied_hardware) if by_name else applied_hardware
        self.table = LatencyTable(model, self.predictor) if isinstance(model, Space) else None
        self.notes = self.table.notes if self.table else ()
        if self.table:
            self.names = {str(i): [str(c) for c in range(n)] for i, n in enumerate(model.choices)}
            self.block_latency_table, self.rest_ms = None, None
        else:
            self._measure(model, dummy_input)
        if dump_lat_table:
            self._dump(dump_lat_table)

    # ---- a torch module

    def _milliseconds(self, module, shapes):
        model = open_model(module, "torch", shapes)
        prediction = self.predictor.predict(model)
        self.notes = tuple(dict.fromkeys((*self.notes, *prediction.notes)))
        return prediction.latency_ms - prediction.constant_ms

    def _measure(self, model, dummy_input):
        from ..torch_models import _torch

        modules = dict(model.named_modules())
        self.names, self.block_latency_table, present = {}, {}, 0.0
        for name, shapes in _inputs_of_choices(_torch(), model, dummy_input).items():
            label, candidates = _label(name, modules[name]), _candidates(modules[name])
            self.names[label] = list(candidates)
            each = [self._milliseconds(module, shapes) for module in candidates.values()]
            self.block_latency_table[label] = [
                a + b for a, b in zip(each, self.block_latency_table.get(label, [0.0] * len(each)))
            ]
            present += each[0]
        whole = self.predictor.predict(open_model(model, "torch", dummy_input)).latency_ms
        self.rest_ms = whole - present  # a model with choices runs the first of each

    # ---- answers

    def _check(self, labels):
        if set(labels) != set(self.names):
            raise fault(
                Error, "argument", f"choices are called {', '.join(self.names)}; given: {', '.join(map(str, labels))}"
            )

    def cal_expected_latency(self, current_architecture_prob):
        """Milliseconds, a tensor that can be differentiated. current_architecture_prob: {choice: probabilities}."""
        from ..torch_models import _torch

        torch = _torch()
        self._check(current_architecture_prob)
        as_tensor = {key: torch.as_tensor(p, dtype=torch.float64) for key, p in current_architecture_prob.items()}
        if self.table:
            return self.table.expected([as_tensor[name] for name in self.names])
        total = torch.tensor(self.rest_ms, dtype=torch.float64)
        for label, p in as_tensor.items():
            total = total + (p * torch.tensor(self.block_latency_table[label], dtype=torch.float64)).sum()
        return total

    def export_latency(self, current_architecture):
        """Milliseconds of one architecture. current_architecture: {choice: name or number of the candidate}."""
        self._check(current_architecture)
        chosen = {key: self._number(key, value) for key, value in current_architecture.items()}
        if self.table:
            return self.table.latency([chosen[name] for name in self.names])
        return self.rest_ms + sum(self.block_latency_table[label][i] for label, i in chosen.items())

    def _number(self, label, candidate):
        names = self.names[label]
        number = candidate if isinstance(candidate, int) else names.index(str(candidate)) if candidate in names else -1
        if not 0 <= number < len(names):
            raise fault(Error, "argument", f"{label}: no candidate {candidate}; there are {', '.join(names)}")
        return number

    def _dump(self, path):
        table = self.block_latency_table
        if self.table:
            table = {"costs": self.table.costs.tolist(), "sizes": self.table.sizes.tolist()}
        Path(path).write_text(
            json.dumps({"unit": "ms", "rest": self.rest_ms, "choices": self.names, "blocks": table}, indent=1) + "\n",
            encoding="utf-8",
        )
