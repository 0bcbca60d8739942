"""A torch module with choices as one ONNX graph that holds all candidates, from which each network is cut.

The module is exported once. In the graph a node of its own, Choice, stands where a choice was: its inputs are the outputs of the
candidates, each of which begins with a node Begin. A network is the graph with each Choice read as one of its inputs and each
Begin as what it reads, less what then nobody reads. So it is fused, and costs, as if it had been exported alone.
"""

import contextlib

from .._core import Error, Model
from ..errors import fault
from ..torch_models import _as_deployed, _first_sentence, _torch, example_inputs, traced_onnx
from .blocks import _onnx, _rename

DOMAIN = "nn_meter"
NEAR = 4  # operators between two choices, beyond which no kernel reaches


def is_choice(module):
    """NNI's LayerChoice, of whatever version, without NNI."""
    return any(kind.__name__ == "LayerChoice" for kind in type(module).__mro__)


def candidates_of(choice):
    """{name: module}"""
    names = list(getattr(choice, "names", None) or dict(choice.named_children()))
    return {str(name): choice[name] for name in names}


def label_of(name, choice):
    return str(getattr(choice, "label", None) or name)


def _markers(torch):
    """(begin, choice): the operators that stand around candidates and for a choice."""

    class Begin(torch.autograd.Function):
        """Apart for each candidate: else the exporter, which computes nothing twice, would merge what candidates have in common,
        and the order in which a tensor is read, which decides about fusion, would not be that of one network."""

        @staticmethod
        def forward(ctx, label, tensor):
            return tensor.clone()  # some modules write into what they get

        @staticmethod
        def symbolic(g, label, tensor):
            return g.op(f"{DOMAIN}::Begin", tensor, label_s=label).setType(tensor.type())

    class Choice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, label, *outputs):
            return outputs[0].clone()

        @staticmethod
        def symbolic(g, label, *outputs):
            return g.op(f"{DOMAIN}::Choice", *outputs, label_s=label).setType(outputs[0].type())

    return Begin.apply, Choice.apply


def _runs_all(torch, markers, place, label, candidates):
    """What the forward of a choice is replaced by."""
    begin, choice = markers

    def forward(*inputs, **options):
        outputs = []
        for number, module in enumerate(candidates.values()):
            own = [begin(f"{place} {number}", part) if torch.is_tensor(part) else part for part in inputs]
            outputs.append(module(*own, **options))
        if not all(torch.is_tensor(output) for output in outputs):
            raise fault(Error, "argument", f"choice {label}: its candidates give no single tensor; describe a Space")
        shapes = {name: tuple(map(int, output.shape)) for name, output in zip(candidates, outputs)}
        if len(set(shapes.values())) > 1:
            shown = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise fault(
                Error, "argument", f"choice {label}: its candidates give different shapes: {shown}; describe a Space"
            )
        return choice(label, *outputs)

    return forward


@contextlib.contextmanager
def _all_candidates_run(torch, choices):
    markers = _markers(torch)
    try:
        for place, (label, module) in enumerate(choices):
            module.__dict__["forward"] = _runs_all(torch, markers, place, label, candidates_of(module))
        yield
    finally:
        for _, module in choices:
            module.__dict__.pop("forward", None)


class _Node:
    """A node and what of it is asked often."""

    __slots__ = ("computes", "has_graphs", "inputs", "is_begin", "label", "outputs", "proto")

    def __init__(self, proto):
        self.proto, self.inputs, self.outputs = proto, tuple(proto.input), tuple(proto.output)
        self.is_begin = proto.domain == DOMAIN and proto.op_type == "Begin"
        is_choice_node = proto.domain == DOMAIN and proto.op_type == "Choice"
        self.label = proto.attribute[0].s.decode() if is_choice_node else None
        self.has_graphs = any(attribute.HasField("g") or attribute.graphs for attribute in proto.attribute)
        attributes = sorted(attribute.SerializeToString() for attribute in proto.attribute)
        self.computes = proto.domain, proto.op_type, len(proto.output), *attributes  # the same of the same inputs

    def reads(self):
        """Names of tensors, of the graphs around its own graphs too."""
        return self.inputs + tuple(_read_inside(self.proto)) if self.has_graphs else self.inputs


def _read_inside(proto):
    for attribute in proto.attribute:
        for graph in [attribute.g] if attribute.HasField("g") else attribute.graphs:
            yield from (value.name for value in graph.output)
            for node in graph.node:
                yield from node.input
                yield from _read_inside(node)


def _resolved(same, name):
    while name in same:
        name = same[name]
    return name


