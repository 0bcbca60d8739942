"""nn-meter register and unregister, and the user files that installations of nn-Meter 2.0 have."""

import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

PICKLES = Path(__file__).resolve().parents[1] / "data" / "pickle"
OFFICIAL = """\
- name: cortexA76cpu_tflite21
  version: 1.0
  category: cpu
  kernel_predictors:
    - conv-bn-relu
    - fc
  download: https://example.org/cortexA76cpu_tflite21.zip

# a comment of the user
- name: elsewhere
  version: 1.0
  download: https://example.org/elsewhere.zip
  lab: 7"""


def pickles(folder, kernels=("conv-bn-relu", "bn")):
    """A folder of nn-Meter 2.0's layout with one small forest for each kernel."""
    folder.mkdir(parents=True)
    for kernel in kernels:
        shutil.copyfile(PICKLES / "y_sklearn_1.7.2_protocol_4.pkl", folder / f"{kernel}.pkl")
    (folder / "fusion_rules.json").write_text('{"BF_conv_relu": {"obey": true}}')
    return folder


def meta(path, name="phone", version="1.0", location="phone", kernels=("conv-bn-relu", "bn"), more=""):
    lines = [f"name: {name}", f"version: {version}", "category: cpu", f"package_location: {location}"]
    lines += ["kernel_predictors:", *(f"  - {kernel}" for kernel in kernels)]
    path.write_text("\n".join(lines) + "\n" + more)
    return path


def listed(run):
    lines = run("--list-predictors").stdout.splitlines()
    return [line.removeprefix("(nn-Meter) [Predictor] ") for line in lines if "[Predictor]" in line]


@pytest.fixture
def table(place):
    path = place / "home/config/predictors.yaml"
    path.parent.mkdir()
    return path


def latency(result):
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_register_use_unregister(run, place, table):
    table.write_text(OFFICIAL)
    pickles(place / "phone")
    meta(place / "phone.yaml", more="lab: 7  # unknown here\n")
    result = run("register", "--predictor", "phone.yaml")
    assert (result.returncode, result.stdout) == (0, "(nn-Meter) Successfully register predictor: phone\n"), (
        result.stderr
    )
    added = meta(place / "expected", location=f'"{place}/phone"', more="lab: 7  # unknown here\n").read_text()
    lines = added.splitlines(keepends=True)
    assert table.read_text() == OFFICIAL + "\n- " + lines[0] + "".join("  " + line for line in lines[1:])
    assert "phone: version=1.0" in listed(run)
    first = latency(run("predict", "--predictor", "PHONE", "net.onnx"))
    assert len(list((place / "home/cache").iterdir())) == 1
    assert latency(run("predict", "--predictor", "phone", "net.onnx")) == first
    result = run("unregister", "--predictor", "phone")
    assert (result.returncode, result.stdout) == (0, "(nn-Meter) Successfully unregister phone.\n"), result.stderr
    assert table.read_text() == OFFICIAL + "\n"
    assert not list((place / "home/cache").iterdir())
    assert "phone: version=1.0" not in listed(run)
    assert (place / "phone/bn.pkl").exists()


def test_the_cache_follows_the_pickles(run, place):
    pickles(place / "phone")
    meta(place / "phone.yaml")
    assert run("register", "--predictor", "phone.yaml").returncode == 0
    (before,) = (place / "home/cache").iterdir()
    pickles(place / "other", ["add"])
    shutil.copyfile(place / "other/add.pkl", place / "phone/add.pkl")
    latency(run("predict", "--predictor", "phone", "net.onnx"))
    (cached,) = (place / "home/cache").iterdir()
    assert cached != before and cached.name.startswith("phone-1.0-")
    content = cached.read_bytes()
    cached.write_bytes(content[:100])
    latency(run("predict", "--predictor", "phone", "net.onnx"))
    assert cached.read_bytes() == content


def test_a_home_that_cannot_be_written_still_predicts(run, place, table):
    pickles(place / "phone")
    table.write_text(f"- name: phone\n  version: 1\n  package_location: {place}/phone\n")
    (place / "home/cache").write_text("a file where the cache should be")
    assert "ms\n" in latency(run("predict", "--predictor", "phone", "net.onnx"))


