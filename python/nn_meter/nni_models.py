"""What NNI calls a model: its graph IR, the spaces of NNI 3.0 once they are frozen, and their torch modules."""

import json

from ._core import Error
from .errors import fault

# What a graph space carries besides its graphs: objects of NNI that say nothing about the network.
NO_GRAPHS = ("_evaluator", "_mutators", "_placement", "_sample")
CHOICES = ("LayerChoice", "InputChoice")
FREEZE = "freeze it first, space.freeze(sample), or give what a strategy has sampled"


def json_of(graphs):
    """NNI's graph IR, a dictionary, as JSON. What JSON has no form for (types, enumerations) is written as its text."""
    return json.dumps({name: graph for name, graph in graphs.items() if name not in NO_GRAPHS}, default=str).encode()


def open_choices(module):
    """Labels of the choices that a torch module of NNI has left, as text; empty for none."""
    if hasattr(module, "simplify"):
        labels = sorted(map(str, module.simplify()))
    else:
        labels = [name for name, part in module.named_modules() if type(part).__name__ in CHOICES]
    return ", ".join(labels[:3]) + (", ..." if len(labels) > 3 else "")


def _refuse_open(module):
    labels = open_choices(module)
    if labels:
        kind = type(module).__name__
        raise fault(Error, "argument", f"{kind}: is a space of models, choices are open ({labels}); {FREEZE}")
    return module


def _built(space):
    """The torch module of a space that keeps how to make it (RawFormatModelSpace, SimplifiedModelSpace)."""
    kind = type(space).__name__
    if getattr(space, "sample", None) is None and _is_open(space):
        raise fault(Error, "argument", f"{kind}: is a space of models and not frozen; {FREEZE}")
    try:
        return space.executable_model()
    except Exception as error:  # whatever the user's model raises
        why = " ".join(str(error).split())[:200]
        raise fault(Error, "unsupported", f"{kind}: executable_model() fails: {type(error).__name__}: {why}") from None


def _is_open(space):
    status = getattr(space, "status", None)
    return hasattr(status, "frozen") and not status.frozen()


def graph_or_module(model):
    """(JSON, None) of a graph of NNI's, (None, torch module) of another object of NNI's. Raises nn_meter.Error."""
    if hasattr(model, "graphs") and hasattr(model, "_dump"):
        return json_of(model._dump()), None
    if hasattr(model, "named_modules"):
        return None, _refuse_open(model)
    if hasattr(model, "executable_model"):
        return None, _refuse_open(_built(model))
    if hasattr(model, "_dump"):
        return json_of(model._dump()), None
    raise fault(
        Error,
        "argument",
        f"{type(model).__name__} is no model of NNI; give the IR (a path, its dictionary or graph), or a space that is frozen",
    )
