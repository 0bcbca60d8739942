"""nn-meter predict: every option, and what goes wrong."""

import csv
import io
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import small_files

TOTAL = 2.5 + 0.75
TFLITE = Path(__file__).resolve().parents[1] / "data" / "tflite"
LINE = "(nn-Meter) [RESULT] predict latency for {}: {} ms\n"
# how nn-Meter's own tests find a result
RESULT = re.compile(r"(?<=\[RESULT\] predict latency for ).*(?= ms\n)")


def results(stdout):
    """[(name, milliseconds)] as nn-Meter's tests take them from the output."""
    return [(name, float(value)) for name, value in (found.split(": ") for found in RESULT.findall(stdout))]


def errors(stderr):
    return [line for line in stderr.splitlines() if line.startswith("nn-meter: error: ")]


# ------------------------------------------------------------------ one model


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "--predictor", "tiny", "--onnx", "net.onnx"],
        ["lat_pred", "--predictor", "tiny", "--onnx", "net.onnx"],
        ["predict", "--onnx", "net.onnx", "--predictor", "tiny"],
        ["predict", "--onn", "net.onnx", "--predictor=tiny"],
        ["predict", "--onnx=net.onnx", "--predictor", "TINY"],
        ["predict", "net.onnx", "--predictor", "tiny"],
        ["predict", "--predictor", "tiny", "--", "net.onnx"],
        ["--predictor", "tiny", "--onnx", "net.onnx"],
        ["--onnx", "net.onnx", "--predictor", "tiny", "--predictor-version", "1.0"],
        ["-q", "predict", "--predictor", "tiny", "net.onnx"],
        ["predict", "--predictor", "tiny", "--predictor-version", "1", "net.onnx"],
        ["predict", "--predictor", "home/predictors/tiny-1.0.nnmeter", "net.onnx"],
        ["predict", "--predictor", "all", "net.onnx", "--predictor-version", "1.0"],
    ],
)
def test_one_model(run, arguments):
    result = run(*arguments)
    assert result.returncode == 0, result.stderr
    assert ("net.onnx", TOTAL) in results(result.stdout)
    if "all" not in arguments:
        assert result.stdout == LINE.format("net.onnx", TOTAL)
        assert result.stderr == ""


def test_latest_version_unless_one_is_named(run, place):
    newer = small_files.predictor(version="1.10", forests={"conv-bn-relu": (7, 1, 5.5, 1.0, 1.0)})
    (place / "home/predictors/tiny-1.10.nnmeter").write_bytes(newer)
    assert results(run("predict", "--predictor", "tiny", "net.onnx").stdout) == [("net.onnx", 2.0)]
    old = run("predict", "--predictor", "tiny", "--predictor-version", "1.0", "net.onnx")
    assert results(old.stdout) == [("net.onnx", TOTAL)]


def test_several_predictors_name_themselves(run, place):
    other = small_files.predictor("other", forests={"conv-bn-relu": (7, 1, 5.5, 1.0, 1.0)})
    (place / "home/predictors/other-1.0.nnmeter").write_bytes(other)
    result = run("predict", "--predictor", "tiny", "--predictor", "other", "net.onnx", "net.onnx")
    both = (
        "(nn-Meter) [Predictor] tiny: version=1.0\n"
        + LINE.format("net.onnx", 3.25)
        + "(nn-Meter) [Predictor] other: version=1.0\n"
        + LINE.format("net.onnx", 2.0)
    )
    assert result.stdout == both * 2
    assert results(result.stdout) == [("net.onnx", 3.25), ("net.onnx", 2.0)] * 2


# ------------------------------------------------------------------ several models


@pytest.mark.parametrize("option", [["--onnx"], []])
@pytest.mark.parametrize("folder", ["models", "models/"])
def test_folder_by_name_without_folders_below(predict, option, folder):
    result = predict(*option, folder)
    assert result.returncode == 0, result.stderr
    assert [name for name, _ in results(result.stdout)] == ["a.onnx", "b.onnx", "c.onnx"]


def test_files_and_folders_in_the_order_given(predict):
    result = predict("--onnx", "tail.onnx", "models", "net.onnx", "-q")
    assert [name for name, _ in results(result.stdout)] == ["tail.onnx", "a.onnx", "b.onnx", "c.onnx", "net.onnx"]


