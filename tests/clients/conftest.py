"""NNI 3.0 as PyPI has it, in a virtual environment of its own, with our nn_meter in place of nn-Meter 2.0."""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))  # pytest's importlib mode adds no folder by itself
from nni_environment import FOLDER, ROOT  # noqa: E402


@pytest.fixture(scope="session")
def python():
    setup = [ROOT / "tools" / "setup.sh"]
    if subprocess.run([*setup, "venv", FOLDER.name, "tools/requirements/nni.txt"], cwd=ROOT).returncode:
        pytest.skip("NNI 3.0 could not be had from PyPI: nothing of it is tried")
    assert subprocess.run([*setup, "package", FOLDER.name, "build-python"], cwd=ROOT).returncode == 0
    return FOLDER / "bin" / "python"
