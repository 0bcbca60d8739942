"""The card of a fitted predictor: what it was made from, how well it does, where it is weak."""

import numpy as np

WEAK_FAMILIES, WEAK_TYPES = 3, 5
LEAST_SHARE = 0.02  # kernel types that carry less of the latency say nothing about the error
RANGES = {  # feature: what a user calls it; a logarithm of one plus the number
    "log_multiply_adds": "multiply-adds of a kernel",
    "log_input_height": "input rows",
    "log_input_channels": "input channels",
    "log_output_channels": "output channels",
    "log_kernel_height": "rows of the window",
    "log_stride_height": "stride",
    "log_weight_elements": "weights of a kernel",
    "log_batch": "batch size",
}


def percent(share):
    return "-" if np.isnan(share) else f"{100 * share:.1f} %"


def counted(count, noun):
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def amounts(judgement):
    """ "120 whole models and 30 single kernels" """
    models, kernels = int(judgement.whole.sum()), int((~judgement.whole).sum())
    parts = [counted(models, "whole model")] * bool(models) + [counted(kernels, "single kernel")] * bool(kernels)
    return " and ".join(parts)


def paragraph(job, judgement):
    """The card inside the predictor file: one paragraph."""
    figures = judgement.figures()
    origin = f"Calibrated from {job.start.name} {job.start.version}" if job.start else "Learned"
    text = f"{origin} by nn_meter.fit with the measured latencies of {amounts(judgement)}, milliseconds. "
    if figures.count:
        text += (
            f"On {figures.count:,} of them that it did not see: {percent(figures.within_10)} within 10 %, median error "
            f"{percent(figures.median)}. "
        )
    else:
        text += "How accurate it is was not measured: nothing was held out. "
    if judgement.whole.all():
        text += "Single kernels were never measured: their shares are inferred."
    return text.strip()


def _table(title, rows):
    lines = [f"| {title} | number | ±5 % | ±10 % | median error | RMS error |", "|---|---:|---:|---:|---:|---:|"]
    for name, f in rows:
        cells = [name, f"{f.count:,}", *map(percent, (f.within_5, f.within_10, f.median, f.rms))]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _data(job, judgement, rules_origin, left_out):
    out = int(judgement.held_out.sum())
    lines = [f"- Measured: {amounts(judgement)}."]
    families = sorted({family for family in judgement.table.families if family})
    if len(families) > 1:
        lines.append(f"- Families: {', '.join(families[:30])}{' and more' if len(families) > 30 else ''}.")
    if job.start:
        lines.append(
            f"- Start: {job.start.name} {job.start.version} ({job.start.origin}), whose weights were moved as little as the measurements ask for."
        )
    else:
        lines.append("- Start: none, every weight was learned from these measurements.")
    if not out:
        lines.append("- Split: nothing was held out, so the accuracy is not known.")
    elif out == len(judgement.measured):
        lines.append(
            "- Split: the measurements are few, so each was judged by a predictor made from the others (five parts in turn); "
            "the final predictor learned from all."
        )
    else:
        lines.append(
            f"- Split: {out:,} held out (by a checksum of their names, seed {job.seed}), {len(judgement.measured) - out:,} learned from."
        )
    lines.append(f"- Fusion rules: {rules_origin}.")
    lines.append(
        f"- Range of what was measured: {judgement.measured.min():.3g} to {judgement.measured.max():.3g} ms; "
        f"{counted(len(judgement.row_latencies), 'distinct kernel')}."
    )
    return "\n".join(lines + [f"- Left out: {line}" for line in left_out])


def _accuracy(judgement):
    if not judgement.held_out.any():
        return "Not known: nothing was held out."
    rows = []
    if (judgement.held_out & judgement.whole).any():
        rows.append(("**whole models**", judgement.figures(judgement.whole)))
        families = judgement.by_family()
        if len(families) > 1:
            rows += list(families.items())
    if (judgement.held_out & ~judgement.whole).any():
        rows.append(("**single kernels**", judgement.figures(~judgement.whole)))
    return "On what was held out:\n\n" + _table("family", rows)


def _weak(judgement):
    lines = []
    families = {name: f for name, f in judgement.by_family().items() if f.count}
    worst = sorted(families.items(), key=lambda item: -item[1].median)[:WEAK_FAMILIES]
    if len(families) > 1:
        lines.append(
            "Worst families: " + ", ".join(f"{name} (median error {percent(f.median)})" for name, f in worst) + "."
        )
    types = {name: value for name, value in judgement.by_type().items() if value[0] >= LEAST_SHARE}
    worst = sorted(types.items(), key=lambda item: -item[1][1])[:WEAK_TYPES]
    lines.append(
        "Errors are largest where these kernel types carry the latency: "
        + ", ".join(f"{name} ({percent(error)}; {percent(share)} of all latency)" for name, (share, error) in worst)
        + "."
    )
    return lines


def _never(judgement, predictor_types):
    never = judgement.never_measured()
    text = f"Kernel types in none of these measurements: {', '.join(never)}." if never else ""
    return [text + (predictor_types if never else "")] if never else []


def _ranges(table):
    lines = ["| | from | to |", "|---|---:|---:|"]
    used = np.unique(table.rows)
    for feature, name in RANGES.items():
        column = np.expm1(table.values[used][:, table.features.index(feature)].astype(float))
        lines.append(f"| {name} | {float(f'{column.min():.4g}'):,.0f} | {float(f'{column.max():.4g}'):,.0f} |")
    return "\n".join(lines)


def card_text(job, judgement, rules_origin, left_out, predictor):
    """Markdown."""
    weak = _weak(judgement)
    weak += _never(
        judgement,
        f" What the predictor says of them comes from {job.start.name}, scaled."
        if job.start
        else " They are predicted as measured types of the same class are, and marked as outside the range.",
    )
    if judgement.whole.all():
        weak.append("No kernel was measured alone: of kernels that always occur together only the sum is certain.")
    parts = [
        f"# {job.device}, version {job.version}",
        "Written by `nn_meter.fit` beside the predictor file.",
        predictor.card,
        "## Data",
        _data(job, judgement, rules_origin, left_out),
        "## Accuracy",
        _accuracy(judgement),
        "## Where it is weak",
        "\n".join(f"- {line}" for line in weak),
        "## Range of the measured kernels",
        "Beyond it the predictor goes on by the amount of work alone, and says so.",
        _ranges(judgement.table),
    ]
    return "\n\n".join(parts) + "\n"
