"""The wheel as users get it: what is in it, what it needs, and its life in an environment of its own, to the last file.

Run with .venv-wheel, which has what builds and checks wheels.
"""

import email
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "python" / "nn_meter"
EXAMPLES = sorted((ROOT / "examples").glob("*.onnx"))
CPU = "cortexA76cpu_tflite21"
TOOLS = Path(sys.executable).parent
MOST_BYTES = 16_000_000  # weights and graphs are in it twice, for the program and for the extension
SUFFIXES = (".py", ".pyi", ".nnmeter")  # of what the package is made of
OLDEST = 9  # Python 3.9
ANSWER = """
import json, sys, nn_meter
nn_meter.logger.setLevel("WARNING")
predictor = nn_meter.load_latency_predictor(sys.argv[1])
loaded = [line.split()[-1] for line in open("/proc/self/maps") if ".so" in line]
print(json.dumps({"version": nn_meter.__version__, "file": nn_meter.__file__, "loaded": loaded,
                  "latencies": [predictor.predict(path, "onnx") for path in sys.argv[2:]]}))
"""


EVERY_MODULE = """
import importlib, pkgutil, nn_meter
for module in pkgutil.walk_packages(nn_meter.__path__, "nn_meter.", onerror=lambda name: None):
    try:
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    except ImportError:
        pass  # of torch, numpy: not here
"""


