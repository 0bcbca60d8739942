"""The other commands, wrong usage, and the texts made from the table of options."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

EXPECTED = Path(__file__).resolve().parent / "expected"
PREDICTOR = re.compile(r"(?<=\[Predictor\] ).+(?=\n)")  # how nn-Meter's own tests find predictors


def expect(name, text):
    """Compares text with a file of tests/cli/expected; NNM_REWRITE=1 writes the file instead."""
    path = EXPECTED / name
    if os.environ.get("NNM_REWRITE"):
        path.write_text(text)
    assert text == path.read_text(), f"{path.name}: if this is meant, run the tests with NNM_REWRITE=1"


# ------------------------------------------------------------------ lists, version, help


def test_list_predictors(run, place):
    (place / "home/predictors/damaged-1.0.nnmeter").write_bytes(b"NNMETER\0damaged")
    result = run("--list-predictors")
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "(nn-Meter) Supported latency predictors:"
    assert "(nn-Meter) [Predictor] tiny: version=1.0" in lines
    found = [text.split(": version=") for text in PREDICTOR.findall(result.stdout)]
    assert ["tiny", "1.0"] in found and all(len(pair) == 2 for pair in found)
    verbose = run("-v", "--list-predictors")
    assert verbose.stdout == result.stdout
    assert "tiny: forest, " in verbose.stderr and "made up for tests" in verbose.stderr


def test_damaged_predictors_are_left_out_of_all(run, place):
    (place / "home/predictors/damaged-1.0.nnmeter").write_bytes(b"NNMETER\0damaged")
    result = run("predict", "--predictor", "all", "--jsonl", "net.onnx")
    assert result.returncode == 0
    assert "tiny" in [json.loads(line)["predictor"] for line in result.stdout.splitlines()]
    assert re.search(r"^nn-meter: warning: .*damaged-1.0.nnmeter: left out: ", result.stderr, re.MULTILINE)


@pytest.mark.parametrize(
    ("option", "heading", "kind", "one"),
    [
        ("--list-kernels", "kernels", "Kernel", "conv"),
        ("--list-operators", "operators", "Operator", "Conv"),
        ("--list-torchvision", "networks of torchvision", "Torchvision", "resnet18"),
    ],
)
def test_lists(run, option, heading, kind, one):
    result = run(option)
    lines = result.stdout.splitlines()
    assert lines[0] == f"(nn-Meter) Supported {heading}:"
    assert f"(nn-Meter) [{kind}] {one}" in lines
    assert all(re.fullmatch(rf"\(nn-Meter\) \[{kind}\] \S+", line) for line in lines[1:])


def test_version(run):
    result = run("--version")
    assert result.returncode == 0
    assert re.fullmatch(r"nn-meter \d+\.\d+\.\d+\n", result.stdout)


def test_no_command(run):
    result = run()
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == ('(nn-Meter) please run "nn-meter {positional argument} --help" to see nn-meter guidance\n')


COMMANDS = [
    "predict",
    "get_ir",
    "inspect",
    "fit",
    "import-predictor",
    "register",
    "unregister",
    "fetch",
    "completion",
    "help",
]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help(run, command):
    by_option = run(*([command] if command else []), "--help")
    by_command = run("help", *([command] if command else []))
    assert by_option.returncode == 0
    assert by_option.stdout == by_command.stdout == run(*([command] if command else []), "-h").stdout
    assert "examples:" in by_option.stdout
    expect(f"help-{command or 'main'}.txt", by_option.stdout)


def test_help_wins(run):
    result = run("predict", "--onnx", "nosuch.onnx", "--help", "--nosuchoption")
    assert (result.returncode, result.stderr) == (0, "")


# ------------------------------------------------------------------ wrong usage

WRONG = [
    ["nosuchcommand"],
    ["pedict", "net.onnx"],
    ["net.onnx"],
    ["--nosuchoption"],
    ["--v"],
    ["predict"],
    ["predict", "--onnx", "net.onnx"],
    ["predict", "--onnx"],
    ["predict", "--predictor", "--json", "net.onnx"],
    ["predict", "--pred", "tiny"],
    ["predict", "--predictr", "tiny"],
    ["predict", "--predictor-version", "abc"],
    ["predict", "--onnx", "net.onnx", "--nn-meter-ir", "net.json"],
    ["predict", "--onnx", "net.onnx", "--tensorflow", "net.pb"],
    ["predict", "--json", "--csv", "net.onnx"],
    ["predict", "--json=yes", "net.onnx"],
    ["predict", "--jobs", "two"],
    ["predict", "--jobs", "257"],
    ["predict", "--jobs", "-1"],
    ["predict", "--batch-size", "0"],
    ["predict", "--batch-size", "99999999999999999999"],
    ["predict", "--compat", "nn-meter-1.0"],
    ["predict", "--predictor", "tiny", "--input-shape", "x:1x3xWxH", "net.onnx"],
    ["predict", "--predictor", "tiny", "--input-shape", "x:", "net.onnx"],
    ["predict", "--predictor", "tiny", "--input-shape", "1x0x3", "net.onnx"],
    ["predict", "--tensorflow", "net.pb"],
    ["predict", "--torchvision", "resnet18"],
    ["predict", "--predictor", "tiny", "--torchvision"],
    ["predict", "--predictor", "tiny", "--torchvision", "resnet18", "--onnx", "net.onnx"],
    ["predict", "-Z"],
    ["get_ir"],
    ["get_ir", "net.onnx", "open.onnx"],
    ["get_ir", "--onnx", "net.onnx", "open.onnx"],
    ["inspect"],
    ["inspect", "--stage", "latency", "net.onnx"],
    ["inspect", "--stage=kernels", "net.onnx"],
    ["inspect", "--stage=kernels", "--predictor", "all", "net.onnx"],
    ["import-predictor"],
    ["import-predictor", "folder"],
    ["import-predictor", "one", "two", "--name", "x"],
    ["completion"],
    ["completion", "tcsh"],
    ["help", "nosuchcommand"],
]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_usage(run, arguments):
    result = run(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("usage: nn-meter")
    assert re.match(r"nn-meter( [a-z_-]+)?: error: ", result.stderr.splitlines()[-1])


def test_wrong_usage_texts(run):
    """The last line of each; what argparse has a wording for is worded so."""
    lines = [f"$ nn-meter {' '.join(arguments)}\n{run(*arguments).stderr.splitlines()[-1]}\n" for arguments in WRONG]
    expect("wrong-usage.txt", "".join(lines))


@pytest.mark.parametrize("arguments", [["fo\no\x1b[1m"], ["predict", "--x\x1b[1m"], ["predict", "--jobs", "\x1b[2J\n"]])
def test_wrong_usage_keeps_control_characters_from_the_terminal(run, arguments):
    result = run(*arguments)
    assert result.returncode == 2
    assert "\x1b" not in result.stderr
    assert re.match(r"nn-meter( [a-z_-]+)?: error: ", result.stderr.splitlines()[-1])


def test_unknown_predictor(run):
    for arguments in (["--predictor", "nosuch"], ["--predictor", "tiny", "--predictor-version", "9.0"]):
        result = run("predict", *arguments, "--onnx", "net.onnx")
        assert (result.returncode, result.stdout) == (1, "")
        assert len(result.stderr.splitlines()) == 1
        assert result.stderr.startswith("nn-meter: error: ")


# ------------------------------------------------------------------ get_ir


@pytest.mark.parametrize("command", ["get_ir", "getir"])
def test_get_ir(run, place, command):
    result = run(command, "--onnx", "net.onnx")
    path = place / "net_onnx_ir.json"
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"(nn-Meter) The nn-meter ir graph has been saved. Saved path: {path.resolve()}\n"
    text = path.read_text()
    document = json.loads(text)
    assert document["conv2"]["inbounds"] == ["relu1"]
    assert text == json.dumps(document, indent=4, sort_keys=True)
    assert not list(place.glob("*.json.*"))


@pytest.mark.parametrize(
    ("model", "option", "written"),
    [
        ("net.onnx", ["--output", "out3.txt"], "out3.txt.json"),
        ("net.onnx", ["-o", "out.json"], "out.json"),
        ("noext", [], "noext.json"),
        ("a.onnx.b", [], "a_onnx_ir.json.b.json"),
        ("x.onnx.d/net.onnx", [], "x.onnx.d/net_onnx_ir.json"),
    ],
)
def test_get_ir_names(run, place, model, option, written):
    (place / model).parent.mkdir(exist_ok=True)
    if model != "net.onnx":
        shutil.copy(place / "net.onnx", place / model)
    assert run("get_ir", "--onnx", model, *option).returncode == 0
    assert "conv1" in json.loads((place / written).read_text())


def test_get_ir_of_tflite(run, place):
    """TensorFlow's names of operators, and the same latency from the IR as from the file."""
    assert run("get_ir", "--tflite", "net.tflite").returncode == 0
    document = json.loads((place / "net_tflite_ir.json").read_text())
    types = {node["attr"]["type"] for node in document.values()}
    assert {"Conv2D", "DepthwiseConv2dNative", "Relu6", "MaxPool", "ReduceMean", "Gemm"} <= types
    device = ["--predictor", "cortexA76cpu_tflite21", "--json"]
    one, two = (run("predict", *device, name) for name in ("net.tflite", "net_tflite_ir.json"))
    first, second = (json.loads(result.stdout)["results"][0]["latency_ms"] for result in (one, two))
    assert first == pytest.approx(second, rel=1e-9)


