"""Which format a file has is told from its content, never from its name or its neighbours."""

import json
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
BENCHMARK = {
    "id": "one",
    "family": "test",
    "ops": [["input", [], [8, 8, 3]], ["conv", [0], 16, 3, 1, "SAME"], ["relu", [1]]],
}


def nni_document(node):
    """An NNI graph of one node between the model's input and output."""
    ends = [["_inputs", 0], ["a", None], ["_outputs", None]]
    edges = [{"head": head, "tail": tail} for head, tail in zip(ends, ends[1:], strict=False)]
    return {"_model": {"inputs": ["x"], "outputs": ["y"], "nodes": {"a": {"operation": node}}, "edges": edges}}


@pytest.fixture
def files(run, place):
    """One file of each format, named so as to mislead."""
    relu = {"type": "__torch__.torch.nn.modules.activation.ReLU", "attributes": {"input_shape": [[1, 8, 8, 3]]}}
    assert run("get_ir", "--onnx", "net.onnx", "-o", "ir.json").returncode == 0
    (place / "ir.json").rename(place / "ir.onnx")
    shutil.copyfile(place / "net.onnx", place / "onnx.json")
    (place / "nni.onnx").write_text(json.dumps(nni_document(relu)))
    (place / "benchmark.txt").write_text(json.dumps(BENCHMARK))
    return {"ir.onnx": "nnmeter-ir", "onnx.json": "onnx", "nni.onnx": "nni-ir", "benchmark.txt": "benchmark"}


def test_a_mixed_list(run, files):
    result = run("predict", "--predictor", "all", "--json", *files)
    assert result.returncode == 0, result.stderr
    found = {each["model"]: each["format"] for each in json.loads(result.stdout)["results"]}
    assert found == files


def test_a_mixed_list_with_what_is_no_model(run, place, files):
    """Each fault is told by itself and names what the file looks like; the others have their results."""
    faults = {
        "graph.tflite": (b"\x1c\0\0\0TFL3" + b"\0" * 60, "cut short"),
        "weights.bin": (b'\x10\0\0\0\0\0\0\0{"a": {}}', "safetensors"),
        "archive.onnx": (b"PK\x03\x04" + b"\0" * 60, "zip archive"),
        "keras.onnx": (b"\x89HDF\r\n\x1a\n", "HDF5"),
        "pickle.json": (b"\x80\x04\x95\0\0\0", "pickle"),
        "notes.onnx": (b"this is not a model\n", "plain text"),
        "other.json": (b'{"layers": []', "looks like JSON"),
        "empty.onnx": (b"", "empty"),
    }
    for name, (content, _) in faults.items():
        (place / name).write_bytes(content)
    result = run("predict", "--predictor", "cortexA76cpu_tflite21", "-q", *files, *faults)
    assert result.returncode == 1
    assert result.stdout.count("[RESULT]") == len(files)
    told = result.stderr.splitlines()
    assert len(told) == len(faults)
    for line, (name, (_, words)) in zip(told, faults.items(), strict=True):
        assert line.startswith(f"nn-meter: error: {name}: ") and words in line


@pytest.mark.parametrize("command", ["inspect", "get_ir"])
def test_other_commands_tell_it_too(run, files, command):
    for name in files:
        options = ["--stage=graph"] if command == "inspect" else ["-o", "-"]
        result = run(command, *options, name)
        assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("option", "file", "words"),
    [
        ("--onnx", "ir.onnx", "nn-Meter IR; give it with --nn-meter-ir"),
        ("--onnx", "nni.onnx", "NNI's graph IR; give it with --nni-ir"),
        ("--onnx", "benchmark.txt", "a graph of the 26k benchmark"),
        ("--nn-meter-ir", "nni.onnx", "NNI's graph IR; give it with --nni-ir"),
        ("--nni-ir", "onnx.json", "an ONNX model; give it with --onnx"),
        ("--nni-ir", "ir.onnx", "nn-Meter IR; give it with --nn-meter-ir"),
    ],
)
def test_the_wrong_option_names_the_right_one(predict, files, option, file, words):
    assert file in files
    result = predict(option, file)
    assert (result.returncode, result.stdout) == (1, "")
    assert file in result.stderr and f"looks like {words}" in result.stderr


# ------------------------------------------------------------------ NNI's graph IR


def test_nni_example(run):
    """The bundled file: a cell that is run twice, sizes of the input from the command line."""
    example = ROOT / "examples" / "nni" / "network.json"
    options = ["--nni-ir", example, "--input-shape", "1x3x32x32"]
    result = run("predict", "--predictor", "cortexA76cpu_tflite21", "--json", "--breakdown", *options)
    assert result.returncode == 0, result.stderr
    for each in json.loads(result.stdout)["results"]:
        types = [kernel["type"] for kernel in each["kernels"]]
        assert types.count("dwconv-bn-relu") == 2 and len(types) == 11
        # the stem, two blocks of three layers, the classifier
        block = 256 * (16 * 64 + 64 * 9 + 64 * 16)
        macs = 256 * 16 * 27 + 2 * block + 16 * 10
        assert sum(kernel["attributes"]["multiply_adds"] for kernel in each["kernels"]) == macs
    without = run("predict", "--predictor", "all", "--nni-ir", example)
    assert without.returncode == 1
    assert "image: " in without.stderr and "--input-shape image:1x3x224x224" in without.stderr


def test_nni_to_ir(run, place):
    """What is read can be written as nn-Meter IR, and gives the same latency."""
    example = ROOT / "examples" / "nni" / "network.json"
    shape = ["--input-shape", "1x3x32x32"]
    assert run("get_ir", "--nni-ir", example, *shape, "-o", "written.json").returncode == 0
    direct = run("predict", "--predictor", "cortexA76cpu_tflite21", "--json", example, *shape)
    again = run("predict", "--predictor", "cortexA76cpu_tflite21", "--json", "written.json")
    latencies = [json.loads(each.stdout)["results"][0]["latency_ms"] for each in (direct, again)]
    assert latencies[0] == pytest.approx(latencies[1], rel=1e-9)


def test_nni_choice_is_refused(predict, place):
    choice = {"type": "_cell", "cell_name": "c", "parameters": {"mutation": "layerchoice", "candidates": ["a", "b"]}}
    (place / "space.json").write_text(json.dumps(nni_document(choice)))
    result = predict("--nni-ir", "space.json")
    assert (result.returncode, result.stdout) == (1, "")
    assert "has not been made" in result.stderr and len(result.stderr.splitlines()) == 1


def test_nni_folder(predict, place):
    (place / "space").mkdir()
    shutil.copyfile(ROOT / "examples" / "nni" / "network.json", place / "space" / "net.json")
    result = predict("--nni-ir", "space", "--input-shape", "1x3x32x32", "-q")
    assert result.returncode == 0, result.stderr
    assert "predict latency for net.json" in result.stdout