def run(*command, clean=None, **environment):
    """What the command prints. clean: all of its environment; otherwise ours and `environment`."""
    variables = {**os.environ, **environment} if clean is None else clean
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=variables, check=False)
    assert done.returncode == 0, f"{command[0]}: {done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [ROOT / "tools" / "setup.sh", "wheel", TOOLS.parent.name, "build-python", folder], cwd=ROOT, check=True
    )
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="session")
def unpacked(wheel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def latencies(program):
    """Milliseconds of the examples, as the program that was built here says them."""
    lines = run(program, "predict", "--predictor", CPU, "--jsonl", *EXAMPLES).splitlines()
    return [json.loads(line)["latency_ms"] for line in lines]


# ------------------------------------------------------------------ what is in it


def test_one_wheel_for_every_python_on_many_machines(wheel):
    assert re.fullmatch(rf"nn_meter-\d+\.\d+\.\d+-cp3{OLDEST}-abi3-manylinux_2_\d+_\w+\.whl", wheel.name)


def test_nothing_is_missing_and_nothing_else_is_in_it(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        wheel_file = next(name for name in names if name.endswith(".dist-info/WHEEL"))
        assert f"Tag: cp3{OLDEST}-abi3-manylinux" in archive.read(wheel_file).decode()
    version = wheel.name.split("-")[1]
    sources = {f"nn_meter/{path.relative_to(PACKAGE)}" for path in PACKAGE.rglob("*") if path.suffix in SUFFIXES}
    assert sources | {"nn_meter/py.typed", "nn_meter/_core.abi3.so"} == {n for n in names if n.startswith("nn_meter/")}
    rest = sorted(name for name in names if not name.startswith("nn_meter/"))
    allowed = rf"nn_meter\.libs/lib(jansson|yaml)[^/]*|nn_meter-{version}\.(data/scripts/nn-meter|dist-info/.*)"
    assert not [name for name in rest if not re.fullmatch(allowed, name)]
    assert any(name.endswith("/licenses/LICENSE") for name in rest)
    for library in {name.split("/lib")[1][:4] for name in rest if name.startswith("nn_meter.libs/")}:
        assert any("/licenses/" in name and library in name for name in rest), f"no licence of {library}"
    assert wheel.stat().st_size < MOST_BYTES


def test_metadata(wheel):
    assert "PASSED" in run(TOOLS / "twine", "check", "--strict", wheel, NO_COLOR="1")
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    assert metadata["Name"] == "nn-meter" and metadata["Requires-Python"] == f">=3.{OLDEST}"
    assert metadata["License-Expression"] == "MIT" and metadata["Summary"] and metadata["Author"]
    assert metadata.get_payload().startswith("# nn-Meter"), "the README is the long description"
    assert all("extra ==" in need for need in metadata.get_all("Requires-Dist")), "nothing else is needed"


def test_only_the_stable_interface_of_python_is_used(wheel):
    report = json.loads(run(TOOLS / "abi3audit", "--strict", "--report", wheel))
    (result,) = report["specs"].values()
    (extension,) = result["wheel"]
    assert extension["result"]["is_abi3"] and extension["result"]["is_abi3_baseline_compatible"]
    assert extension["result"]["baseline"] == f"3.{OLDEST}"


def test_libraries_that_every_machine_has(wheel):
    said = " ".join(run(TOOLS / "auditwheel", "show", wheel).split())
    platform = wheel.stem.split("-")[-1]
    assert f'consistent with the following platform tag: "{platform}"' in said
    needed = set(re.findall(r"(lib\w+)[.\w-]*\.so[.\d]* with versions", said))
    assert needed <= {"libc", "libm", "libjansson", "libyaml", "libz", "libdl", "libpthread"}


def test_the_program_has_its_libraries_within_itself(unpacked):
    (path,) = unpacked.glob("*.data/scripts/nn-meter")
    path.chmod(0o755)
    assert path.read_bytes()[:4] == b"\x7fELF", "a script in its place would wait for Python"
    loaded = run(path, "--version", LD_TRACE_LOADED_OBJECTS="1")
    assert not re.findall(r"\S*(?:jansson|yaml|libz)\S*", loaded)


# ------------------------------------------------------------------ where it is used


def check(answer, place, latencies):
    assert Path(answer["file"]).is_relative_to(place) and answer["latencies"] == latencies
    carried = {path for path in answer["loaded"] if re.search("jansson|yaml", path)}
    assert carried and all(Path(path).is_relative_to(place) for path in carried), "those of the machine are not used"


def pythons():
    """{version: path} of what is here: in PATH, and where pyenv puts them."""
    names = [f"python3.{minor}" for minor in range(OLDEST, 30)]
    folders = os.environ["PATH"].split(os.pathsep)
    folders += map(str, Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/*/bin"))
    found = {}
    for name in names:
        for path in (Path(folder) / name for folder in folders):
            if (
                name not in found
                and path.exists()
                and not subprocess.run([path, "-c", ""], capture_output=True).returncode
            ):
                found[name] = path
    return found


@pytest.mark.parametrize("python", pythons().items(), ids=lambda item: item[0])
def test_every_python_that_is_here(python, unpacked, latencies, tmp_path):
    environment = {"PYTHONPATH": str(unpacked), "PYTHONDONTWRITEBYTECODE": "1", "NN_METER_HOME": str(tmp_path)}
    check(json.loads(run(python[1], "-c", ANSWER, CPU, *EXAMPLES, **environment)), unpacked, latencies)


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_installed_used_and_removed(wheel, latencies, tmp_path):
    """In a new environment, with nothing else in PATH: no compiler, none of our programs."""
    place, home, elsewhere = tmp_path / "environment", tmp_path / "home", tmp_path / "elsewhere"
    elsewhere.mkdir()
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    python, program = place / "bin" / "python", place / "bin" / "nn-meter"
    environment = {"PATH": str(place / "bin"), "NN_METER_HOME": str(home), "HOME": str(elsewhere)}
    assert not any(shutil.which(name, path=environment["PATH"]) for name in ("cc", "gcc", "clang", "meson"))

    def here(*command):
        return run(*command, clean=environment)

    before = files(place)
    here(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-index", "--no-compile", wheel)
    version = f"nn-meter {wheel.name.split('-')[1]}"
    assert here(program, "--version").strip() == here(python, "-m", "nn_meter", "--version").strip() == version
    for start in ([program], [python, "-m", "nn_meter"]):
        lines = here(*start, "predict", "--predictor", CPU, "--jsonl", *EXAMPLES).splitlines()
        assert [json.loads(line)["latency_ms"] for line in lines] == latencies
    check(json.loads(here(python, "-c", ANSWER, CPU, *EXAMPLES)), place, latencies)
    here(python, "-c", EVERY_MODULE)  # not with -O: of what such a run compiles pip knows nothing, for any package
    here(python, "-c", "import nn_meter; nn_meter.create_user_configs()")
    assert files(home) and not files(elsewhere), "what belongs to the user lies in NN_METER_HOME alone"

    here(python, "-m", "pip", "uninstall", "-q", "-y", "--disable-pip-version-check", "nn-meter")
    after = files(place)
    assert not after - before and not before - after
