"""Scripts written for nn-Meter 2.0 find the same names with the same parameters. Parameters of our own come last, by keyword."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).resolve().parent
REFERENCE = HERE.parents[2] / ".venv-nn-meter-2.0" / "bin" / "python"
BUILDER = (
    *("import_module", "register_module", "register_module_cli", "unregister_module", "unregister_module_cli"),
    "unregister_module_with_implement",
)
# (module, name, method or None): why it is not here
LEFT_OUT = {
    ("nn_meter.utils.graph_tool", "ModelGraph", "match_isomorph_vf2"): "does nothing there",
    ("nn_meter.predictor.utils", "loading_to_local", None): "executes what it finds",
    ("nn_meter.predictor.utils", "loading_customized_predictor", None): "executes what it finds",
    **{("nn_meter.utils.nn_meter_cli.registry", name, None): "of the builder, not in this version" for name in BUILDER},
    ("nn_meter.utils.nn_meter_cli.interface", "nn_meter_info", None): "takes what argparse made of a command line",
    ("nn_meter.ir_converter.onnx_converter", "OnnxConverter", "fetch_attrs"): "a step inside of convert()",
}


def signatures(python, home):
    """Of the nn_meter that this Python has, with the torch of this environment: nn-Meter 2.0 asks for it too."""
    environment = {**os.environ, "HOME": str(home)}
    command = [python, HERE / "signatures.py", Path(torch.__file__).parents[1]]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=home)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stderr.splitlines()[-1])


def fault(theirs, ours):
    """What a caller of theirs would stumble over; None when nothing."""
    for place, (name, kind, default) in enumerate(theirs):
        if place >= len(ours) or ours[place][:2] != [name, kind]:
            return f"parameter {name} is missing or elsewhere"
        if default not in (ours[place][2], "PATH"):
            return f"parameter {name} is {ours[place][2]}, was {default}"
    extra = [name for name, kind, _ in ours[len(theirs) :] if kind != "KEYWORD_ONLY"]
    return f"parameters {extra} are no keywords" if extra else None


def compared(theirs, ours):
    for module, names in theirs.items():
        for name, value in names.items():
            found = ours[module].get(name)
            if not isinstance(value, dict):
                yield (module, name, None), "missing" if found is None else fault(value, found)
                continue
            for method, parameters in value.items():
                if found is not None and method == "__init__" and method not in found:
                    continue  # inherited
                missing = found is None or method not in found
                yield (module, name, method), "missing" if missing else fault(parameters, found[method])


def test_every_name_has_the_parameters_of_nn_meter_2_0(tmp_path):
    if not REFERENCE.exists():
        pytest.skip("nn-Meter 2.0 could not be had from PyPI: its names are not compared")
    theirs, ours = signatures(REFERENCE, tmp_path), signatures(sys.executable, tmp_path)
    results = dict(compared(theirs, ours))
    faults = {place: text for place, text in results.items() if text}
    assert faults == {place: "missing" for place in LEFT_OUT}
    assert len(results) > 100