def test_tflite_by_option_by_content_and_in_a_folder(predict, place):
    by_option, by_content = predict("--tflite", "net.tflite"), predict("net.tflite")
    assert by_option.returncode == 0, by_option.stderr
    assert by_option.stdout == by_content.stdout
    (place / "models/d.tflite").write_bytes((place / "net.tflite").read_bytes())
    assert [name for name, _ in results(predict("models").stdout)] == ["a.onnx", "b.onnx", "c.onnx", "d.tflite"]
    assert [name for name, _ in results(predict("--tflite", "models").stdout)] == ["d.tflite"]
    assert [name for name, _ in results(predict("--onnx", "models").stdout)] == ["a.onnx", "b.onnx", "c.onnx"]


def test_a_tflite_file_where_another_is_wanted(predict):
    result = predict("--onnx", "net.tflite")
    assert result.returncode == 1
    assert "TensorFlow Lite model; give it with --tflite" in result.stderr
    result = predict("--tflite", "net.onnx")
    assert result.returncode == 1
    assert "ONNX model; give it with --onnx" in result.stderr


def test_tflite_of_open_batch(run):
    words = ["predict", "--predictor", "cortexA76cpu_tflite21", "--breakdown", "--tflite", "net.tflite"]
    one, two = run(*words), run(*words, "--batch-size", "2")
    assert "batch size taken as 1" in one.stdout
    assert two.returncode == 0
    assert "batch size taken as" not in two.stdout


def test_custom_operators_are_named(run, place):
    (place / "custom.tflite").write_bytes((TFLITE / "y_custom.tflite").read_bytes())
    result = run("predict", "--predictor", "cortexA76cpu_tflite21", "custom.tflite", "--breakdown")
    assert result.returncode == 0, result.stderr
    assert "custom.TFLite_Detection_PostProcess is not known" in result.stdout
    assert "BUILTIN_999 is not known" in result.stdout


def test_one_bad_file_in_a_folder(predict, place):
    (place / "models/b.onnx").write_bytes(b"\x08\x08not onnx")
    result = predict("--onnx", "models")
    assert result.returncode == 1
    assert [name for name, _ in results(result.stdout)] == ["a.onnx", "c.onnx"]
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("nn-meter: error: models/b.onnx: ")


def test_what_is_not_there(predict, place):
    result = predict("--onnx", "nosuch.onnx", "net.onnx")
    assert (result.returncode, len(results(result.stdout))) == (1, 1)
    assert result.stderr.startswith("nn-meter: error: nosuch.onnx: ")
    (place / "empty").mkdir()
    result = predict("--onnx", "empty")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("nn-meter: error: empty: no model in this folder; looked for *.onnx")
    result = predict("--nn-meter-ir", "models")
    assert (result.returncode, result.stdout) == (1, "")
    assert "looked for *.json" in result.stderr


def test_format_is_told_by_content_or_forced(predict, run, place):
    assert run("get_ir", "--onnx", "net.onnx", "-o", "net.json").returncode == 0
    (place / "disguised.onnx").write_bytes((place / "net.json").read_bytes())
    assert results(predict("disguised.onnx").stdout) == [("disguised.onnx", TOTAL)]
    assert results(predict("--nn-meter-ir", "net.json").stdout) == [("net.json", TOTAL)]
    for wrong in (["--onnx", "net.json"], ["--nn-meter-ir", "net.onnx"]):
        result = predict(*wrong)
        assert (result.returncode, result.stdout) == (1, "")
        assert len(errors(result.stderr)) == 1


@pytest.mark.parametrize("jobs", ["2", "3", "16", "0"])
def test_jobs_change_nothing(predict, place, jobs):
    for index in range(40):
        (place / "models" / f"{index:02}.onnx").write_bytes(small_files.two_convolutions((1, 3, 8 + index, 32)))
    (place / "models/17.onnx").write_bytes(b"broken")
    options = ["--onnx", "models", "tail.onnx", "--jsonl", "--breakdown"]
    alone, together = predict(*options), predict(*options, "--jobs", jobs)
    assert (alone.returncode, together.returncode) == (1, 1)
    assert alone.stdout == together.stdout
    assert alone.stderr == together.stderr
    assert len(alone.stdout.splitlines()) == 43


