"""A place with small models and one small predictor, and the program run in it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))  # pytest's importlib mode adds no folder by itself
import small_files  # noqa: E402

TFLITE = Path(__file__).resolve().parents[1] / "data" / "tflite"


@pytest.fixture
def place(tmp_path):
    """A working folder: NN_METER_HOME with predictor tiny 1.0, and some models."""
    predictors = tmp_path / "home" / "predictors"
    predictors.mkdir(parents=True)
    (predictors / "tiny-1.0.nnmeter").write_bytes(small_files.predictor())
    (tmp_path / "net.onnx").write_bytes(small_files.two_convolutions())
    (tmp_path / "open.onnx").write_bytes(small_files.two_convolutions(("N", 3, "H", "W")))
    (tmp_path / "tail.onnx").write_bytes(small_files.two_convolutions(tail=["GlobalAveragePool"]))
    (tmp_path / "broken.onnx").write_bytes(small_files.two_convolutions()[:100])
    shutil.copyfile(TFLITE / "y_network.tflite", tmp_path / "net.tflite")
    folder = tmp_path / "models"
    (folder / "below").mkdir(parents=True)
    for name in ("b.onnx", "a.onnx", "c.onnx", ".hidden.onnx", "below/d.onnx"):
        (folder / name).write_bytes(small_files.two_convolutions())
    (folder / "readme.txt").write_text("not a model")
    return tmp_path


@pytest.fixture
def run(program, place):
    """run("predict", ...) in the place -> CompletedProcess; bytes with text=False."""

    def start(*arguments, text=True, environment=None, **options):
        variables = {**os.environ, "NN_METER_HOME": str(place / "home"), **(environment or {})}
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        command = [str(program), *(a if isinstance(a, bytes) else str(a) for a in arguments)]
        return subprocess.run(
            command, cwd=place, text=text, env=variables, stderr=subprocess.PIPE, timeout=120, check=False, **options
        )

    return start


@pytest.fixture
def predict(run):
    """run("predict", "--predictor", "tiny", ...)"""
    return lambda *arguments, **options: run("predict", "--predictor", "tiny", *arguments, **options)