def test_get_ir_to_standard_output(run, place):
    result = run("get_ir", "net.onnx", "--output", "-")
    assert "conv1" in json.loads(result.stdout)
    assert not (place / "-.json").exists()


def test_get_ir_never_replaces_the_model(run, place):
    assert run("get_ir", "--onnx", "net.onnx", "-o", "graph.json").returncode == 0
    before = (place / "graph.json").read_bytes()
    (place / "link.json").symlink_to("graph.json")
    for arguments in (["graph.json"], ["link.json"], ["graph.json", "-o", "./graph.json"]):
        result = run("get_ir", "--nn-meter-ir", *arguments)
        assert (result.returncode, result.stdout) == (1, "")
        assert "is the model itself; name another file with --output" in result.stderr
    assert (place / "graph.json").read_bytes() == before
    assert run("get_ir", "--nn-meter-ir", "graph.json", "-o", "again.json").returncode == 0


@pytest.mark.parametrize("command", [["predict", "--predictor", "tiny", "--json"], ["inspect", "--stage=shapes"]])
def test_results_never_replace_the_model(run, place, command):
    before = (place / "net.onnx").read_bytes()
    result = run(*command, "--onnx", "net.onnx", "--output", "./net.onnx")
    assert (result.returncode, result.stdout) == (1, "")
    assert "is the model itself; name another file with --output" in result.stderr
    assert (place / "net.onnx").read_bytes() == before