# ------------------------------------------------------------------ formats


def test_json(predict):
    result = predict("--json", "--onnx", "net.onnx", "nosuch.onnx", "tail.onnx")
    assert result.returncode == 1
    document = json.loads(result.stdout)
    assert list(document) == ["schema", "results", "errors"]
    assert document["schema"] == "nn-meter/predict/1"
    first, second = document["results"]
    assert first == {
        "model": "net.onnx", "format": "onnx", "predictor": "tiny", "version": "1.0", "latency_ms": TOTAL,
        "interval_ms": None, "coverage": 1.0, "notes": [],
    }  # fmt: skip
    assert second["model"] == "tail.onnx" and len(second["notes"]) >= 1
    assert [error["model"] for error in document["errors"]] == ["nosuch.onnx"]
    assert document["errors"][0]["message"].startswith("nosuch.onnx: ")


def test_json_of_nothing_is_still_json(predict):
    result = predict("--json", "nosuch.onnx")
    assert result.returncode == 1
    document = json.loads(result.stdout)
    assert (document["results"], len(document["errors"])) == ([], 1)


def test_json_breakdown(predict):
    document = json.loads(predict("--json", "--breakdown", "net.onnx").stdout)
    first, second = document["results"][0]["kernels"]
    assert list(first) == ["name", "type", "members", "attributes", "latency_ms", "in_range"]
    assert (first["type"], first["members"], first["latency_ms"]) == ("conv-relu", ["conv1", "relu1"], 2.5)
    assert (first["in_range"], second["latency_ms"]) == (True, 0.75)
    attributes = second["attributes"]
    assert attributes["input_shapes"] == [[1, 32, 32, 8]]
    assert attributes["output_shape"] == [1, 16, 16, 16]
    assert (attributes["kernel_size"], attributes["stride"]) == (3, 2)
    assert (attributes["input_channels"], attributes["output_channels"]) == (8, 16)
    assert attributes["multiply_adds"] == 16 * 16 * 16 * 8 * 9


def test_interval(run):
    options = ["predict", "--predictor", "cortexA76cpu_tflite21", "net.onnx"]
    result = json.loads(run(*options, "--json").stdout)["results"][0]
    low, high = result["interval_ms"]
    assert 0 < low <= result["latency_ms"] <= high
    row = next(csv.DictReader(io.StringIO(run(*options, "--csv").stdout)))
    assert (float(row["interval_low_ms"]), float(row["interval_high_ms"])) == (low, high)
    line = LINE.format("net.onnx", result["latency_ms"])
    plain, wordy = run(*options), run(*options, "-v")
    assert plain.stdout == wordy.stdout == line, "nothing but the line that scripts look for"
    assert "between" not in plain.stderr
    assert f"90 % between {low:.6g} and {high:.6g} ms" in wordy.stderr
    table = run(*options, "--breakdown").stdout
    assert table.startswith(line) and table.count("90 % between ") == 1


def test_json_lines(predict):
    result = predict("--jsonl", "--onnx", "models", "nosuch.onnx")
    assert result.returncode == 1
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["model"] for line in lines] == ["a.onnx", "b.onnx", "c.onnx"]
    assert all("kernels" not in line for line in lines)
    assert len(errors(result.stderr)) == 1


def test_csv(predict):
    rows = list(csv.DictReader(io.StringIO(predict("--csv", "net.onnx", "tail.onnx").stdout)))
    assert [row["model"] for row in rows] == ["net.onnx", "tail.onnx"]
    assert float(rows[0]["latency_ms"]) == TOTAL
    assert (rows[0]["interval_low_ms"], rows[0]["notes"]) == ("", "")
    assert rows[1]["notes"] != ""
    rows = list(csv.DictReader(io.StringIO(predict("--csv", "--breakdown", "net.onnx").stdout)))
    assert [(row["type"], float(row["latency_ms"]), row["in_range"]) for row in rows] == [
        ("conv-relu", 2.5, "true"),
        ("conv-relu", 0.75, "true"),
    ]


