"""fit(): from measured latencies to a predictor file, its card and its plot."""

import os
import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .. import Predictor, predictors
from . import calibration, predictor_file, training
from .card import card_text, paragraph
from .errors import FitError
from .evidence import gather
from .interval import Interval
from .judgement import Judgement
from .measurements import read_measurements
from .models import collect_models
from .plot import plot_png
from .progress import Silent
from .reach import Reach
from .start import open_start

LEAST = {"training": 100, "calibration": 3}  # measurements that make sense
LEAST_AT_ALL = {"training": 20, "calibration": 1}  # with keep_going
FEW = 50  # up to here a calibration is judged by leaving out each fifth in turn, and learns from all in the end
FOLDS = 5
SUSPECT_OTHER_DEVICE = 100  # times slower or faster than the predictor to start from
SUSPECT_ANY_DEVICE = 150  # times slower than the slowest, or faster than the fastest, of the built-in predictors
SUFFIX = ".nnmeter"
DEFAULT_RULES = "cortexA76cpu_tflite21"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+]{0,31}")


@dataclass
class FitResult:
    """A fitted predictor and how well it does."""

    name: str
    version: str
    data: bytes  # the predictor file
    judgement: Judgement  # measured against predicted
    card: str  # Markdown
    paths: dict = field(default_factory=dict)  # "predictor", "card", "plot"; empty without output
    left_out: list = field(default_factory=list)  # one line for each thing that was not used

    def predictor(self):
        """The opened nn_meter.Predictor."""
        return Predictor(self.data)


@dataclass
class _Job:
    """What fit() was asked for, checked."""

    device: str
    version: str
    output: Path
    start: Predictor
    seed: int
    held_out: float
    epochs: int
    keep_going: bool

    @property
    def kind(self):
        return "calibration" if self.start else "training"


# ------------------------------------------------------------------------------------------------ checks


def _check_names(device, version):
    if device is None:
        raise FitError("device: no name for the predictor; give one, such as 'my_phone'")
    if not NAME.fullmatch(device) or device == "all":
        raise FitError(
            f"device: '{device}' cannot be a predictor's name; use up to 64 letters, digits and any of '._+-', starting "
            "with a letter or digit"
        )
    if not VERSION.fullmatch(version):
        raise FitError(f"version: '{version}' cannot be a version; use digits and points, such as 1.0")


def _check_output(output):
    if output is None:
        return None
    output = Path(output)
    if output.suffix != SUFFIX:
        raise FitError(f"{output}: the output must end in {SUFFIX}; try {output.with_suffix(SUFFIX)}")
    if output.is_dir():
        raise FitError(f"{output}: is a folder; give the name of a file in it")
    folder = output.parent
    if not folder.is_dir():
        raise FitError(f"{folder}: there is no such folder; make it first")
    if not os.access(folder, os.W_OK):
        raise FitError(f"{folder}: nothing can be written there; choose another folder for the output")
    return output


def _rules_of(fusion_rules, start):
    """(bytes, where they come from)"""
    if isinstance(fusion_rules, (bytes, bytearray)):
        return bytes(fusion_rules), "as given"
    if fusion_rules is not None:
        try:
            return Path(fusion_rules).read_bytes(), f"of {os.path.basename(fusion_rules)}"
        except OSError as fault:
            raise FitError(f"{fusion_rules}: cannot be read: {fault.strerror}; check the path") from None
    if start is not None:
        return start.rules, f"those of {start.name}"
    return Predictor(DEFAULT_RULES).rules, f"those of {DEFAULT_RULES}, for want of the device's own"


def _check_count(count, job):
    least, least_at_all = LEAST[job.kind], LEAST_AT_ALL[job.kind]
    if count >= least or (job.keep_going and count >= least_at_all):
        return
    if job.start:
        remedy = f"measure {least}, better 10 (nn-meter fit --suggest 10 says which)"
    else:
        remedy = (
            f"measure {least}, better 1000, or start from the predictor of a similar device with --from, for which 10 are "
            "enough"
        )
    if count >= least_at_all:
        remedy += ", or go on anyway with --keep-going"
    raise FitError(f"{count} measurements are too few for a {job.kind}: {remedy}")


