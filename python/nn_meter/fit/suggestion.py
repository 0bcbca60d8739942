"""suggest(): a folder of the few models whose measurement teaches a predictor most, and the list to fill in."""

import json
import os
import shlex
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .. import Error, _core
from . import families as generator
from . import predictor_file
from .choice import choose, gradient_vectors
from .errors import FitError
from .kernel_table import TableBuilder
from .models import ModelSource, collect_models, read_error
from .onnx_file import onnx_bytes, weight_count
from .reach import Reach
from .start import open_start
from .training import Evidence, Reproducible

POOL = 390  # generated candidates, thirty of each family
MOST_CANDIDATES = 1500  # a larger pool is thinned out evenly
SIZE_LIMIT_MB = 100
EXTERNAL = (".data", "_data")  # where exporters put the weights of MODEL.onnx: MODEL.onnx.data, MODEL.onnx_data

README = """\
# Models to measure

Measure the latency of each model in this folder on your device, in milliseconds (batch size 1, the median of at least
30 runs after a warm-up), and write the numbers into `latency.csv`. Then:

    nn-meter fit --models {folder} --latency {folder}/latency.csv --from {start} --device MY_DEVICE --output MY_DEVICE.nnmeter
"""


@dataclass
class Suggestion:
    """What to measure, the most telling first."""

    models: list  # names
    predicted_ms: list  # what the predictor says of them
    folder: str = None
    left_out: list = field(default_factory=list)  # one line for each candidate that was not considered


def _knows(predictor, kernel_type):
    """Whether the predictor has learned from kernels of the type."""
    loaded = predictor_file.read_predictor(predictor, list(_core.FEATURES), list(_core.KERNEL_TYPES))
    return _core.KERNEL_TYPES.index(kernel_type) in loaded.ranges.measured


def _candidates(models, predictor, seed, families, shapes, left_out):
    """Networks with attention are made up for predictors that know it: there it differs between devices as the rest does."""
    if models is not None:
        return collect_models(models, shapes, left_out)
    known = generator.FAMILIES | generator.HYBRIDS
    unknown = sorted(set(families or ()) - set(known))
    if unknown:
        raise FitError(f"no family '{unknown[0]}'; there are: {', '.join(known)}")
    if families is None:
        families = known if _knows(predictor, "attention") else generator.FAMILIES
    graphs = generator.generate(POOL, seed, families)
    return [ModelSource(g["id"], generator.as_line(g), "benchmark", g["family"]) for g in graphs]


def _size_mb(source):
    """Of the file that is to be measured. Raises FitError for a graph that has no ONNX form."""
    if source.format == "benchmark":
        return 4e-6 * weight_count(json.loads(source.content))
    if isinstance(source.content, bytes):
        return 1e-6 * len(source.content)
    return 1e-6 * sum(os.path.getsize(path) for path in _files_of(source))


def _files_of(source):
    path = Path(source.content)
    beside = [path.with_name(path.name + ending) for ending in EXTERNAL]
    return [path, *(p for p in beside if p.exists())]


def _read(sources, rules, progress):
    """(TableBuilder, the sources that could be read, the MB of the file of each, one line for each other source)"""
    builder, good, sizes, faults = TableBuilder(rules), [], [], []
    for number, source in enumerate(sources):
        if progress:
            progress("reading candidates", number / len(sources))
        try:
            model, size = source.read(), _size_mb(source)
            builder.add(model, source.name, source.family)
            good.append(source)
            sizes.append(size)
        except Error as fault:
            faults.append(read_error(source, fault))
    return builder, good, sizes, faults


def _vectors(predictor, table, report):
    """A vector for each model of the table: choice.gradient_vectors."""
    loaded = predictor_file.read_predictor(predictor, table.features, table.types)
    everything = np.arange(len(table.models))
    evidence = Evidence(table, np.ones(len(everything)), everything, start=loaded)
    progress = (lambda share: report("comparing", share)) if report else None
    reach = Reach.of(loaded, predictor.rules, evidence)
    return gradient_vectors(loaded.network, evidence, everything, reach, progress=progress)


