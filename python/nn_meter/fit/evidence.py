"""Models and measurements put together: what is known of which kernels, and everything that does not fit."""

import difflib
import re
from dataclasses import dataclass, field

import numpy as np

from .. import Error, Rules
from .errors import FitError, some
from .kernel_table import TableBuilder
from .measurements import SPREAD
from .models import base_name, read_error

MORE_NODES = re.compile(r" \+\d+$")  # "conv1 +2": how the breakdown prints a kernel of three nodes


@dataclass
class Gathered:
    """Measurements as training wants them. Item i is model i of the table: a whole one, or a kernel measured alone."""

    builder: TableBuilder
    table: object = None  # KernelTable, when finished
    latencies: list = field(default_factory=list)  # [item], milliseconds; when finished an array
    owners: list = field(default_factory=list)  # [item]: name of the model it belongs to
    left_out: list = field(default_factory=list)  # one line for each thing that was not used

    def add(self, model, name, family, latency_ms, owner, kernel=-1):
        self.builder.add(model, name, family, kernel)
        self.owners.append(owner)
        self.latencies.append(latency_ms)

    def finish(self):
        self.table = self.builder.finish()
        self.latencies = np.array(self.latencies)
        return self


def _by_name(sources, measurements):
    """{model name: [its measurements]} and those that belong to no model. A measurement may call a model by its name, its
    file's name or its path."""
    names, found, strangers = {source.name for source in sources}, {}, []
    for measurement in measurements:
        name = measurement.model if measurement.model in names else base_name(measurement.model)
        if name in names:
            found.setdefault(name, []).append(measurement)
        else:
            strangers.append(measurement)
    return found, strangers


def _unmatched(sources, whole, kernels, empty):
    """Lines for models without measurements and measurements without models."""
    lines = []
    known, strangers = _by_name(sources, whole)
    known_kernels, more = _by_name(sources, kernels)
    without = [source.name for source in sources if source.name not in known and source.name not in known_kernels]
    if without:
        unfilled = sum(base_name(name) in without or name in without for name in empty)
        why = f" ({unfilled} have a row whose latency is not filled in)" if unfilled else ""
        lines.append(
            f"{len(without)} of {len(sources)} models have no latency{why}: {some(without)}; measure them, take them out, "
            "or leave them out with --keep-going"
        )
    strangers += more
    if strangers:
        nearest = difflib.get_close_matches(strangers[0].model, [source.name for source in sources], 1)
        hint = f" (did you mean '{nearest[0]}'?)" if nearest else ""
        lines.append(
            f"{strangers[0].place}: {len({m.model for m in strangers})} measured models are not among the models: "
            f"{some({m.model for m in strangers})}{hint}; add their files, or leave them out with --keep-going"
        )
    return lines, known, known_kernels


def _find_kernel(kernels, measurement):
    """Index of the kernel that a measurement names; raises FitError."""
    names, members = kernels["names"], kernels["members"]
    if not measurement.kernel:
        if len(names) == 1:
            return 0
        raise FitError(
            f"{measurement.place}: {measurement.model}: no kernel is named and the model has {len(names)}; name one of its "
            f"nodes, as nn-meter predict --breakdown prints them"
        )
    wanted = MORE_NODES.sub("", measurement.kernel)
    for index, nodes in enumerate(members):
        if wanted in nodes or wanted == names[index]:
            return index
    every = [node for nodes in members for node in nodes]
    nearest = difflib.get_close_matches(wanted, every, 1)
    raise FitError(
        f"{measurement.place}: {measurement.model}: no kernel has a node '{wanted}'"
        + (f"; did you mean '{nearest[0]}'?" if nearest else f"; its nodes are {some(every)}")
    )


def _agreed(rows, faults):
    """The median of what several rows say of one thing."""
    low, high = min(rows, key=lambda row: row.latency_ms), max(rows, key=lambda row: row.latency_ms)
    middle = float(np.median([row.latency_ms for row in rows]))
    if high.latency_ms - low.latency_ms > SPREAD * middle:
        names = [f"{row.model}{': ' if row.kernel else ''}{row.kernel or ''}" for row in (high, low)]
        faults.append(
            f"{high.place}: {names[0]} and {names[1]} are the same, measured as {high.latency_ms:g} and "
            f"{low.latency_ms:g} ms; keep the right one"
        )
    return middle


def _add_kernels(gathered, model, source, rules, measurements, faults):
    kernels = model.kernels(rules)
    at = {}
    for measurement in measurements:
        try:
            at.setdefault(_find_kernel(kernels, measurement), []).append(measurement)
        except FitError as fault:
            faults.extend(fault.faults)
    for index, rows in sorted(at.items()):
        family = rows[0].family or source.family
        name = f"{source.name}:{kernels['names'][index]}"
        gathered.add(model, name, family, _agreed(rows, faults), source.name, index)


def gather(sources, whole, kernels, rules, empty=(), keep_going=False, progress=None):
    """Gathered from [ModelSource], [Measurement] of whole models and of kernels, and fusion rules (bytes).

    keep_going: leave out what does not match and what cannot be read. progress(share) is called as models are read.
    Raises FitError with everything that is wrong.
    """
    parsed = Rules(rules, "fusion rules")
    lines, known, known_kernels = _unmatched(sources, whole, kernels, empty)
    faults = [] if keep_going else lines
    gathered = Gathered(TableBuilder(rules), left_out=lines if keep_going else [])
    for number, source in enumerate(sources):
        if progress:
            progress(number / len(sources))
        if source.name not in known and source.name not in known_kernels:
            continue
        try:
            model = source.read()
            if rows := known.get(source.name):
                family = rows[0].family or source.family
                gathered.add(model, source.name, family, _agreed(rows, faults), source.name)
            _add_kernels(gathered, model, source, parsed, known_kernels.get(source.name, ()), faults)
        except Error as fault:
            (gathered.left_out if keep_going else faults).append(read_error(source, fault))
    if faults:
        raise FitError(*faults)
    if not gathered.owners:
        raise FitError("nothing is left to learn from; see what was left out: " + "; ".join(gathered.left_out[:3]))
    return gathered.finish()
