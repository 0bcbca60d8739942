"""What NNI 3.0 calls a model, given to predict() as it is: the same numbers as the same network without NNI."""

import json
from pathlib import Path

import pytest
from nni_environment import run

DRIVER = Path(__file__).resolve().parent / "nni_objects.py"
FREEZE = "freeze it first, space.freeze(sample), or give what a strategy has sampled"
ERRORS = {
    "open raw": f"RawFormatModelSpace: is a space of models and not frozen; {FREEZE}",
    "open simplified": f"SimplifiedModelSpace: is a space of models and not frozen; {FREEZE}",
    "open module": f"Net: is a space of models, choices are open (body); {FREEZE}",
    "open graph": "is a choice that has not been made; export a model that NNI has sampled from the search space",
    "no model": "object is no model of NNI; give the IR (a path, its dictionary or graph), or a space that is frozen",
    "failing": "SimplifiedModelSpace: executable_model() fails: TypeError: ",
}


@pytest.fixture(scope="module")
def answer(python, tmp_path_factory):
    done = run(python, DRIVER, NN_METER_HOME=str(tmp_path_factory.mktemp("home")))
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("number", [0, 1])
def test_all_forms_of_a_model_have_the_latency_of_the_plain_one(answer, number):
    latencies = {name: value for name, value in answer["cases"].items() if name.endswith(f" {number}")}
    assert len(latencies) == 10
    assert set(latencies.values()) == {latencies[f"plain {number}"]}, latencies


def test_choices_of_values_inputs_and_depth(answer):
    cases = answer["cases"]
    for width in (16, 32):
        assert cases[f"every {width}"] == cases[f"every simplified {width}"]
    assert cases["every 32"] > 4 * cases["every 16"] > 0


@pytest.mark.parametrize("case", ERRORS)
def test_what_is_no_single_model_is_refused(answer, case):
    assert ERRORS[case] in answer["cases"][case]


def test_models_of_the_hub(answer):
    assert set(answer["hub"]) == {"ProxylessNAS", "NasBench201"}
    assert all(frozen == module > 0.1 for frozen, module in answer["hub"].values())


def test_a_filter_takes_them(answer):
    assert answer["filter"] == [True, False]


def test_the_estimator_of_a_space_of_the_hub(answer):
    found = answer["estimator"]
    for estimate, whole in found["pairs"]:
        assert estimate == pytest.approx(whole, rel=1e-6)
    assert found["difference"] < 1e-6 and found["other"] < 1e-6
    assert "choices that are no LayerChoice are as NNI's dry run takes them: s2_depth, " in found["notes"][-1]
