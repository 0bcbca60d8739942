"""The models that were measured: folders of files, benchmark graphs, lists of paths or bytes; each with a name."""

import json
import lzma
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import Error, Model, detect_format
from .errors import FitError

SUFFIXES = (".onnx", ".json", ".pb", ".pbtxt", ".tflite", ".ort")
ANYTHING = (".json",)  # suffixes that files have which are no models
GRAPH_SUFFIXES = (".jsonl", ".jsonl.xz")
PREFIX = re.compile(r"[_\-. ]?\d+$")


def base_name(text):
    """Without folders and without the suffix of a model file: what measurements call a model by."""
    name = os.path.basename(text.replace("\\", "/").rstrip("/")) or text
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in SUFFIXES else name


@dataclass
class ModelSource:
    """A model that can be read when it is wanted."""

    name: str
    content: object  # path, or bytes
    format: str = None  # one of nn_meter.FORMATS; None: by content
    family: str = ""
    shapes: dict = None  # batch_size and input_shapes, for inputs that leave them open

    @property
    def place(self):
        return self.name if isinstance(self.content, bytes) else str(self.content)

    def read(self):
        """The nn_meter.Model; raises nn_meter.Error."""
        return Model(self.content, name=self.name, format=self.format, **(self.shapes or {}))


def _graphs(path):
    """The lines of a file of benchmark graphs."""
    try:
        with (lzma.open if str(path).endswith(".xz") else open)(path, "rb") as file:
            lines = file.read().splitlines()
    except (OSError, lzma.LZMAError) as fault:
        raise FitError(f"{path}: cannot be read: {fault}; check the file") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            graph = json.loads(line)
            name, family = graph["id"], graph.get("family", "")
            if not isinstance(name, str) or not isinstance(family, str):
                raise TypeError
        except (ValueError, KeyError, TypeError, AttributeError):
            raise FitError(
                f'{path}: line {number}: no benchmark graph; expected {{"id": "name", "family": "name", "ops": [...]}}'
            ) from None
        yield ModelSource(name, line, "benchmark", family)


def _is_model(file, left_out):
    """Whether a file of a folder is to be read. One named like a model that is none is told later, as a fault of it."""
    if not file.name.lower().endswith(ANYTHING):
        return True
    try:
        detect_format(file)
    except Error as fault:
        if fault.status == "format":
            left_out.append(f"{file}: no model, so not used: {fault.message}")
            return False
    return True


def _folder(path, left_out):
    names = sorted(name for name in os.listdir(path) if not name.startswith("."))
    files = [path / name for name in names if name.lower().endswith(SUFFIXES) and (path / name).is_file()]
    files = [file for file in files if _is_model(file, left_out)]
    if not files:
        raise FitError(f"{path}: no model files in this folder; put *.onnx there, or name another folder", *left_out)
    return [ModelSource(base_name(file.name), file) for file in files]


def _one(item, left_out):
    if isinstance(item, ModelSource):
        return [item]
    if isinstance(item, (bytes, bytearray)):
        raise FitError("models: bytes without a name; give {name: bytes} instead of a list")
    if isinstance(item, Mapping):  # a graph of the benchmark
        return [ModelSource(item["id"], json.dumps(item).encode(), "benchmark", item.get("family", ""))]
    path = Path(item)
    if path.is_dir():
        return _folder(path, left_out)
    if not path.exists():
        raise FitError(f"{path}: there is no such file or folder; check the path")
    if path.name.endswith(GRAPH_SUFFIXES):
        return list(_graphs(path))
    return [ModelSource(base_name(path.name), path)]


def collect_models(models, shapes=None, left_out=None):
    """[ModelSource] of a folder, a JSONL file of benchmark graphs, a model file, a list of any of them (graphs as
    dictionaries too), or {name: path or bytes}. shapes: {"batch_size", "input_shapes"} for inputs that leave them open.
    left_out: list that gets a line for each file of a folder that is no model, such as a package.json.

    Raises FitError: nothing there, or two models of one name.
    """
    left_out = [] if left_out is None else left_out
    if isinstance(models, Mapping) and "ops" not in models:
        found = [
            ModelSource(str(name), bytes(item) if isinstance(item, bytearray) else item)
            for name, item in models.items()
        ]
    elif isinstance(models, (str, os.PathLike, bytes, Mapping, ModelSource)) or not isinstance(models, Iterable):
        found = _one(models, left_out)
    else:
        found = [source for item in models for source in _one(item, left_out)]
    if not found:
        raise FitError("models: none given; name a folder or files")
    seen, faults = {}, []
    for source in found:
        source.shapes = shapes
        if source.name in seen:
            faults.append(
                f"{source.place}: called '{source.name}', as is {seen[source.name].place}; rename one, so that "
                "measurements can tell them apart"
            )
        seen.setdefault(source.name, source)
    if faults:
        raise FitError(*faults)
    give_families(found)
    return found


def give_families(sources):
    """Models without a family get the beginning of their name, up to its last number: "vgg" for vgg_12 and vgg16."""
    for source in sources:
        source.family = source.family or PREFIX.sub("", source.name) or source.name


def read_error(source, fault):
    """One line for a model that cannot be read."""
    text = str(fault)
    return text if isinstance(fault, Error) and source.place in text else f"{source.place}: {text}"