def test_get_ir_failures(run, place):
    (place / "folder").mkdir()
    (place / "broken_onnx_ir.json").write_text("before")
    for arguments in (["nosuch.onnx"], ["folder"], ["broken.onnx"], ["net.onnx", "-o", "nosuchdir/x.json"]):
        result = run("get_ir", "--onnx", *arguments)
        assert (result.returncode, result.stdout) == (1, "")
        assert len(result.stderr.splitlines()) == 1
        assert result.stderr.startswith("nn-meter: error: ")
    assert (place / "broken_onnx_ir.json").read_text() == "before"


def test_get_ir_of_an_open_shape(run):
    assert run("get_ir", "open.onnx").returncode == 1
    result = run("get_ir", "open.onnx", "--input-shape", "x:1x3x32x32", "-o", "-")
    assert json.loads(result.stdout)["conv1"]["attr"]["input_shape"][0] == [1, 32, 32, 3]


# ------------------------------------------------------------------ inspect


def test_inspect_graph(run):
    document = json.loads(run("inspect", "--stage=graph", "--json", "net.onnx").stdout)
    assert document["format"] == "onnx"
    assert [node["name"] for node in document["blocks"][0]["nodes"]] == ["conv1", "relu1", "conv2", "relu2"]
    assert document["blocks"][0]["nodes"][2]["attributes"]["strides"] == [2, 2]
    roles = {tensor["name"]: tensor["role"] for tensor in document["tensors"]}
    assert (roles["x"], roles["w1"], roles["a"]) == ("input", "weight", "intermediate")
    text = run("inspect", "open.onnx").stdout  # the graph can be seen although shapes are open
    assert 'input  x  float32 ["N", 3, "H", "W"]' in text
    assert re.search(r"Conv  conv1  \(x, w1\) -> a", text)