def test_breakdown(predict):
    result = predict("--breakdown", "tail.onnx")
    assert results(result.stdout) == [("tail.onnx", TOTAL)]
    lines = result.stdout.splitlines()
    assert lines[1].split() == ["#", "node", "kernel", "shapes", "ms", "share"]
    assert re.search(r"conv1 \+1 +conv-relu +1x32x32x3 -> 1x32x32x8 +2\.500 +76\.9% +#+$", lines[2])
    assert re.search(r"^total +3\.250 +100\.0%$", result.stdout, re.MULTILINE)
    assert re.search(r"^coverage: ", result.stdout, re.MULTILINE)
    assert "without a predictor, counted as 0" in result.stdout
    assert all(len(line) <= 100 for line in lines)


def test_names_that_are_not_utf8(predict, place):
    name = b"n\xff\xc3\xa4\n.onnx"
    (place / os.fsdecode(name)).write_bytes(small_files.two_convolutions(prefix='"\t'))
    result = predict("--json", "--breakdown", name, text=False)
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout.decode())
    assert document["results"][0]["model"] == "n\ufffd\u00e4\n.onnx"
    assert document["results"][0]["kernels"][0]["members"][0] == '"\tconv1'
    lines = predict(name, "--breakdown", text=False).stdout.decode().split("\n")
    assert lines[0] == LINE.format("n?\u00e4?.onnx", TOTAL).rstrip("\n")


# ------------------------------------------------------------------ notes, strictness, talk


def test_notes_are_told(predict):
    result = predict("tail.onnx")
    assert result.returncode == 0
    assert result.stdout == LINE.format("tail.onnx", TOTAL)
    assert result.stderr.startswith("nn-meter: note: tail.onnx (tiny): ")
    assert "counted as 0" in result.stderr
    quiet = predict("-q", "tail.onnx")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, result.stdout, "")


def test_a_model_in_which_nothing_runs_says_so(predict, place):
    image = small_files.value_info("image", (1, 3, 8, 8))
    (place / "nothing.onnx").write_bytes(small_files.onnx([], [image], [image], []))
    result = predict("nothing.onnx")
    assert result.returncode == 0
    assert "nothing in the model runs" in result.stderr


def test_strict(predict):
    result = predict("--strict", "--onnx", "tail.onnx", "net.onnx")
    assert result.returncode == 1
    assert result.stdout == LINE.format("net.onnx", TOTAL)
    assert result.stderr.startswith("nn-meter: error: tail.onnx: not predicted because of --strict: ")
    document = json.loads(predict("--strict", "--json", "tail.onnx").stdout)
    assert (document["results"], len(document["errors"])) == ([], 1)


LOST = "node 'relu' has 'gone' among its inbounds"


@pytest.mark.parametrize("options", [(), ("--compat", "nn-meter-2.0"), ("--nn-meter-ir",)])
def test_a_lost_edge_of_an_ir_is_told_in_both_modes(run, place, options):
    node = {"type": "Relu", "attr": {}, "input_shape": [[1, 8, 8, 4]], "output_shape": [[1, 8, 8, 4]]}
    nodes = {"relu": {"attr": node, "inbounds": ["gone"]}, "last": {"attr": node, "inbounds": ["relu"]}}
    (place / "cut.json").write_text(json.dumps(nodes))
    command = ["predict", "--predictor", "cortexA76cpu_tflite21", *options, "cut.json"]
    assert LOST in run(*command).stderr
    assert any(LOST in note for note in json.loads(run(*command, "--json").stdout)["results"][0]["notes"])
    strict = run(*command, "--strict")
    assert (strict.returncode, strict.stdout) == (1, "")
    assert "note: " + LOST in run("inspect", "--stage=graph", "cut.json").stdout
    document = json.loads(run("inspect", "--stage=graph", "--json", "cut.json").stdout)
    assert any(LOST in note for note in document["notes"])


@pytest.mark.parametrize(
    ("opset", "words"), [(7, None), (24, None), (6, "set 6 is older"), (25, "set 25 is newer"), (None, "does not say")]
)
def test_operator_sets_outside_of_what_is_known_are_told(run, place, opset, words):
    (place / "net.onnx").write_bytes(small_files.two_convolutions(opset=opset))
    command = ["predict", "--predictor", "cortexA76cpu_tflite21", "net.onnx"]
    result = run(*command)
    assert result.returncode == 0
    assert (words in result.stderr) if words else "operator set" not in result.stderr


