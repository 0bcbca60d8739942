#!/usr/bin/env python3
"""Times nn-meter predict on each of torchvision's networks, a process each, and writes what it found to a page.

usage: time_networks.py PROGRAM [--write docs/torchvision.md]

Times are processor time of the whole process, the best of several runs: the clock on the wall also counts what else the
machine does.
"""

import argparse
import csv
import os
import re
import statistics
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PREDICTOR = "cortexA76cpu_tflite21"
RUNS = 10
SLOWEST = 5


def processor_time(command, runs=RUNS):
    """Milliseconds of the fastest of several runs of a command, which must succeed."""
    null = os.open(os.devnull, os.O_RDWR)
    best = float("inf")
    for _ in range(runs):
        actions = [(os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, null, 2)]
        process = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
        _, status, usage = os.wait4(process, 0)
        if status:
            raise RuntimeError(f"{' '.join(command)}: exit {os.waitstatus_to_exitcode(status)}")
        best = min(best, (usage.ru_utime + usage.ru_stime) * 1e3)
    os.close(null)
    return best


def predict_time(program, name):
    return processor_time([str(program), "predict", "-q", "--predictor", PREDICTOR, "--torchvision", name])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    with open(ROOT / "tests/data/torchvision.csv", encoding="utf-8") as file:
        times = {row["name"]: predict_time(arguments.program, row["name"]) for row in csv.DictReader(file)}
    slowest = sorted(times, key=times.get, reverse=True)[:SLOWEST]
    lines = ["| network | ms |", "|---|---:|"]
    lines += [f"| `{name}` | {times[name]:.1f} |" for name in slowest]
    lines.append(f"| median of all | {statistics.median(times.values()):.1f} |")
    lines.append(f"| `nn-meter --version` | {processor_time([str(arguments.program), '--version'], 50):.1f} |")
    text = "\n".join(lines)
    print(text)
    if arguments.write:
        before = arguments.write.read_text(encoding="utf-8")
        pattern = "(<!-- timed by make torchvision -->\n).*?(\n<!-- end -->)"
        after = re.sub(pattern, lambda match: match[1] + text + match[2], before, flags=re.DOTALL)
        arguments.write.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    main()