def test_inspect_shapes(run):
    result = run("inspect", "--stage", "shapes", "--json", "net.onnx", "tail.onnx")
    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert first["tensors"]["x"] == [1, 3, 32, 32]
    assert first["tensors"]["d"] == [1, 16, 16, 16]
    assert second["tensors"]["t0"] == [1, 16, 1, 1]
    text = run("inspect", "--stage=shapes", "net.onnx").stdout
    assert re.search(r"^1x16x16x16 +float32 +d$", text, re.MULTILINE)


def test_inspect_kernels(run, place):
    document = json.loads(run("inspect", "--stage=kernels", "--json", "--predictor", "tiny", "net.onnx").stdout)
    assert [kernel["op"] for kernel in document["kernels"]] == ["conv-relu", "conv-relu"]
    assert document["kernels"][1]["cin"] == 8
    assert document["kernels"][0]["input_tensors"] == [[1, 32, 32, 3]]
    assert sorted(document["kernels"][0]["nodes"]) == [0, 1]
    (place / "rules.json").write_text('{"BF_conv_relu": {"obey": true}}')
    rules = ["--fusion-rules", "rules.json", "net.onnx"]
    compat = json.loads(run("inspect", "--stage=kernels", "--json", "--compat", "nn-meter-2.0", *rules).stdout)
    assert compat == document
    own = json.loads(run("inspect", "--stage=kernels", "--json", *rules).stdout)
    assert [kernel["members"] for kernel in own["kernels"]] == [["conv1", "relu1"], ["conv2", "relu2"]]
    assert own["kernels"][0]["predicted_as"] == "conv"
    assert own["kernels"][1]["attributes"]["input_shapes"] == [[1, 32, 32, 8]]
    text = run("inspect", "--stage=kernels", *rules).stdout
    assert re.search(r"conv-relu +1x32x32x8 -> 1x16x16x16 +conv2, relu2", text)


def test_inspect_features(run, place):
    document = json.loads(run("inspect", "--stage=features", "--json", "--predictor", "tiny", "tail.onnx").stdout)
    assert [len(row) for _, row in document["features"]][:2] == [7, 7]
    (place / "rules.json").write_text('{"BF_conv_relu": {"obey": true}}')
    own = json.loads(run("inspect", "--stage=features", "--json", "--fusion-rules", "rules.json", "net.onnx").stdout)
    assert len(own["features"]) == 2
    assert all(len(row) == len(own["names"]) for _, row in own["features"])


def test_inspect_several_and_failing(run, place):
    result = run("inspect", "--stage=shapes", "net.onnx", "broken.onnx", "tail.onnx", "-o", "out.txt")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("nn-meter: error: broken.onnx: ")
    text = (place / "out.txt").read_text()
    assert text.startswith("net.onnx:\n") and "\ntail.onnx:\n" in text


# ------------------------------------------------------------------ import-predictor


def test_import_failures(run, place):
    (place / "folder").mkdir()
    for folder in ("folder", "nosuch"):
        result = run("import-predictor", folder, "--name", "phone")
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith("nn-meter: error: ") and len(result.stderr.splitlines()) == 1


def test_import_refuses_the_name_of_all(run, place):
    (place / "folder").mkdir()
    result = run("import-predictor", "folder", "--name", "all")
    assert result.returncode == 1
    assert "'all' means every predictor; give another name" in result.stderr