def test_element_types_that_nobody_knows_are_told(predict, place):
    model = small_files.two_convolutions(weight_type=99)
    (place / "odd.onnx").write_bytes(model)
    assert "2 tensors are of an element type that is not known (99)" in predict("odd.onnx").stderr
    cast = small_files.onnx(
        [small_files.node("Cast", ["x"], ["y"], "cast", to=99)], [small_files.value_info("x", (1, 3, 8, 8))],
        [small_files.value_info("y", None)], [],
    )  # fmt: skip
    (place / "cast.onnx").write_bytes(cast)
    assert "'cast' (node 0): its to is element type 99" in predict("cast.onnx").stderr


def test_out_of_range_is_told(predict, place):
    wide = [small_files.node("Conv", ["x", "w"], ["y"], "wide", kernel_shape=[1, 1]),
            small_files.node("Relu", ["y"], ["z"], "act")]  # fmt: skip
    model = small_files.onnx(
        wide, [small_files.value_info("x", (1, 64, 8, 8))], [small_files.value_info("z", None)],
        [small_files.weight("w", [4, 64, 1, 1])],
    )  # fmt: skip
    (place / "wide.onnx").write_bytes(model)
    result = json.loads(predict("--json", "--breakdown", "wide.onnx").stdout)["results"][0]
    assert result["coverage"] == 0.0
    assert result["kernels"][0]["in_range"] is False
    assert "outside the training range" in result["notes"][0] and "100.0 %" in result["notes"][0]
    assert predict("--strict", "wide.onnx").returncode == 1
    assert "0.0 % of the latency is from kernels within the training range" in predict("wide.onnx").stderr


def test_verbose(predict, run):
    for result in (predict("-v", "models"), run("-v", "predict", "--predictor", "tiny", "models")):
        assert len(results(result.stdout)) == 3
        lines = result.stderr.splitlines()
        assert all(line.startswith("nn-meter: info: ") for line in lines)
        assert any("found 3 models" in line for line in lines)
        assert any("conv-relu#" in line and "2.5 ms" in line for line in lines)


# ------------------------------------------------------------------ shapes and rules


def test_open_shapes(predict):
    result = predict("open.onnx")
    assert (result.returncode, result.stdout) == (1, "")
    assert "open.onnx" in result.stderr and "--input-shape" in result.stderr and "x" in result.stderr
    for options in (
        ["--input-shape", "x:1x3x32x32"],
        ["--input-shape", "1x3x32x32"],
        ["--input-shape", "x:1,3,32,32"],
    ):
        result = predict("open.onnx", *options)
        assert results(result.stdout) == [("open.onnx", TOTAL)], result.stderr


def test_wrong_input_shape(predict):
    result = predict("net.onnx", "--input-shape", "y:1x3x32x32")
    assert result.returncode == 1
    assert "y" in errors(result.stderr)[0]


def test_batch_size(predict, run, place):
    (place / "batch.onnx").write_bytes(small_files.two_convolutions(("N", 3, 32, 32)))
    shapes = run("inspect", "--stage=shapes", "--json", "--batch-size", "4", "batch.onnx")
    assert json.loads(shapes.stdout)["tensors"]["d"] == [4, 16, 16, 16]
    assert predict("batch.onnx", "--batch-size", "4").returncode == 0


def test_fusion_rules(predict, place):
    (place / "rules.json").write_text("{}")
    result = json.loads(predict("--json", "--breakdown", "--fusion-rules", "rules.json", "net.onnx").stdout)
    kernels = result["results"][0]["kernels"]
    assert [kernel["type"] for kernel in kernels] == ["conv", "relu", "conv", "relu"]
    (place / "rules.json").write_text("{")
    result = predict("--fusion-rules", "rules.json", "net.onnx")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("nn-meter: error: rules.json: ")
    assert predict("--fusion-rules", "nosuch.json", "net.onnx").returncode == 1