def _suspicion(gathered, start):
    """A line when the measurements look like another unit than milliseconds, or None."""

    def ratio(predictor):
        rows, _, constant = gathered.table.estimate(predictor)
        return float(np.median(gathered.latencies / gathered.table.totals(rows, constant)))

    if start:
        ratios, whose, limit = [ratio(start)], f"what {start.name} predicts", SUSPECT_OTHER_DEVICE
    else:
        ratios = [ratio(Predictor(item[0])) for item in predictors() if item[3] == "built in"]
        whose, limit = "what any built-in predictor says", SUSPECT_ANY_DEVICE
    if ratios and min(ratios) > limit:
        return (
            f"the latencies are {min(ratios):.0f} times {whose}: microseconds instead of milliseconds? Divide them by "
            "1000, or go on anyway with --keep-going"
        )
    if ratios and max(ratios) < 1 / limit:
        return (
            f"the latencies are 1/{1 / max(ratios):.0f} of {whose}: seconds instead of milliseconds? Multiply them by "
            "1000, or go on anyway with --keep-going"
        )
    return None


# ------------------------------------------------------------------------------------------------ splits


def ranks(names, seed):
    """A number for each name, the same in every run: its place in an order that nothing but name and seed decides."""
    distinct = sorted(set(names), key=lambda name: (zlib.crc32(f"{seed}:{name}".encode()), name))
    place = {name: i for i, name in enumerate(distinct)}
    return np.array([place[name] for name in names]), len(distinct)


def split(owners, share, seed):
    """Mask of the items set aside: those of `share` of the models, but never all."""
    place, count = ranks(owners, seed)
    return place < min(round(count * share), count - 1)


# ------------------------------------------------------------------------------------------------ fitting


def _train(job, gathered, rules, chosen, report):
    """The data section of a predictor learned from the chosen items."""
    if job.start:
        loaded = predictor_file.read_predictor(job.start, gathered.table.features, gathered.table.types)
        evidence = training.Evidence(gathered.table, gathered.latencies, chosen, start=loaded)
        now = training.predict(loaded.network, evidence, chosen)
        network = calibration.calibrate(loaded.network, evidence, now, Reach.of(loaded, rules, evidence), report=report)
        return predictor_file.network_section(network, evidence)
    validation = split([gathered.owners[i] for i in chosen], 0.1, job.seed + 1) if len(chosen) >= 50 else None
    watched = chosen[validation] if validation is not None else None
    learned = chosen[~validation] if validation is not None else chosen
    evidence = training.Evidence(gathered.table, gathered.latencies, learned)
    settings = training.Settings.for_count(len(learned), job.seed)
    if job.epochs:
        settings.epochs = job.epochs
    network = training.fit(evidence, settings, report, watched)
    return predictor_file.network_section(network, evidence)


def _write(job, section, rules, card):
    return predictor_file.container(job.device, job.version, card, rules, section)


def _predicted(gathered, data):
    """Milliseconds of each item as the C library computes them from the file."""
    rows, doubts, constant = gathered.table.estimate(Predictor(data))
    return gathered.table.totals(rows, constant), rows, doubts == 0


def _fit_and_judge(job, gathered, rules, progress):
    """(data section, predicted ms of each item, mask of held-out items)"""
    everything = np.arange(len(gathered.owners))
    place, models = ranks(gathered.owners, job.seed)
    if job.start and models <= FEW and job.held_out:
        predicted, folds = np.full(len(everything), np.nan), min(FOLDS, models)
        for fold in range(folds if models > 1 else 0):
            out = place % folds == fold
            stage = f"judging, part {fold + 1} of {folds}"
            section = _train(job, gathered, rules, everything[~out], progress.stage(stage))
            predicted[out] = _predicted(gathered, _write(job, section, rules, ""))[0][out]
        section = _train(job, gathered, rules, everything, progress.stage("calibrating"))
        return section, predicted, np.isfinite(predicted)
    out = split(gathered.owners, job.held_out, job.seed)
    stage = "calibrating" if job.start else "training"
    section = _train(job, gathered, rules, everything[~out], progress.stage(stage))
    return section, np.full(len(everything), np.nan), out


def _judge(job, gathered, section, rules, predicted, held_out):
    """(Judgement, the section with its interval)"""
    data = _write(job, section, rules, "")
    final, rows, in_range = _predicted(gathered, data)
    predicted = np.where(np.isfinite(predicted), predicted, final)
    judgement = Judgement(gathered.table, gathered.latencies, predicted, held_out, rows, in_range)
    interval = Interval.of(judgement.residuals)
    return judgement, predictor_file.with_interval(section, interval) if interval else section


