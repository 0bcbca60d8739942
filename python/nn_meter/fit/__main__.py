"""nn-meter fit: the command line of nn_meter.fit. The C program `nn-meter` checks the options and starts this."""

import argparse
import os
import re
import sys

from .. import Error, fit
from .errors import MissingPackage
from .progress import Bar


def parse_shape(text):
    """(name, [sizes]) of "NAME:1x3x224x224" or "1x3x224x224"."""
    name, _, sizes = text.rpartition(":")
    return name, [int(size) for size in re.split("[xX,]", sizes)]


def parser():
    p = argparse.ArgumentParser(prog="nn-meter fit", description=__doc__, allow_abbrev=False)
    p.add_argument("--models", nargs="+", action="extend", metavar="PATH")
    p.add_argument("--latency", metavar="FILE")
    p.add_argument("--kernels", metavar="FILE")
    p.add_argument("--column", metavar="NAME")
    p.add_argument("--from", dest="start", metavar="PREDICTOR")
    p.add_argument("--device", metavar="NAME")
    p.add_argument("--version", default="1.0", metavar="VERSION")
    p.add_argument("--output", "-o", metavar="FILE", required=True)
    p.add_argument("--fusion-rules", metavar="FILE")
    p.add_argument("--suggest", type=int, metavar="N")
    p.add_argument("--size-limit", type=int, default=100, metavar="MB")
    p.add_argument("--seed", type=int, default=0, metavar="N")
    p.add_argument("--epochs", type=int, metavar="N")
    p.add_argument("--threads", type=int, default=1, metavar="N")
    p.add_argument("--batch-size", type=int, default=0, metavar="N")
    p.add_argument("--input-shape", action="append", default=[], metavar="NAME:1x3x224x224")
    p.add_argument("--keep-going", action="store_true")
    p.add_argument("--quiet", "-q", action="store_true")
    return p


def say(kind, text, bar):
    bar.clear()
    for line in text.splitlines():
        print(f"nn-meter: {kind}: {line}", file=sys.stderr)


def common(options, bar):
    return {
        "batch_size": options.batch_size,
        "input_shapes": dict(map(parse_shape, options.input_shape)) or None,
        "seed": options.seed,
        "keep_going": options.keep_going,
        "report": bar,
    }


def run_suggest(options, bar):
    found = fit.suggest(
        options.suggest,
        options.start,
        options.models,
        output=options.output,
        size_limit_mb=options.size_limit,
        **common(options, bar),
    )
    if not options.quiet:
        for line in found.left_out:
            say("warning", f"left out: {line}", bar)
    for name, latency in zip(found.models, found.predicted_ms):
        print(f"(nn-Meter) [Suggestion] {name}: {latency:.3f} ms expected on {options.start}")
    if not options.quiet:
        say("info", f"{found.folder}: measure these, fill in latency.csv; README.md says how to go on", bar)


def run_fit(options, bar):
    result = fit.fit(
        options.models,
        options.latency,
        options.kernels,
        device=options.device,
        version=options.version,
        from_predictor=options.start,
        fusion_rules=options.fusion_rules,
        output=options.output,
        column=options.column,
        epochs=options.epochs,
        threads=options.threads,
        **common(options, bar),
    )
    figures = result.judgement.figures()
    print(f"(nn-Meter) Successfully fitted predictor: {result.name}")
    if figures.count:
        print(
            f"(nn-Meter) [Accuracy] {figures.count} held out: {100 * figures.within_10:.1f} % within 10 %, "
            f"{100 * figures.within_5:.1f} % within 5 %, median error {100 * figures.median:.2f} %"
        )
    if not options.quiet:
        for line in result.left_out:
            say("warning", line, bar)
        say("info", "written: " + ", ".join(result.paths[kind] for kind in ("predictor", "card", "plot")), bar)


def main(arguments=None):
    """Exit status: 0 all well, 1 failed, 2 wrong usage."""
    options = parser().parse_args(arguments)
    bar = Bar()
    if options.quiet:
        bar.wanted = False
    try:
        (run_fit if options.suggest is None else run_suggest)(options, bar)
    except MissingPackage as fault:
        say("error", f"{sys.executable}: {fault}", bar)
        return 1
    except Error as fault:
        say("error", str(fault), bar)
        return 1
    except KeyboardInterrupt:
        say("error", "interrupted; nothing was written", bar)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