@pytest.mark.parametrize(
    ("option", "file", "words"),
    [
        ("--nn-meter-ir", "net.onnx", "looks like an ONNX model; give it with --onnx"),
        ("--nn-meter-ir", "models/readme.txt", "looks like plain text; "),
        ("--nn-meter-ir", "home/predictors/tiny-1.0.nnmeter", "looks like a predictor file; "),
        ("--nn-meter-ir", "rules.json", "is a fusion rule, no node; give the file with --fusion-rules"),
        ("--fusion-rules", "net.onnx", "no fusion rules: it looks like an ONNX model; give "),
        ("--fusion-rules", "models/readme.txt", "no fusion rules: it looks like plain text; give "),
        ("--fusion-rules", "ir.json", "is a node of nn-Meter IR, no fusion rule; give "),
        ("--fusion-rules", "models", "is a folder, not a file; name a file"),
    ],
)
def test_a_file_of_another_kind_says_which(predict, run, place, option, file, words):
    (place / "rules.json").write_text('{"BF_conv_relu": {"obey": true}}')
    run("get_ir", "net.onnx", "-o", "ir.json")
    files = [option, file] if option == "--nn-meter-ir" else [option, file, "net.onnx"]
    result = predict(*(["--onnx", file] if option == "--onnx" else files))
    assert (result.returncode, result.stdout) == (1, ""), result.stderr
    assert file in result.stderr and words in result.stderr


def test_a_folder_as_predictor_says_how_to_import_it(run):
    for name in ("models", "./models"):
        result = run("predict", "--predictor", name, "net.onnx")
        assert result.returncode == 1
        assert f"nn-meter import-predictor {name} --name" in result.stderr


def test_compat(predict):
    assert results(predict("--compat", "nn-meter-2.0", "net.onnx").stdout) == [("net.onnx", TOTAL)]
    result = predict("--compat", "own", "net.onnx")
    assert (result.returncode, result.stdout) == (1, "")
    assert "trained with nn-Meter 2.0" in result.stderr


# ------------------------------------------------------------------ output


@pytest.mark.parametrize("option", [[], ["--json"], ["--csv"], ["--jsonl"], ["--breakdown"]])
def test_output_file(predict, place, option):
    wanted = predict("net.onnx", *option).stdout
    result = predict("net.onnx", *option, "--output", "out.txt")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert (place / "out.txt").read_text() == wanted
    (place / "out.txt").write_text("before")
    predict("net.onnx", *option, "-oout.txt")
    assert (place / "out.txt").read_text() == wanted
    assert not list(place.glob("out.txt.*"))


def test_output_is_left_alone_when_nothing_comes_of_it(predict, run, place):
    (place / "out.txt").write_text("before")
    assert predict("broken.onnx", "--output", "out.txt").returncode == 1
    assert run("predict", "--predictor", "nosuch", "net.onnx", "--output", "out.txt").returncode == 1
    assert (place / "out.txt").read_text() == "before"
    assert not list(place.glob("out.txt.*"))


def test_output_keeps_links_and_follows_the_umask(predict, place):
    (place / "real.txt").write_text("before")
    (place / "link.txt").symlink_to("real.txt")
    assert predict("net.onnx", "-o", "link.txt").returncode == 0
    assert (place / "link.txt").is_symlink()
    assert "RESULT" in (place / "real.txt").read_text()
    umask = os.umask(0o027)
    os.umask(umask)
    assert (place / "real.txt").stat().st_mode & 0o777 == 0o666 & ~umask


def test_output_that_cannot_be_written(predict):
    result = predict("net.onnx", "--output", "nosuch/out.txt")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("nn-meter: error: nosuch/out.txt: cannot write: ")
    assert result.stderr.endswith("; make its folder first, or give another path\n")
    assert predict("net.onnx", "--output", "models").stderr.endswith("; give the name of a file in it\n")
    with open("/dev/full", "w") as full:
        result = predict("net.onnx", stdout=full)
    assert result.returncode == 1
    assert "standard output" in errors(result.stderr)[0]


def test_output_to_standard_output(predict):
    for name in ("-", "/dev/stdout"):
        assert predict("net.onnx", "--output", name).stdout == LINE.format("net.onnx", TOTAL)