class Supernet:
    """model: a torch.nn.Module with LayerChoice in it; input_shape: as for predict().

    names: {label of a choice: names of its candidates}, in the order in which they run. Raises nn_meter.Error.
    """

    def __init__(self, model, input_shape):
        torch = _torch()
        modules = [(name, label_of(name, part), part) for name, part in model.named_modules() if is_choice(part)]
        self._proto = self._exported(torch, model, [(label, part) for _, label, part in modules], input_shape)
        self._nodes = [_Node(node) for node in self._proto.graph.node]
        ran = {node.label for node in self._nodes if node.label is not None}
        self.names = {label: list(candidates_of(part)) for _, label, part in modules if label in ran}
        if not self.names:
            raise fault(
                Error, "argument", f"{type(model).__name__}: no LayerChoice ran; give a model with choices, or a Space"
            )
        self._nested = {
            frozenset((outer, inner))
            for place, outer, _ in modules
            for other, inner, _ in modules
            if other.startswith(place + ".") and {outer, inner} <= ran and outer != inner
        }

    @staticmethod
    def _exported(torch, model, choices, input_shape):
        try:
            with _all_candidates_run(torch, choices):
                data = traced_onnx(model, example_inputs(input_shape), custom_opsets={DOMAIN: 1})
        except Error:
            raise
        except Exception as error:  # whatever the model's own code or torch raises
            why = f"{type(error).__name__}: {_first_sentence(error)}"
            raise fault(
                Error, "unsupported", f"torch cannot trace this {type(model).__name__}: {why}; describe a Space"
            ) from None
        return _onnx().load_model_from_string(data)

    def network(self, chosen):
        """The nn_meter.Model of one network. chosen: {label: number of the candidate}."""
        same, kept, needed = self._what_is_needed(chosen)
        whole = _onnx().ModelProto()
        whole.ir_version, graph = self._proto.ir_version, whole.graph
        whole.opset_import.extend(opset for opset in self._proto.opset_import if opset.domain != DOMAIN)
        whole.functions.extend(self._proto.functions)
        graph.name = "network"

        def name(text):
            return _resolved(same, text)

        for node in kept:
            graph.node.append(node.proto)
            if node.has_graphs or any(text in same for text in node.inputs):
                _rename(graph.node[-1], name, "")
        graph.input.extend(value for value in self._proto.graph.input if value.name in needed)
        graph.initializer.extend(tensor for tensor in self._proto.graph.initializer if tensor.name in needed)
        for value in self._proto.graph.output:
            graph.output.append(value)
            graph.output[-1].name = name(value.name)
        return Model(whole.SerializeToString(), "network", "onnx")

    def _what_is_needed(self, chosen):
        """({tensor: the one that it is}, nodes in order, names of the tensors that are read)."""
        same = {}
        for node in self._nodes:
            if node.label is not None or node.is_begin:
                tensor = node.inputs[0 if node.is_begin else chosen[node.label]]
                same[node.outputs[0]] = same.get(tensor, tensor)
        needed = {same.get(value.name, value.name) for value in self._proto.graph.output}
        kept = []
        for node in reversed(self._nodes):
            if any(name in needed for name in node.outputs):
                kept.append(node)
                needed.update(same.get(name, name) for name in node.reads())
        return same, self._once(kept[::-1], same), needed

    @staticmethod
    def _once(nodes, same):
        """The exporter computes nothing twice; neither does the network, when its candidates have something in common."""
        known, constants, kept = {}, {}, []
        for node in nodes:
            inputs = tuple(_resolved(same, name) for name in node.inputs)
            if not inputs:  # a constant is what it holds
                constants.update(dict.fromkeys(node.outputs, node.computes))
            key = node.computes, tuple(constants.get(name, name) for name in inputs)
            first = known.setdefault(key, node) if inputs and not node.has_graphs else node
            if first is node:
                kept.append(node)
            else:
                same.update(zip(node.outputs, first.outputs))
        return kept

    def neighbours(self):
        """Pairs of choices, frozenset of two labels, that may share a kernel: at most NEAR operators between them, or one in the
        other."""
        pairs, reach = set(self._nested), {}  # reach: tensor -> {label: operators since}
        for node in self._nodes:
            near = {}
            for name in node.reads():
                for label, distance in reach.get(name, {}).items():
                    near[label] = min(distance, near.get(label, distance))
            labels = [*near, node.label] if node.label is not None else [*near]
            pairs.update(frozenset((a, b)) for i, a in enumerate(labels) for b in labels[:i] if a != b)
            step = 0 if node.is_begin else 1
            onward = {label: distance + step for label, distance in near.items() if distance < NEAR}
            if node.label is not None:
                onward = {**near, node.label: 0}
            for name in node.outputs:
                reach[name] = onward
        return sorted(pairs, key=sorted)


def first_alone(model, input_shape):
    """[(label, its first candidate, shapes of what it reads)] of each choice that runs, by running the model once."""
    torch, seen = _torch(), {}

    def remember(name, part):
        def hook(_, inputs):  # gives back nothing: what it gave back would be the input
            label, candidates = label_of(name, part), candidates_of(part)
            seen.setdefault(name, (label, next(iter(candidates.values())), [tuple(each.shape) for each in inputs]))

        return hook

    hooks = [
        part.register_forward_pre_hook(remember(name, part)) for name, part in model.named_modules() if is_choice(part)
    ]
    try:
        with torch.no_grad(), _as_deployed(torch, model):
            model(*example_inputs(input_shape))
    finally:
        for hook in hooks:
            hook.remove()
    return list(seen.values())
