"""nn-meter fit as far as the C program goes: its options, and finding a Python. tests/python/fit has the rest."""

import sys

import pytest

FIT = ["fit", "--models", "m", "--latency", "l.csv", "--device", "d", "--output", "d.nnmeter"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["fit"], "the following arguments are required: --output"),
        (["fit", "--output", "o"], "the following arguments are required: --models"),
        (["fit", "--output", "o", "--models", "m"], "the following arguments are required: --device"),
        (["fit", "--output", "o", "--models", "m", "--device", "d"], "name them with --latency, --kernels or both"),
        (["fit", "--output", "o", "--suggest", "3"], "--suggest needs --from"),
        (["fit", "--output", "o", "--suggest", "0", "--from", "x"], "argument --suggest: 0 is not between 1 and"),
        ([*FIT, "--input-shape", "1xtwo"], "invalid shape '1xtwo'"),
        ([*FIT, "--from", "p", "--epochs", "3"], "argument --epochs: not allowed with argument --from"),
        ([*FIT, "--version", "new"], "argument --version: invalid float value: 'new'"),
        (["fit", "model.onnx"], "unrecognized arguments: model.onnx"),
    ],
)
def test_wrong_usage(run, arguments, expected):
    result = run(*arguments, environment={"NN_METER_PYTHON": "/does/not/exist"})
    assert result.returncode == 2 and expected in result.stderr


def test_no_python(run):
    result = run(*FIT, environment={"NN_METER_PYTHON": "/does/not/exist"})
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("nn-meter: error: /does/not/exist: cannot be started: No such file or directory; ")
    assert "pip install 'nn-meter[fit]'" in line


@pytest.fixture
def bare_python(place):
    """A Python that has nothing installed, whatever the one that runs the tests has."""
    script = place / "bare_python"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    script.chmod(0o755)
    return script


def test_a_python_without_the_package(run, bare_python):
    result = run(*FIT, environment={"NN_METER_PYTHON": bare_python, "PYTHONPATH": ""})
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"nn-meter: error: {sys.executable}: No module named 'nn_meter'")
    assert line.endswith("or set NN_METER_PYTHON to the Python that has it")


def test_the_folder_we_are_in_is_not_imported_from(run, place, bare_python):
    (place / "nn_meter").mkdir()
    (place / "nn_meter" / "__init__.py").write_text("raise SystemExit('imported')")
    result = run(*FIT, environment={"NN_METER_PYTHON": bare_python, "PYTHONPATH": ""})
    assert result.returncode == 1 and "imported" not in result.stderr


def test_options_reach_python_in_full(run, place):
    """Beginnings of options, several models, letters: Python gets each in its long form."""
    fake = place / "python"
    fake.write_text('#!/bin/sh\nshift 2\nfor argument in "$@"; do echo "$argument"; done\n')
    fake.chmod(0o755)
    result = run(
        *("fit", "--model", "a", "b c", "--lat=l.csv", "--dev", "d", "-o", "d.nnmeter", "--keep", "-q", "--seed", "7"),
        *("--input-shape", "x:1x3", "--batch-size", "2", "--kernels", "k", "--from", "p", "--version", "2.0"),
        environment={"NN_METER_PYTHON": str(fake)},
    )
    assert result.returncode == 0
    assert result.stdout.splitlines() == [
        *(
            "--latency=l.csv",
            "--kernels=k",
            "--from=p",
            "--device=d",
            "--version=2.0",
            "--output=d.nnmeter",
            "--seed=7",
        ),
        *("--batch-size=2", "--input-shape=x:1x3", "--keep-going", "--quiet", "--models=a", "--models=b c"),
    ]