def test_progress_on_a_terminal_only(program, place):
    pty = pytest.importorskip("pty", reason="progress bar: no pty on this platform")
    for index in range(12000):  # enough for the first bar, which is drawn after 80 ms, on a fast machine too
        os.link(place / "net.onnx", place / "models" / f"{index}.onnx")
    leader, follower = pty.openpty()
    command = [str(program), "predict", "--predictor", "tiny", "--onnx", "models"]
    environment = {**os.environ, "NN_METER_HOME": str(place / "home")}
    with (
        open(place / "out.txt", "wb") as out,
        subprocess.Popen(command, cwd=place, env=environment, stdout=out, stderr=follower) as process,
    ):
        os.close(follower)
        seen = b""
        while True:  # a terminal that nobody reads would stop the program
            try:
                part = os.read(leader, 65536)
            except OSError:  # the program has closed its end
                break
            if not part:
                break
            seen += part
    os.close(leader)
    output = (place / "out.txt").read_bytes()
    assert process.returncode == 0
    assert output.count(b"[RESULT]") == 12003
    assert re.search(rb"\[#+\.+\] \d+/12003", seen)
    assert seen.endswith(b"\r\x1b[K")


def test_a_volume_was_never_measured(run, place):
    """Three spatial dimensions: the predictors that are built in know images only, and must say so."""
    model = small_files.onnx(
        [small_files.node("Conv", ["x", "w"], ["y"], "conv"), small_files.node("Relu", ["y"], ["z"], "relu")],
        [small_files.value_info("x", (1, 3, 8, 16, 16))],
        [small_files.value_info("z", None)],
        [small_files.weight("w", [8, 3, 3, 3, 3])],
    )
    (place / "volume.onnx").write_bytes(model)
    result = run("predict", "--predictor", "cortexA76cpu_tflite21", "--json", "--breakdown", "volume.onnx")
    found = json.loads(result.stdout)["results"][0]
    assert [kernel["in_range"] for kernel in found["kernels"]] == [False]
    assert found["coverage"] < 1
    assert any("three spatial dimensions" in note for note in found["notes"])


def test_a_shape_too_large_is_told_as_such(predict):
    result = predict("open.onnx", "--input-shape", "x:1x3x9223372036854775807x32")
    assert result.returncode == 1 and "give 1 to 1099511627776" in result.stderr
    result = predict("open.onnx", "--input-shape", "x:1x3x2000000000x2000000000")
    assert result.returncode == 1 and "give a smaller shape" in result.stderr


def tensorflow_file(name):
    return (Path(__file__).resolve().parents[1] / "data" / "tensorflow" / f"y_{name}.pb").read_bytes()


def test_tensorflow_by_option_by_content_and_as_folder(predict, run, place):
    """A folder with a saved_model.pb is one model, also in a folder of models."""
    folder = place / "frozen"
    (folder / "saved").mkdir(parents=True)
    (folder / "loop.pb").write_bytes(tensorflow_file("loop"))
    (folder / "saved" / "saved_model.pb").write_bytes(tensorflow_file("saved_model"))
    assert [name for name, _ in results(predict("--tensorflow", "frozen").stdout)] == ["loop.pb", "saved"]
    assert [name for name, _ in results(predict("frozen/saved/", "frozen/loop.pb").stdout)] == ["saved", "loop.pb"]
    (folder / "disguised.onnx").write_bytes(tensorflow_file("loop"))
    assert [name for name, _ in results(predict("frozen/disguised.onnx").stdout)] == ["disguised.onnx"]
    result = predict("--onnx", "frozen/loop.pb")
    assert (result.returncode, result.stdout) == (1, "")
    assert "looks like a TensorFlow model; give it with --tensorflow" in result.stderr
    result = predict("--tensorflow", "net.onnx")
    assert "looks like an ONNX model; give it with --onnx" in result.stderr
    assert run("get_ir", "--tensorflow", "frozen/loop.pb").returncode == 0
    assert "while" in json.loads((folder / "loop_pb_ir.json").read_text())


@pytest.mark.parametrize("name", ["x", "serving_default_x", "serving_default_x:0"])
def test_a_tensorflow_input_by_any_of_its_names(run, place, name):
    (place / "saved_model.pb").write_bytes(tensorflow_file("saved_model"))
    result = run("inspect", "--stage=shapes", "--json", "--input-shape", f"{name}:5x6", "saved_model.pb")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["tensors"]["StatefulPartitionedCall/identity:0"] == [5, 2]
