"""Networks of torchvision by name: every one, fast, without torch."""

import csv
import json
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "torchvision"))

import time_networks

DATA = Path(__file__).resolve().parents[1] / "data" / "torchvision.csv"
ROWS = list(csv.DictReader(DATA.open(encoding="utf-8")))
CPU = "cortexA76cpu_tflite21"
LIMIT_MS = 10  # for reading and predicting, beside what starting the program takes


def test_all_of_torchvision_are_there():
    kinds = [row["kind"] for row in ROWS]
    assert kinds.count("classification") == 80


def test_list(run):
    lines = run("--list-torchvision").stdout.splitlines()
    assert lines[0] == "(nn-Meter) Supported networks of torchvision:"
    names = [line.removeprefix("(nn-Meter) [Torchvision] ") for line in lines[1:]]
    assert names == sorted(row["name"] for row in ROWS)


def test_all_at_once(run):
    names = [row["name"] for row in ROWS]
    result = run("predict", "--quiet", "--predictor", CPU, "--torchvision", *names)
    assert (result.returncode, result.stderr) == (0, "")
    found = re.findall(r"\[RESULT\] predict latency for (\S+): (\S+) ms\n", result.stdout)
    assert [name for name, _ in found] == names
    assert all(float(latency) > 0 for _, latency in found)


@pytest.mark.parametrize("row", [row for row in ROWS if row["compared"] == "yes"], ids=lambda row: row["name"])
def test_work_is_what_torchvision_says(row):
    theirs = float(row["meta_gigaops"])
    assert int(row["multiply_adds"]) / 1e9 == pytest.approx(theirs, rel=0.01, abs=0.0005)


@pytest.mark.parametrize("row", [row for row in ROWS if row["kind"] == "classification"], ids=lambda row: row["name"])
def test_time(program, row):
    """Processor time: the tests share the machine with others."""
    if program.parent.name != "build":
        pytest.skip("only the optimised program is fast")
    started = time_networks.processor_time([str(program), "--version"])
    assert time_networks.predict_time(program, row["name"]) - started < LIMIT_MS


def test_sizes(run):
    def multiply_adds(*arguments):
        result = run("predict", "--csv", "--breakdown", "--predictor", CPU, "--torchvision", *arguments)
        assert result.returncode == 0, result.stderr
        return sum(int(row["multiply_adds"]) for row in csv.DictReader(result.stdout.splitlines()))

    own = multiply_adds("resnet18")
    assert multiply_adds("resnet18", "--batch-size", "4") == 4 * own
    assert multiply_adds("resnet18", "--input-shape", "1x3x448x448") > 3.9 * own
    assert multiply_adds("inception_v3", "--input-shape", "1x3x224x224") < 0.6 * multiply_adds("inception_v3")


def test_fixed_sizes_are_said(run):
    result = run("predict", "--predictor", CPU, "--torchvision", "alexnet", "--input-shape", "1x3x256x256")
    assert (result.returncode, result.stdout) == (1, "")
    assert re.match(r"nn-meter: error: alexnet: input: .*224.*\n$", result.stderr)


def test_unknown_names(run):
    result = run("predict", "--quiet", "--predictor", CPU, "--torchvision", "resnet_18", "resnet18")
    assert result.returncode == 1
    assert "[RESULT] predict latency for resnet18: " in result.stdout
    assert re.fullmatch(r"nn-meter: error: resnet_18: .*did you mean resnet18\?.*\n", result.stderr)


def test_a_folder_of_that_name_is_no_network(run, place):
    (place / "resnet18").mkdir()
    (place / "resnet18" / "other.onnx").write_bytes(b"")
    result = run("predict", "--quiet", "--predictor", CPU, "--torchvision", "resnet18")
    assert result.returncode == 0 and "for resnet18:" in result.stdout


def test_get_ir(run, place):
    result = run("get_ir", "--torchvision", "squeezenet1_1")
    assert result.returncode == 0
    graph = json.loads((place / "squeezenet1_1_torchvision_ir.json").read_text())
    assert any(node["attr"]["type"] == "Conv" for node in graph.values())


@pytest.mark.parametrize("stage", ["graph", "shapes", "kernels"])
def test_inspect(run, stage):
    result = run("inspect", f"--stage={stage}", "--predictor", CPU, "--torchvision", "mobilenet_v2")
    assert (result.returncode, result.stderr) == (0, "")
    assert "/features/features.0/features.0.0/Conv" in result.stdout  # the names that torch gave


def test_completion(run):
    assert "--list-torchvision" in run("completion", "bash").stdout
    for shell in ("bash", "zsh", "fish"):
        assert "[Torchvision]" in run("completion", shell).stdout.replace("\\", "")