def test_a_name_and_version_once(run, place, table):
    table.write_text(OFFICIAL)
    pickles(place / "phone")
    meta(place / "phone.yaml")
    assert run("register", "--predictor", "phone.yaml").returncode == 0
    before = table.read_bytes()
    for name, version in (
        ("phone", "1"),
        ("PHONE", "1.0"),
        ("tiny", "1.0"),
        ("elsewhere", "1.0"),
        ("cortexa76cpu_TFLITE21", "1.0"),
    ):
        meta(place / "again.yaml", name, version)
        result = run("register", "--predictor", "again.yaml")
        assert (result.returncode, result.stdout) == (1, "")
        assert "has a version" in result.stderr and "already" in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert table.read_bytes() == before
    meta(place / "again.yaml", version="1.10")
    assert run("register", "--predictor", "again.yaml").returncode == 0
    assert listed(run)[-3:] == ["phone: version=1.0", "phone: version=1.10", "tiny: version=1.0"]


def test_unregister_versions(run, place):
    pickles(place / "phone")
    for version in ("1.0", "2.0", "3.0"):
        meta(place / "phone.yaml", version=version)
        assert run("register", "--predictor", "phone.yaml").returncode == 0
    assert run("unregister", "--predictor", "phone", "--predictor-version", "2").returncode == 0
    assert [line for line in listed(run) if "phone" in line] == ["phone: version=1.0", "phone: version=3.0"]
    result = run("unregister", "--predictor", "phone")  # two in a row, of which the old tool leaves one
    assert result.stdout == "(nn-Meter) Successfully unregister phone.\n"
    assert result.stderr == "nn-meter: info: phone: 2 versions removed\n"
    assert not [line for line in listed(run) if "phone" in line]
    assert (place / "home/config/predictors.yaml").read_text() == "[]\n"


def test_unregister_what_is_not_there(run):
    result = run("unregister", "--predictor", "nosuch")
    assert result.returncode == 1
    assert result.stdout == "(nn-Meter) Unregister failed: there is no predictor named nosuch.\n"
    assert len(result.stderr.splitlines()) == 1
    result = run("unregister", "--predictor", "cortexA76cpu_tflite21")
    assert (result.returncode, result.stdout) == (1, "")
    assert "is built in and cannot be removed" in result.stderr


def test_predictor_files(run, place):
    """A .nnmeter file is copied, and unregister removes the copy, also of what import-predictor wrote."""
    shutil.move(place / "home/predictors/tiny-1.0.nnmeter", place / "shared.nnmeter")
    assert "tiny: version=1.0" not in listed(run)
    result = run("register", "--predictor", "shared.nnmeter")
    assert result.stdout == "(nn-Meter) Successfully register predictor: tiny\n"
    assert run("register", "--predictor", "shared.nnmeter").returncode == 1
    assert (place / "home/predictors/tiny-1.0.nnmeter").exists()
    assert run("unregister", "--predictor", "tiny").returncode == 0
    assert not (place / "home/predictors/tiny-1.0.nnmeter").exists()
    assert (place / "shared.nnmeter").exists()
    (place / "broken.nnmeter").write_bytes((place / "shared.nnmeter").read_bytes()[:-3])
    assert run("register", "--predictor", "broken.nnmeter").returncode == 1
    assert not list((place / "home/predictors").iterdir())


