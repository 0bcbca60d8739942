"""What users of NNI's examples know: a filter by latency, and the expected latency under path probabilities."""

import json
import re
from pathlib import Path

import numpy as np

from .._core import Error, Predictor
from ..errors import fault
from ..models import INPUT_SHAPE, open_model
from ..predictor import load_latency_predictor
from .interactions import Parts
from .space import Space
from .supernet import Supernet, first_alone
from .table import CHECKED, TOLERANCE, LatencyTable

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


class HardwareLatencyEstimator:
    """The latency of a model with choices, in milliseconds: expected under probabilities, or of one architecture.

    applied_hardware: name of a predictor, or an nn_meter.Predictor.
    model: a Space, whose layers are called "0", "1", ... (LatencyTable). Or a torch module with LayerChoice of NNI in it: it
        is exported once with all candidates, and whole networks are cut from that, so that operators fused across the borders
        of choices are counted as in each network alone.
    dummy_input: shape of the model's input, or as input_shape of predict().
    notes: what the predictor guessed, extrapolated or left out.
    difference: the largest relative difference of the expected latency's sums to whole networks, of those that were put together
        to check; is_exact: whether it is below 1e-6.
    block_latency_table: {choice: [milliseconds that each candidate takes, all other choices being their first]}; rest_ms: what is
        not in it. What neighbouring choices cost together comes on top. None for a Space.
    dump_lat_table: where to write the table of the latencies, as JSON (which YAML reads as well); None: nowhere.
    """

    def __init__(self, applied_hardware, model, dummy_input=(1, 3, 224, 224), dump_lat_table=None):
        by_name = not isinstance(applied_hardware, Predictor)
        self.predictor = Predictor(applied_hardware) if by_name else applied_hardware
        self.table = LatencyTable(model, self.predictor) if isinstance(model, Space) else None
        if self.table:
            self.names = {str(i): [str(c) for c in range(n)] for i, n in enumerate(model.choices)}
            self.block_latency_table = self.rest_ms = None
            self.notes, self.difference = self.table.notes, self.table.difference
        else:
            self._notes, self._known = {}, {}
            self._supernet = Supernet(model, dummy_input)
            self.names = self._supernet.names
            self._take_apart()
            self._write_table(model, dummy_input)
            self.notes = (*self._notes.values(), *self._note_of_other_choices(model))
        if dump_lat_table:
            self._dump(dump_lat_table)

    @property
    def is_exact(self):
        """Whether the sums equal whole networks' latencies."""
        return self.difference is not None and self.difference <= TOLERANCE

    # ---- a torch module

    def _predicted(self, model):
        prediction = self.predictor.predict(model)
        for note in prediction.notes:  # of many networks, those that differ in their figures alone are one
            self._notes.setdefault(re.sub(r"[\d.]+", "", note), note)
        return prediction

    def _network_ms(self, chosen):
        """Milliseconds of a network, the first candidate where a choice is not spoken of."""
        numbers = tuple(chosen.get(label, 0) for label in self.names)
        if numbers not in self._known:
            network = self._supernet.network(dict(zip(self.names, numbers)))
            self._known[numbers] = self._predicted(network).latency_ms
        return self._known[numbers]

    def _take_apart(self):
        """More and more of what choices cost together, until the sums equal whole networks."""
        counts = {label: len(names) for label, names in self.names.items()}
        self._parts = Parts(self._network_ms, counts, self._supernet.neighbours())
        self._check_sums(counts)
        for groups in (self._parts.pairs, self._parts.triples):
            if self.is_exact or not self._parts.add(groups()):
                break
            self._check_sums(counts)

    def _check_sums(self, counts):
        random = np.random.default_rng(0)
        differences = [0.0]
        for _ in range(CHECKED):
            chosen = {label: int(random.integers(count)) for label, count in counts.items()}
            differences.append(abs(self._parts.total(chosen) / self._network_ms(chosen) - 1))
        self.difference = max(differences)

    def _note_of_other_choices(self, model):
        others = [
            str(label) for label in (model.simplify() if hasattr(model, "simplify") else ()) if label not in self.names
        ]
        if others:
            yield f"choices that are no LayerChoice are as NNI's dry run takes them: {', '.join(sorted(others))}"

    def _write_table(self, model, dummy_input):
        alone = dict.fromkeys(self.names, 0.0)
        for label, module, shapes in first_alone(model, dummy_input):
            prediction = self._predicted(open_model(module, "torch", shapes))
            alone[label] += prediction.latency_ms - prediction.constant_ms
        self._parts.move(alone)
        self.block_latency_table = {label: self._parts.terms[(label,)].tolist() for label in self.names}
        self.rest_ms = float(self._parts.terms[()])

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
        for label, p in as_tensor.items():
            if p.shape != (len(self.names[label]),):
                raise fault(Error, "argument", f"{label}: one probability for each of {', '.join(self.names[label])}")
        return self._parts.expected(as_tensor, torch.as_tensor)

    def export_latency(self, current_architecture):
        """Milliseconds of one architecture: of a torch module, what predict() says of that network.
        current_architecture: {choice: name or number of the candidate}."""
        self._check(current_architecture)
        chosen = {key: self._number(key, value) for key, value in current_architecture.items()}
        if self.table:
            return self.table.latency([chosen[name] for name in self.names])
        return self._network_ms(chosen)

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
