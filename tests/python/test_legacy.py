"""Predictors imported from nn-Meter 2.0, against the golden outputs of nn-Meter 2.0 itself (shared/parity)."""

import json
import lzma
import os
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

RULES = ["k8", "k8_mon0", "cpu", "gpu", "vpu", "cpu_norelu", "cpu_plus", "empty"]


@pytest.fixture(scope="session")
def legacy_folder(shared):
    folder = shared / "legacy" / "k8_predictor"
    if not folder.is_dir():
        pytest.skip(f"imported predictors: no folder {folder}")
    return folder


@pytest.fixture(scope="session")
def home(nn_meter, legacy_folder, tmp_path_factory):
    """An NN_METER_HOME with the legacy predictor imported as k8."""
    folder = tmp_path_factory.mktemp("home")
    environment = {**os.environ, "NN_METER_HOME": str(folder)}
    result = nn_meter("import-predictor", legacy_folder, "--name", "k8", "--version", "1.0", env=environment)
    assert result.returncode == 0, result.stderr
    assert (folder / "predictors" / "k8-1.0.nnmeter").is_file()
    return environment


def read_lines(path):
    with lzma.open(path, "rt") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def goldens(shared):
    """{(id, style): {rule file: result}}, references to equal results resolved."""
    found = {}
    for name in ("goldens-dev", "goldens-pb-dev", "goldens-quirks"):
        for entry in read_lines(shared / "parity" / f"{name}.jsonl.xz"):
            if isinstance(entry.get("rules"), dict):
                found[entry["id"], entry.get("style", "")] = {
                    rule: entry["rules"][result["same_as"]]
                    if isinstance(result, dict) and "same_as" in result
                    else result
                    for rule, result in entry["rules"].items()
                }
    return found


def merged_type(kernel_name):
    """The name under which nn-Meter 2.0 adds kernels up."""
    name = kernel_name.split("#")[0]
    return "dwconv-bn-relu" if "dwconv" in name else "conv-bn-relu" if "conv" in name else name


def test_forests_give_the_golden_latencies_to_the_last_bit(goldens, legacy_folder, program):
    """Every feature row of the goldens through the pickle reader and the forest, without anything around them."""
    rows = defaultdict(dict)
    for results in goldens.values():
        for result in results.values():
            if not isinstance(result, dict) or "per_type" not in result:
                continue
            by_type = defaultdict(list)
            for name, row in result["features"]:
                by_type[merged_type(name)].append(tuple(map(float, row)))
            for kernel_type, entry in result["per_type"].items():
                if entry.get("predictor") and "ms" in entry:
                    rows[entry["predictor"]].update(zip(by_type[kernel_type], entry["ms"], strict=True))
    assert len(rows) >= 15
    tool = Path(os.environ.get("NNM_FOREST_ROWS", program.parent / "tests" / "unit" / "forest_rows"))
    for name, latencies in rows.items():
        text = "".join(" ".join(map(repr, row)) + "\n" for row in latencies)
        command = [tool, legacy_folder / f"{name}.pkl"]
        output = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
        assert [float.fromhex(line) for line in output.split()] == list(latencies.values()), name


def per_type(result):
    sums = defaultdict(float)
    for kernel in result["kernels"]:
        sums[merged_type(kernel["name"])] += kernel["latency_ms"]
    return sums


def compare(model, golden, result):
    """Every kernel type that nn-Meter 2.0 has a latency for, and the total unless it raised or dropped kernels."""
    sums = per_type(result)
    for kernel_type, entry in golden["per_type"].items():
        if entry.get("predictor") and "sum" in entry:
            assert sums.pop(kernel_type) == pytest.approx(entry["sum"], rel=1e-9), (model, kernel_type)
        elif "error" not in entry:  # without a predictor nn-Meter 2.0 counts them as 0, and so do we, with a note
            assert sums.pop(kernel_type, 0) == 0, (model, kernel_type)
    if "total_ms" in golden and not any(sums.values()):
        assert result["latency_ms"] == pytest.approx(golden["total_ms"], rel=1e-9), model
    return "total_ms" in golden


@pytest.mark.parametrize("rule", RULES)
def test_predictions_equal_the_goldens(nn_meter, shared, parity_data, goldens, home, tmp_path, rule):
    styles = {}
    for entry in read_lines(shared / "parity" / "ir-dev.jsonl.xz"):
        if "ir" in entry:
            name = f"{entry['id']}.{entry['style']}.json"
            styles[name] = entry["id"], entry["style"]
            (tmp_path / name).write_text(json.dumps(entry["ir"]))
    rules = parity_data / "rules" / f"{rule}.json"
    options = ["--predictor", "k8", "--fusion-rules", rules, "--json", "--breakdown"]
    output = nn_meter("predict", *options, "--nn-meter-ir", tmp_path, env=home, timeout=600)
    results = {result["model"]: result for result in json.loads(output.stdout)["results"]}
    assert len(results) == len(styles), output.stderr
    totals = 0
    for name, key in styles.items():
        golden = goldens[key][rule]
        if "per_type" in golden:
            totals += compare(name, golden, results[name])
    assert totals >= 30


def test_concat_of_five_features_is_predicted(nn_meter, shared, home, tmp_path):
    """nn-Meter 2.0 raises ValueError here: it asks with six features what its builder trained on five."""
    ir = next(e for e in read_lines(shared / "parity" / "ir-dev.jsonl.xz") if e.get("id", "").startswith("googlenet"))
    (tmp_path / "googlenet.json").write_text(json.dumps(ir["ir"]))
    output = nn_meter(
        "predict",
        "--predictor",
        "K8",
        "--json",
        "--breakdown",
        "--fusion-rules",
        rules_without_fusion(tmp_path),
        "--nn-meter-ir",
        tmp_path / "googlenet.json",
        env=home,
    )
    assert output.returncode == 0, output.stderr
    (result,) = json.loads(output.stdout)["results"]
    concats = [kernel["latency_ms"] for kernel in result["kernels"] if kernel["name"].startswith("concat#")]
    assert concats and min(concats) > 0


def rules_without_fusion(folder):
    (folder / "rules").mkdir()
    (folder / "rules" / "none.json").write_text("{}")
    return folder / "rules" / "none.json"


def test_one_bad_pickle_leaves_nothing_behind(nn_meter, legacy_folder, tmp_path):
    folder = tmp_path / "predictor"
    shutil.copytree(legacy_folder, folder)
    for path in folder.iterdir():
        path.chmod(0o644)
    folder.chmod(0o755)
    content = (folder / "conv-bn-relu.pkl").read_bytes()
    (folder / "conv-bn-relu.pkl").write_bytes(content[: len(content) // 2])
    environment = {**os.environ, "NN_METER_HOME": str(tmp_path / "home")}
    result = nn_meter("import-predictor", folder, "--name", "k8", "--version", "1.0", env=environment)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1 and "conv-bn-relu.pkl" in result.stderr
    assert not (tmp_path / "home").exists()


def test_a_name_and_version_are_taken_once(nn_meter, legacy_folder, home):
    result = nn_meter("import-predictor", legacy_folder, "--name", "K8", "--version", "1", env=home)
    assert result.returncode == 1
    assert "has a version 1.0 already" in result.stderr