@pytest.mark.parametrize("location", ["shared.nnmeter", "folder"])
def test_a_description_of_a_predictor_file(run, place, location):
    (place / "folder").mkdir()
    source = place / "home/predictors/tiny-1.0.nnmeter"
    shutil.copyfile(source, place / "folder/tiny-1.0.nnmeter")
    shutil.move(source, place / "shared.nnmeter")
    meta(place / "wrong.yaml", "other", "1.0", "shared.nnmeter")
    result = run("register", "--predictor", "wrong.yaml")
    assert result.returncode == 1 and "the predictor file is 'tiny' 1.0" in result.stderr
    meta(place / "tiny.yaml", "tiny", "1.0", location)
    assert run("register", "--predictor", "tiny.yaml").returncode == 0
    assert "ms\n" in latency(run("predict", "--predictor", "tiny", "net.onnx"))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("name: phone\nversion: 1\n", "has no package_location"),
        ("version: 1\npackage_location: phone\n", "has no name"),
        ("name: phone\npackage_location: phone\n", "has no version"),
        ("name: ../x\nversion: 1\npackage_location: phone\n", "cannot be a predictor's name"),
        ("name: phone\nversion: 1\npackage_location: nosuch\n", "nosuch: No such file"),
        ("name: phone\nversion: 1\npackage_location: phone\nkernel_predictors: [fc]\n", "fc.pkl: is missing"),
        ("name: phone\nversion: 1\npackage_location: models\n", "is missing"),
        ("- name: phone\n", "is no predictor's entry"),
        ("name: !!python/name:os.system x\n", "tags"),
        ("name: [\n", "is no YAML"),
        ("", "is no predictor's entry"),
    ],
)
def test_descriptions_that_are_refused(run, place, text, part):
    pickles(place / "phone")
    (place / "phone.yaml").write_text(text)
    result = run("register", "--predictor", "phone.yaml")
    assert (result.returncode, result.stdout) == (1, "")
    assert part in result.stderr and len(result.stderr.splitlines()) == 1
    assert not (place / "home/config/predictors.yaml").exists()


def test_pickles_that_are_refused(run, place):
    pickles(place / "phone")
    shutil.copyfile(PICKLES / "n_posix_system.pkl", place / "phone/bn.pkl")
    meta(place / "phone.yaml")
    result = run("register", "--predictor", "phone.yaml")
    assert result.returncode == 1 and "asks to run posix.system" in result.stderr
    assert run("register", "--predictor", "nosuch.yaml").returncode == 1


@pytest.mark.parametrize("text", ["- [\n", "a: 1\n", "- &a x\n- *a\n", "\xff", "[{name: a, version: 1}]\n"])
def test_a_list_that_cannot_be_changed_stays(run, place, table, text):
    """... and spoils none of the other predictors."""
    table.write_text(text, encoding="latin-1")
    pickles(place / "phone")
    meta(place / "phone.yaml")
    result = run("register", "--predictor", "phone.yaml")
    assert result.returncode == 1 and "predictors.yaml: " in result.stderr
    assert table.read_text(encoding="latin-1") == text
    assert run("unregister", "--predictor", "a").returncode == 1
    assert table.read_text(encoding="latin-1") == text
    assert "ms\n" in latency(run("predict", "--predictor", "tiny", "net.onnx"))


def test_links_and_modes_stay(run, place, table):
    pickles(place / "phone")
    meta(place / "phone.yaml")
    (place / "dotfiles.yaml").write_text(OFFICIAL)
    os.chmod(place / "dotfiles.yaml", 0o600)
    table.symlink_to(place / "dotfiles.yaml")
    assert run("register", "--predictor", "phone.yaml").returncode == 0
    assert table.is_symlink() and "name: phone" in (place / "dotfiles.yaml").read_text()
    assert stat.S_IMODE((place / "dotfiles.yaml").stat().st_mode) == 0o600


# ------------------------------------------------------------------ what the old tool has left


def test_an_entry_whose_folder_is_gone(run, place, table):
    table.write_text(f"- name: gone\n  version: 1.5\n  package_location: {place}/gone\n- 7\n")
    result = run("predict", "--predictor", "gone", "net.onnx")
    assert result.returncode == 1
    assert f"{place}/gone: the folder of predictor 'gone' is not there" in result.stderr
    assert "damaged, " in run("-v", "--list-predictors").stderr
    result = run("predict", "--predictor", "all", "--jsonl", "net.onnx")
    assert result.returncode == 0
    assert "tiny" in [json.loads(line)["predictor"] for line in result.stdout.splitlines()]
    assert "predictors.yaml: left out: line 4: is no predictor's entry" in result.stderr
    assert run("unregister", "--predictor", "gone").returncode == 0
    assert table.read_text() == "- 7\n"


