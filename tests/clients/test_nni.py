"""NNI 3.0's latency profiler, as PyPI has it, with our nn_meter in place of nn-Meter 2.0: three of its model spaces.

Installs NNI and torch into a virtual environment of its own (.venv-nni); skipped, saying so, where they cannot be had.
"""

import json
import os
import sys
from pathlib import Path

import pytest
from nni_environment import FOLDER, ROOT, run

DRIVER = Path(__file__).resolve().parent / "nni_profiler.py"
REFERENCE = ROOT / ".venv-nn-meter-2.0" / "bin" / "python"
SHARED = Path(os.environ.get("NNM_SHARED") or ROOT.parent / "shared")
OLD_PREDICTOR = SHARED / "legacy" / "k8_predictor"
AT_LEAST_FASTER = (
    4  # than nn-Meter 2.0, on the same sub-modules in the same run; from Python, serialising them included
)

ASK = """
import json, sys, time
from pathlib import Path
import onnx, nn_meter
models = {{path.name: onnx.load(path) for path in sorted(Path(sys.argv[1]).glob("*.onnx"))}}
wanted = json.loads(sys.argv[3]) or list(models)
nn_meter.logger.setLevel("WARNING")
predictor = {load}
predictor.predict(models[wanted[0]], model_type="onnx")
latencies, seconds = {{}}, 0
for name in wanted:
    began = time.process_time()
    try:
        latencies[name] = float(predictor.predict(models[name], model_type="onnx"))
    except Exception:
        continue  # nn-Meter 2.0 cannot do a lone activation, for one
    seconds += time.process_time() - began
print(json.dumps({{"seconds": seconds, "latencies": latencies}}), file=sys.stderr)
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


def test_how_much_faster_than_nn_meter_2_0(python, asked, tmp_path):
    """The sub-modules that were just asked about, with the same predictor."""
    if not REFERENCE.exists() or not OLD_PREDICTOR.exists():
        pytest.skip("nn-Meter 2.0 or its predictor is not here: speed is not compared")
    program = FOLDER / "bin" / "nn-meter"
    environment = {"NN_METER_HOME": str(tmp_path), "HOME": str(tmp_path)}
    run(program, "import-predictor", OLD_PREDICTOR, "--name", "k8", **environment)
    answers, wanted = {}, []
    for who, interpreter, load in (("theirs", REFERENCE, THEIRS), ("ours", python, OURS)):
        arguments = ("-c", ASK.format(load=load), asked, OLD_PREDICTOR, json.dumps(wanted))
        answers[who] = json.loads(run(interpreter, *arguments, **environment).stderr.splitlines()[-1])
        wanted = list(answers[who]["latencies"])
    assert len(wanted) >= 50 and list(answers["ours"]["latencies"]) == wanted
    ratio = answers["theirs"]["seconds"] / answers["ours"]["seconds"]
    print(f"{len(wanted)} sub-modules: {ratio:.0f} times faster than nn-Meter 2.0", file=sys.stderr)
    assert ratio > AT_LEAST_FASTER
