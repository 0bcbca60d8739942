"""Modules of torch as ONNX, in memory and without their weights."""

import contextlib
import inspect
import io
import logging
import re
import warnings

from ._core import Error, Model
from .errors import MissingPackage, fault

MOST_VALUES = 1 << 30  # bytes of weights that are exported where their values are needed; a file of ONNX ends at 2 GiB


def _torch():
    try:
        import torch
    except ImportError:
        raise fault(
            MissingPackage, "unsupported", "torch is not installed; pip install torch, or give an ONNX file"
        ) from None
    return torch


def torchvision_model(name):
    """A network of torchvision by name, with random weights. Raises nn_meter.Error when torchvision is not installed, does
    not load beside this torch, or has no such network."""
    _torch()
    try:
        from torchvision import models
    except Exception as error:  # a torchvision for another torch fails with any of several errors
        raise fault(
            MissingPackage,
            "unsupported",
            f"torchvision cannot be imported: {_first_sentence(error)}; pip install torchvision, or give one of "
            "nn_meter.TORCHVISION, which need none",
        ) from None
    try:
        builder = models.get_model_builder(name)
    except ValueError:
        raise fault(Error, "not found", f"torchvision has no network called {name!r}") from None
    takes = inspect.signature(builder).parameters
    return builder(**{option: None for option in ("weights", "weights_backbone") if option in takes})


def _is_shape(value):
    return isinstance(value, (tuple, list)) and bool(value) and all(isinstance(size, int) for size in value)


def example_inputs(shapes):
    """Tensors for a module: of one shape, of several, or what was given when it is no shape (one tensor or a tuple)."""
    torch = _torch()
    if torch.is_tensor(shapes):
        return (shapes,)
    if _is_shape(shapes):
        return (torch.zeros(tuple(shapes)),)
    if isinstance(shapes, (tuple, list)) and shapes:
        return tuple(torch.zeros(tuple(shape)) if _is_shape(shape) else shape for shape in shapes)
    raise fault(
        Error, "argument", f"input_shape: {shapes!r} is no shape; give (1, 3, 224, 224), several of them, or the inputs"
    )


@contextlib.contextmanager
def _silence():
    """Exporters report each of their steps."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
    finally:
        log.setLevel(level)


@contextlib.contextmanager
def _as_deployed(torch, module):
    """The module in evaluation mode, and everything as it was afterwards."""
    modes = [(part, part.training) for part in module.modules()]
    fast = torch.backends.mha.get_fastpath_enabled()
    module.eval()
    torch.backends.mha.set_fastpath_enabled(False)  # fused attention has no form in ONNX
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for part, training in modes:
            part.training = training


def _traced(torch, module, inputs, **options):
    """By running the module once."""
    buffer = io.BytesIO()
    torch.onnx.export(module, inputs, buffer, **{"export_params": False, "dynamo": False, **options})
    return buffer.getvalue()


def traced_onnx(module, inputs, **options):
    """What onnx_of() makes of a torch.nn.Module by its first exporter; options: more arguments of torch.onnx.export.

    Raises whatever torch raises.
    """
    torch = _torch()
    with _as_deployed(torch, module), _silence(), torch.no_grad():
        return _traced(torch, module, inputs, **options)


def _lacks_values(data):
    """Whether shapes of the file follow from weights, whose values it has not."""
    try:
        Model(data, "model", "onnx")
    except Error as error:
        return error.status == "shape"
    return False


def _traced_as_needed(torch, module, inputs):
    """Without weights; with their values where shapes follow from constants that torch takes for weights."""
    data = _traced(torch, module, inputs)
    if not _lacks_values(data):
        return data
    size = sum(part.numel() * part.element_size() for part in (*module.parameters(), *module.buffers()))
    if size > MOST_VALUES:  # the other exporter tells constants and weights apart
        raise ValueError(f"shapes follow from constants among {size >> 20} MB of weights")
    return _traced(torch, module, inputs, export_params=True)


def _captured(torch, module, inputs):
    """By torch.export; what it holds are weights, which only need their shapes here."""
    import onnx_ir

    program = torch.onnx.export(module, inputs, dynamo=True) if inputs else torch.onnx.export(module, dynamo=True)
    for value in program.model.graph.initializers.values():
        weight = value.const_value
        if weight is not None and weight.nbytes > 1024:
            value.const_value = onnx_ir.ExternalTensor(
                location="weights",
                offset=0,
                length=weight.nbytes,
                dtype=weight.dtype,
                shape=weight.shape,
                name=value.name,
            )
    return onnx_ir.to_proto(program.model).SerializeToString()


def _first_sentence(error):
    """Of what torch says, without colours: it goes on with advice for its developers."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    return " ".join(plain.split())[:200]


def onnx_of(model, input_shape):
    """The ONNX file of a torch.nn.Module or a torch.export.ExportedProgram, as bytes; weights are left out, unless
    shapes follow from them.

    Both of torch's exporters are tried. Raises nn_meter.Error when neither can.
    """
    torch = _torch()
    if isinstance(model, torch.export.ExportedProgram):
        exporters, inputs = (_captured,), ()
    elif isinstance(model, torch.nn.Module):
        exporters, inputs = (_traced_as_needed, _captured), example_inputs(input_shape)
    else:
        raise fault(
            Error, "argument", f"{type(model).__name__} is neither a torch.nn.Module nor a torch.export.ExportedProgram"
        )
    faults = []
    for export in exporters:
        mode = _as_deployed(torch, model) if isinstance(model, torch.nn.Module) else contextlib.nullcontext()
        try:
            with mode, _silence(), torch.no_grad():
                return export(torch, model, inputs)
        except Exception as error:  # whatever the model's own code, torch or a package that it lacks raises
            faults.append(f"{type(error).__name__}: {_first_sentence(error)}")
    raise fault(
        Error,
        "unsupported",
        f"torch cannot export this {type(model).__name__}: {' | '.join(faults)}; pip install onnx onnxscript if they are "
        "missing, check input_shape, or export the model yourself and give the ONNX file",
    )