@pytest.mark.parametrize("settings", [None, "data_folder: {place}/data\n", "data_folder: ../data\n"])
def test_fetched_folders(run, place, table, settings):
    """Folders that nn-Meter 2.0 has downloaded are used, as predictors.yaml describes them."""
    data = place / "data" if settings else place / "home/data"
    if settings:
        (table.parent / "settings.yaml").write_text(settings.format(place=place))
    table.write_text(OFFICIAL.replace("version: 1.0\n  download", "version: 3.5\n  download"))
    pickles(data / "predictor/elsewhere")
    pickles(data / "predictor/unknown")
    (data / "predictor/empty").mkdir()
    pickles(data / "predictor/cortexA76cpu_tflite21", ["fc"])
    assert [line for line in listed(run) if line.startswith(("elsewhere", "unknown", "empty"))] == [
        "elsewhere: version=3.5",
        "unknown: version=1.0",
    ]
    assert "ms\n" in latency(run("predict", "--predictor", "elsewhere", "net.onnx"))
    result = run("unregister", "--predictor", "unknown")
    assert result.returncode == 1 and "was fetched; to remove it, remove the folder" in result.stderr
    # one pickle of the official one is missing: ours, of the same name, is used
    result = run("predict", "--predictor", "cortexA76cpu_tflite21", "--jsonl", "net.onnx")
    assert json.loads(result.stdout)["predictor"] == "cortexA76cpu_tflite21"


def test_settings_that_cannot_be_read(run, place, table):
    (table.parent / "settings.yaml").write_text("data_folder: [\n")
    assert "ms\n" in latency(run("predict", "--predictor", "tiny", "net.onnx"))
    assert "settings.yaml: damaged" in run("-v", "--list-predictors").stderr


def test_a_home_that_is_no_folder_is_an_empty_one(run):
    result = run("-v", "--list-predictors", environment={"NN_METER_HOME": "/dev/null"})
    assert result.returncode == 0 and "damaged" not in result.stderr
    assert "tiny: version" not in result.stdout and "cortexA76cpu_tflite21: version=1.0" in result.stdout


def test_usage(run):
    for command in ("register", "unregister"):
        result = run(command)
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout == f'(nn-Meter) please run "nn-meter {command} --help" to see guidance.\n'
        assert run(command, "--kernel", "x").returncode == 2
        assert run(command, "--predictor", "a", "--predictor", "b").returncode == 2


def test_beside_the_old_tool(program, place):
    """Both use one ~/.nn_meter: each reads what the other has written."""
    python = Path(os.environ.get("NNM_REFERENCE_PYTHON", Path(__file__).parents[2] / ".venv-nn-meter-2.0/bin/python"))
    if not (python.parent / "nn-meter").exists():
        pytest.skip(f"beside nn-Meter 2.0: no {python.parent / 'nn-meter'}; `make test` installs it")
    environment = {**os.environ, "HOME": str(place / "me")}
    environment.pop("NN_METER_HOME", None)

    def run(tool, *arguments):
        result = subprocess.run(
            [tool, *arguments], cwd=place, env=environment, capture_output=True, text=True, check=True
        )
        return [line for line in result.stdout.splitlines() if "phone" in line]

    old = python.parent / "nn-meter"
    assert run(old, "--list-predictors") == []  # makes its files
    pickles(place / "phone")
    meta(place / "one.yaml")
    meta(place / "two.yaml", version="2.0", location=place / "phone")
    assert run(program, "register", "--predictor", "one.yaml")
    assert run(old, "register", "--predictor", "two.yaml") == ["(nn-Meter) Successfully register predictor: phone"]
    both = [f"(nn-Meter) [Predictor] phone: version={version}" for version in ("1.0", "2.0")]
    assert run(old, "--list-predictors") == both
    assert run(program, "--list-predictors") == both
    assert run(program, "unregister", "--predictor", "phone", "--predictor-version", "1.0")
    assert run(old, "--list-predictors") == both[1:]