def _save(output, data, card, plot):
    """Writes predictor, card and plot: all under temporary names first, the predictor put in place last."""
    files = {
        "plot": (output.with_suffix(".png"), plot),
        "card": (output.with_suffix(".card.md"), card.encode()),
        "predictor": (output, data),
    }
    temporary = {}
    try:
        for kind, (path, content) in files.items():
            temporary[kind] = path.with_name(f".{path.name}.{os.getpid()}")
            temporary[kind].write_bytes(content)
        for kind, (path, _) in files.items():
            os.replace(temporary[kind], path)
            del temporary[kind]
    except OSError as fault:
        raise FitError(f"{output}: cannot be written: {fault.strerror}; check the space left on the device") from None
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)
    return {kind: str(path) for kind, (path, _) in files.items()}


def fit(
    models,
    latencies=None,
    kernels=None,
    *,
    device,
    from_predictor=None,
    fusion_rules=None,
    output=None,
    version="1.0",
    column=None,
    batch_size=0,
    input_shapes=None,
    seed=0,
    held_out=0.2,
    epochs=None,
    threads=1,
    keep_going=False,
    report=None,
):
    """A predictor from measured latencies: from scratch, or from another predictor, calibrated.

    models: what was measured: a folder of model files, a JSONL file of benchmark graphs, a list of paths, {name: path or
        bytes}.
    latencies: of whole models in milliseconds: a CSV file with columns model, latency_ms (or `column`), family (optional),
        or {model: ms}.
    kernels: of single kernels, without the model's constant: a CSV file with columns model, kernel, latency_ms, or
        {(model, node): ms}; the node is any of the kernel's, or "" for a model that is one kernel. Either alone is enough.
    device, version: name and version of the predictor.
    from_predictor: name or path of the predictor to start from, "typical_phone" for the mean of some phones' CPUs; 10
        measurements are then enough.
    fusion_rules: path or content of a fusion_rules.json; those of from_predictor, or of a phone's CPU, when not given.
    output: the predictor file to write, whole or not at all, with NAME.card.md and NAME.png beside it.
    batch_size, input_shapes: for model inputs that leave their shape open.
    seed: the same seed gives the same bytes on the same machine, with as many threads.
    held_out: share of the models that is kept aside to judge the predictor by.
    epochs: turns over the measurements of a training from scratch; chosen for their number when None. A calibration has
        none.
    threads: of torch; more help when thousands of models were measured.
    keep_going: leave out what does not match or cannot be read, accept a suspected unit and few measurements.
    report: called as report(stage, share done); None: silent.

    Returns a FitResult. Raises FitError, one line for each fault, and nn_meter.Error.
    """
    _check_names(device, version)
    job = _Job(device, version, _check_output(output), open_start(from_predictor), seed, held_out, epochs, keep_going)
    if latencies is None and kernels is None:
        raise FitError("no latencies: give those of models, of kernels, or both")
    if job.start and epochs is not None:
        raise FitError(
            "epochs: a calibration takes no turns over the measurements, it is solved at once; leave them out"
        )
    if not 0 <= held_out < 1:
        raise FitError(f"held_out: {held_out} is no share; give 0.2 for a fifth of the models")
    progress = Silent(report)
    rules, rules_origin = _rules_of(fusion_rules, job.start)
    no_models = []
    sources = collect_models(models, {"batch_size": batch_size, "input_shapes": input_shapes}, no_models)
    whole, empty = read_measurements(latencies, column) if latencies is not None else ([], set())
    single, empty_single = read_measurements(kernels, column, kernels=True) if kernels is not None else ([], set())
    gathered = gather(
        sources, whole, single, rules, empty | empty_single, keep_going, progress.stage("reading models", plain=True)
    )
    _check_count(len(gathered.owners), job)
    suspicion = _suspicion(gathered, job.start)
    if suspicion and not keep_going:
        raise FitError(suspicion)
    with training.Reproducible(threads):
        section, predicted, held = _fit_and_judge(job, gathered, rules, progress)
    judgement, section = _judge(job, gathered, section, rules, predicted, held)
    data = _write(job, section, rules, paragraph(job, judgement))
    left_out = no_models + gathered.left_out + ([suspicion] if suspicion else [])
    card = card_text(job, judgement, rules_origin, left_out, Predictor(data))
    result = FitResult(device, version, data, judgement, card, left_out=left_out)
    if job.output:
        result.paths = _save(job.output, data, card, plot_png(judgement, f"{device} {version}"))
    progress.close()
    return result
