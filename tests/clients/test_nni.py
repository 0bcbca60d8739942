"""NNI 3.0's latency profiler, as PyPI has it, with our nn_meter in place of nn-Meter 2.0: three of its model spaces.

Installs NNI and torch into a virtual environment of its own (.venv-nni); skipped, saying so, where they cannot be had.
"""

import json
import os
import sys
from pathlib import Path

import pytest
from nni_environment import ROOT, run

DRIVER = Path(__file__).resolve().parent / "nni_profiler.py"
REFERENCE = ROOT / ".venv-nn-meter-2.0" / "bin" / "python"
SHARED = Path(os.environ.get("NNM_SHARED") or ROOT.parent / "shared")
OLD_PREDICTOR = SHARED / "legacy" / "k8_predictor"
ROUNDS = 7  # of which the middle one counts: a question takes ours a hundredth of a millisecond
# than nn-Meter 2.0, processor time inside predict() alone, serialising the question included
QUESTIONS_FASTER, NETWORKS_FASTER = 10, 50

ASK = """
import json, sys, time
from pathlib import Path
import onnx, nn_meter
nn_meter.logger.setLevel("WARNING")
predictor, answers = {load}, {{}}
for path in sorted(Path(sys.argv[1]).glob("*.onnx")):
    model, seconds = onnx.load(path), []
    for _ in range(int(sys.argv[3]) + 1):
        began = time.process_time()
        try:
            latency = float(predictor.predict(model, model_type="onnx"))
        except Exception:
            latency = None  # nn-Meter 2.0 stops at some
            break
        seconds.append(time.process_time() - began)
    if latency is not None:
        answers[path.stem] = latency, sorted(seconds[1:])[len(seconds) // 2]
print(json.dumps(answers), file=sys.stderr)
"""
OURS = 'nn_meter.load_latency_predictor("k8")'
THEIRS = """nn_meter.nnMeterPredictor(*__import__("nn_meter.predictor.utils", fromlist=["x"]).loading_customized_predictor(
    {"name": "k8", "package_location": sys.argv[2], "kernel_predictors": [p.stem for p in Path(sys.argv[2]).glob("*.pkl")]}))"""


@pytest.fixture(scope="session")
def asked(tmp_path_factory):
    """Where sub-modules that the profiler asked about are kept."""
    return tmp_path_factory.mktemp("asked")


@pytest.mark.parametrize(("space", "least_questions"), [("resnet", 25), ("proxylessnas", 500), ("mobilenetv3", 200)])
def test_the_profiler_works_on_a_space(python, asked, tmp_path, space, least_questions):
    result = json.loads(run(python, DRIVER, space, asked, NN_METER_HOME=str(tmp_path)).stdout.splitlines()[-1])
    assert result["nn_meter"].startswith("3.")
    assert result["count"] >= least_questions
    assert all(0.1 < latency < 10_000 for latency in result["latencies"])
    assert len(set(result["latencies"])) > 5, "architectures differ in their latency"
    print(f"{space}: {result['count']} sub-modules, {1e3 * result['seconds'] / result['count']:.2f} ms each")


def sum_of_seconds(answers, names):
    return sum(answers[name][1] for name in names)


@pytest.fixture(scope="session")
def old_home(tmp_path_factory):
    """HOME of an installation of nn-Meter 2.0 that knows its predictor k8 by name."""
    if not REFERENCE.exists() or not OLD_PREDICTOR.exists():
        pytest.skip("nn-Meter 2.0 or its predictor is not here: speed is not compared")
    home = tmp_path_factory.mktemp("old")
    config = home / ".nn_meter" / "config"
    config.mkdir(parents=True)
    entry = {
        "name": "k8",
        "version": 1.0,
        "category": "cpu",
        "package_location": str(OLD_PREDICTOR),
        "kernel_predictors": [path.stem for path in sorted(OLD_PREDICTOR.glob("*.pkl"))],
    }
    lines = [f"{'-' if key == 'name' else ' '} {key}: {json.dumps(value)}" for key, value in entry.items()]
    (config / "predictors.yaml").write_text("\n".join(lines) + "\n")
    (config / "settings.yaml").write_text(f"data_folder: {home}/.nn_meter/data\n")
    (config / "registry.yaml").write_text("{}\n")
    return home


def test_how_much_faster_than_nn_meter_2_0(python, asked, old_home):
    """What was just asked, and whole networks of the spaces, with the same predictor: the same answers."""
    environment = {"HOME": str(old_home), "NN_METER_HOME": str(old_home / ".nn_meter")}
    answers = {}
    for who, interpreter, load in (("theirs", REFERENCE, THEIRS), ("ours", python, OURS)):
        arguments = ("-c", ASK.format(load=load), asked, OLD_PREDICTOR, str(ROUNDS))
        answers[who] = json.loads(run(interpreter, *arguments, **environment).stderr.splitlines()[-1])
    theirs, ours = answers["theirs"], answers["ours"]
    networks = [name for name in theirs if "-network-" in name]
    questions = [name for name in theirs if name not in networks]
    assert len(questions) >= 50 and len(networks) >= 3 and set(theirs) <= set(ours)
    for name in theirs:
        assert ours[name][0] == pytest.approx(theirs[name][0], rel=1e-6), name
    assert all(theirs[name][0] > 0 for name in networks)
    ratios = [sum_of_seconds(theirs, names) / sum_of_seconds(ours, names) for names in (questions, networks)]
    without_kernel = sum(theirs[name][0] == 0 for name in questions)
    milliseconds = [1e3 * sum_of_seconds(ours, names) / len(names) for names in (questions, networks)]
    print(
        f"{len(questions)} sub-modules: {ratios[0]:.0f} times faster than nn-Meter 2.0, which finds no kernel in "
        f"{without_kernel} of them; {milliseconds[0]:.3f} ms each. {len(networks)} whole networks: {ratios[1]:.0f} times, "
        f"{milliseconds[1]:.2f} ms each. nn-Meter 2.0 stops at {len(ours) - len(theirs)} others.",
        file=sys.stderr,
    )
    assert ratios[0] > QUESTIONS_FASTER and ratios[1] > NETWORKS_FASTER


def test_the_whole_profiler_beside_nn_meter_2_0(python, old_home):
    """The same program, with the one package and the other: most of the time is torch's, exporting the sub-modules."""
    environment = {"HOME": str(old_home), "NN_METER_HOME": str(old_home / ".nn_meter")}
    old_packages = next((REFERENCE.parents[1] / "lib").glob("python*/site-packages"))
    results = {}
    for who, path in (("theirs", str(old_packages)), ("ours", "")):
        done = run(python, DRIVER, "proxylessnas", "--predictor", "k8", **environment, PYTHONPATH=path)
        results[who] = json.loads(done.stdout.splitlines()[-1])
    theirs, ours = results["theirs"], results["ours"]
    assert theirs["nn_meter"].startswith("2.") and ours["nn_meter"].startswith("3.")
    assert theirs["count"] == ours["count"] and ours["stopped"] == 0
    print(
        f"proxylessnas, {ours['count']} questions: {theirs['whole_seconds']:.1f} s with nn-Meter 2.0, "
        f"{theirs['seconds']:.2f} s of it in predict; {ours['whole_seconds']:.1f} s and {ours['seconds']:.2f} s with ours",
        file=sys.stderr,
    )
    assert ours["seconds"] < theirs["seconds"] / 4