def test_import(run, shared):
    folder = next(path.parent for path in sorted((shared / "legacy").rglob("fusion_rules.json")))
    result = run("import-predictor", folder, "--name", "k8", "--version", "2.5")
    assert result.returncode == 0, result.stderr
    assert result.stdout == "(nn-Meter) Successfully register predictor: k8\n"
    assert "[Predictor] k8: version=2.5\n" in run("--list-predictors").stdout
    assert run("predict", "--predictor", "k8", "net.onnx").returncode == 0


# ------------------------------------------------------------------ what is made from the table


def options_of(help_text):
    """The long options that a help text describes, at the start of a line."""
    return set(re.findall(r"^  (?:-\w, )?(--[a-z0-9-]+)", help_text, re.MULTILINE))


@pytest.mark.parametrize("command", COMMANDS)
def test_usage_manual_and_completions_agree(run, command):
    text = run(command, "--help").stdout
    options = options_of(text)
    assert options >= {"--help", "--verbose", "--quiet"}
    assert options == set(re.findall(r"--[a-z0-9-]+", text[: text.index("\n\n")]))
    manual = run("help", "--man").stdout.replace("\\-", "-")
    section = re.split(r"^\.S[SH] ", manual[manual.index(f'.SS "nn-meter {command} ') + 3 :], flags=re.MULTILINE)[0]
    assert options == set(re.findall(r"^.*\\fB(--[a-z0-9-]+)", section, re.MULTILINE))
    fish = run("completion", "fish").stdout
    assert options == {
        "--" + name for name in re.findall(rf"seen_subcommand_from {command}\b[^']*' -l ([a-z0-9-]+)", fish)
    }
    zsh = run("completion", "zsh").stdout
    part = zsh[zsh.index(f"\n  {command}") :].split(";;")[0]
    assert options == set(re.findall(r"^ +'\*?(--[a-z0-9-]+)\[", part, re.MULTILINE))


def complete(run, *words):
    """What bash offers for the last word."""
    script = run("completion", "bash").stdout
    line = "COMP_WORDS=({}); COMP_CWORD={}; _nn_meter; printf '%s\\n' \"${{COMPREPLY[@]}}\"".format(
        " ".join(f"'{word}'" for word in words), len(words) - 1
    )
    return subprocess.run(["bash", "-c", f"{script}\n{line}"], capture_output=True, text=True, check=True, cwd="/")


def test_bash_completion(run, program, place, monkeypatch):
    (place / "bin").mkdir()
    (place / "bin/nn-meter").symlink_to(program.resolve())
    monkeypatch.setenv("PATH", f"{place / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("NN_METER_HOME", str(place / "home"))
    assert complete(run, "nn-meter", "pre").stdout.split() == ["predict"]
    assert complete(run, "nn-meter", "predict", "--js").stdout.split() == ["--json", "--jsonl"]
    assert complete(run, "nn-meter", "inspect", "--stage", "sh").stdout.split() == ["shapes"]
    assert complete(run, "nn-meter", "completion", "b").stdout.split() == ["bash"]
    assert complete(run, "nn-meter", "predict", "--predictor", "ti").stdout.split() == ["tiny"]
    assert complete(run, "nn-meter", "predict", "/dev/nul").stdout.split() == ["/dev/null"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_sound(run, shell):
    script = run("completion", shell).stdout
    if not shutil.which(shell):
        pytest.skip(f"completion for {shell}: no {shell} on this machine to check it with")
    subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_manual_is_sound(run):
    manual = run("help", "--man").stdout
    assert manual.startswith(".TH NN\\-METER 1 ")
    if not shutil.which("groff"):
        pytest.skip("manual page: no groff on this machine to check it with")
    groff = subprocess.run(["groff", "-man", "-Tutf8", "-ww"], input=manual, capture_output=True, text=True, check=True)
    assert groff.stderr == ""
    assert "import-predictor" in groff.stdout.replace("\u2010", "-").replace("\u2212", "-")