def _write_model(source, folder):
    if source.format == "benchmark":
        (folder / f"{source.name}.onnx").write_bytes(onnx_bytes(json.loads(source.content)))
    elif isinstance(source.content, bytes):
        (folder / f"{source.name}.onnx").write_bytes(source.content)
    else:
        for path in _files_of(source):
            shutil.copyfile(path, folder / path.name)


def _write_folder(output, sources, start):
    """Makes the folder whole or not at all."""
    output = Path(output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise FitError(f"{output}: is there already and not empty; name a new folder")
    if not output.parent.is_dir():
        raise FitError(f"{output.parent}: there is no such folder; make it first")
    temporary = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        for source in sources:
            _write_model(source, temporary)
        rows = "".join(f"{source.name},\n" for source in sources)
        (temporary / "latency.csv").write_text("model,latency_ms\n" + rows, encoding="utf-8")
        (temporary / "README.md").write_text(
            README.format(folder=shlex.quote(str(output)), start=shlex.quote(str(start))), encoding="utf-8"
        )
        temporary.chmod(0o755)
        if output.is_dir():
            output.rmdir()
        temporary.rename(output)
    except OSError as fault:
        raise FitError(f"{output}: cannot be written: {fault.strerror}; check the space left on the device") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def suggest(
    count,
    from_predictor,
    models=None,
    *,
    output=None,
    families=None,
    size_limit_mb=SIZE_LIMIT_MB,
    batch_size=0,
    input_shapes=None,
    seed=0,
    keep_going=False,
    report=None,
):
    """The `count` models whose measurement on a new device teaches the predictor most; a Suggestion.

    from_predictor: name or path of the predictor to calibrate: that of the most similar device, or "typical_phone".
    models: candidates as for fit(); None: networks of the usual families (or of the `families` named), made up at random; with
        attention too, where the predictor knows it.
    output: folder to write, with the models as ONNX (random weights where they were made up), an empty latency.csv to fill
        in, and a README that says how to go on. It must not exist yet, or be empty.
    size_limit_mb: larger files are not suggested.
    keep_going: leave out candidates that cannot be read, or written as ONNX.
    report: called as report(stage, share done); None: silent.

    Raises FitError, one line for each fault, and nn_meter.Error.
    """
    if count < 1:
        raise FitError(f"{count} models to suggest; ask for at least one")
    predictor = open_start(from_predictor)
    shapes = {"batch_size": batch_size, "input_shapes": input_shapes}
    no_models = []
    sources = _candidates(models, predictor, seed, families, shapes, no_models)
    if len(sources) > MOST_CANDIDATES:
        sources = [sources[i] for i in np.linspace(0, len(sources) - 1, MOST_CANDIDATES).astype(int)]
    builder, sources, sizes, faults = _read(sources, predictor.rules, report)
    if faults and not keep_going:
        raise FitError(*faults)
    small = [i for i, size in enumerate(sizes) if size <= size_limit_mb]
    if len(small) < count:
        large = len(sources) - len(small)
        raise FitError(
            f"only {len(small)} candidates for {count} models"
            + (f", {large} are larger than {size_limit_mb:g} MB; raise --size-limit" if large else "; ask for fewer")
            + " or give more models"
        )
    table = builder.finish()
    row_latencies, _, constant = table.estimate(predictor)
    with Reproducible(threads=1):
        chosen = choose(_vectors(predictor, table, report), small, count)
    if output is not None:
        start = from_predictor if isinstance(from_predictor, (str, os.PathLike)) else predictor.name
        _write_folder(output, [sources[i] for i in chosen], start)
    if report:
        report("done", 1.0)
    totals = table.totals(row_latencies, constant)
    return Suggestion(
        [sources[i].name for i in chosen],
        [float(totals[i]) for i in chosen],
        str(output) if output is not None else None,
        no_models + faults,
    )
