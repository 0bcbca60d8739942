"""Fits that several tests look at, and the program run in a folder of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from nn_meter.fit import families, fit

sys.path.insert(0, str(Path(__file__).resolve().parent))  # pytest's importlib mode adds no folder by itself
from device import SMALL, START, as_models, measure  # noqa: E402


@pytest.fixture(scope="session")
def graphs():
    return families.generate(120, seed=3, families=SMALL)


@pytest.fixture(scope="session")
def latencies(graphs):
    return measure(as_models(graphs))


@pytest.fixture(scope="session")
def scratch(graphs, latencies, tmp_path_factory):
    """A predictor from scratch, and where it was written."""
    output = tmp_path_factory.mktemp("scratch") / "phone.nnmeter"
    stages = []
    result = fit(graphs, latencies, device="phone", output=output, epochs=60, report=lambda *x: stages.append(x))
    return result, output, stages


@pytest.fixture
def calibrate(graphs, latencies):
    """A calibration by the first `count` models; options go to fit()."""

    def run(count=8, **options):
        names = [graph["id"] for graph in graphs[:count]]
        options.setdefault("latencies", {name: latencies[name] for name in names})
        options.setdefault("models", graphs[:count])
        options = {"device": "phone", "from_predictor": START, "held_out": 0, **options}
        return fit(options.pop("models"), options.pop("latencies"), **options)

    return run


@pytest.fixture
def nn_meter_fit(program, tmp_path):
    """Runs `nn-meter COMMAND ...` in an empty folder, with this Python."""

    def run(*arguments, environment=None):
        variables = {**os.environ, "NN_METER_PYTHON": sys.executable, "NN_METER_HOME": str(tmp_path / "home")}
        command = [str(program), *map(str, arguments)]
        return subprocess.run(
            command,
            cwd=tmp_path,
            env={**variables, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    return run


@pytest.fixture
def graph_file(graphs, tmp_path):
    """graphs.jsonl with the first `count` graphs."""

    def write(count):
        path = tmp_path / "graphs.jsonl"
        path.write_text("".join(json.dumps(graph) + "\n" for graph in graphs[:count]))
        return path

    return write
