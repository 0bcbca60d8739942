"""Compat mode against what nn-Meter 2.0 does (shared/parity): IR, kernels and feature rows, from ONNX and from IR."""

import importlib.util
import json
import lzma
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RULES = ["cpu", "gpu", "vpu", "k8", "k8_mon0", "cpu_mon1", "cpu_norelu", "cpu_plus", "cpu_ignored", "empty"]
QUIRK_RULES = [*RULES, "q_mon2", "q_shuffle_relu"]
# Quirks in which we do otherwise although nn-Meter 2.0 gives an answer: docs/differences.md names them.
OTHER_ANSWERS = {"dynamic_batch", "dynamic_hw"}
# Files that cannot be understood; the message says what to do.
REFUSED = {
    "dynamic_hw": "--input-shape",
    "no_input_shape": "--input-shape",
    "ir_cycle": "cycle",
    "ir_list": "object of nodes",
    "rules_obey_missing": 'no "obey"',
    "rules_bool_value": "is no object",
    "rules_list": "are no object",
}
# What the old tool cannot read although it wrote it: a signal's convolution, and what is behind an operator without
# declared shapes.
UNREADABLE = {"conv1d", "custom_op"}


@pytest.fixture(scope="session")
def compare(shared):
    """The module shared/parity/compare.py."""
    spec = importlib.util.spec_from_file_location("parity_compare", shared / "parity" / "compare.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def ask(program, parity_data):
    """Answers of the library to many requests, in order: see tests/tools/parity_dump.c."""
    tool = Path(os.environ.get("NNM_PARITY_DUMP", program.parent / "tests" / "tools" / "parity_dump"))
    rules = [f"{name}={parity_data / 'rules' / name}.json" for name in QUIRK_RULES]

    def run(requests):
        text = "".join(json.dumps(request) + "\n" for request in requests)
        result = subprocess.run([tool, *rules], input=text, capture_output=True, text=True, check=True, timeout=900)
        answers = [json.loads(line) for line in result.stdout.split("\n") if line]
        assert len(answers) == len(requests)
        return answers

    return run


def read_lines(path):
    with lzma.open(path, "rt") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def documents(shared):
    """{(id, style): IR} of all goldens."""
    found = {}
    for name, style in (("ir-dev", None), ("ir-pb-dev", "pb")):
        for entry in read_lines(shared / "parity" / f"{name}.jsonl.xz"):
            found[entry["id"], style or entry["style"]] = entry["ir"]
    return found


@pytest.fixture(scope="session")
def from_documents(ask, documents):
    requests = [{"id": key[0], "style": key[1], "ir": ir, "rules": RULES} for key, ir in documents.items()]
    return ask(requests)


@pytest.fixture(scope="session")
def from_onnx(ask, shared, parity_data):
    goldens = read_lines(shared / "parity" / "goldens-dev.jsonl.xz")
    requests = [
        {"id": g["id"], "style": g["style"], "model": str(parity_data / g["onnx"]), "rules": RULES, "with_ir": True}
        for g in goldens
        if g.get("onnx")
    ]
    assert len(requests) == 117
    return ask(requests)


@pytest.fixture(scope="session")
def from_frozen(ask, shared, parity_data):
    """From the frozen TensorFlow graphs themselves."""
    goldens = read_lines(shared / "parity" / "goldens-pb-dev.jsonl.xz")
    requests = [
        {"id": g["id"], "style": g["style"], "model": str(parity_data / g["pb"]), "rules": RULES, "with_ir": True}
        for g in goldens
    ]
    assert len(requests) == 26
    return ask(requests)


def write_lines(path, answers):
    path.write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    return str(path)


def check_rows(golden, level, answer, compare):
    """Rows in order where the order is stable, else the same rows; where nn-Meter 2.0 stopped, one for every kernel."""
    if golden.get("error", {}).get("stage") == "features":
        assert len(answer["features"]) >= len(golden.get("features", []))
        return
    theirs, ours = golden["features"], answer["features"]
    if level != "full":
        theirs, ours = (sorted([name.split("#")[0], *row] for name, row in rows) for rows in (theirs, ours))
        theirs, ours = (
            [[row[0], *(float(f"{number:.12g}") for number in row[1:])] for row in rows] for rows in (theirs, ours)
        )
    else:
        assert golden["no_feature"] == answer["no_feature"]
    assert theirs == ours
    for kernel_type, entry in golden["per_type"].items():
        asked = {answer["predictors"][name.split("#")[0]] for name, _ in answer["features"]}
        assert entry["predictor"] is None or entry["predictor"] in asked, kernel_type


def check_all_rows(goldens, answers, compare):
    found = {(answer["id"], answer["style"]): answer for answer in answers}
    count = 0
    for golden in goldens:
        answer = found.get((golden["id"], golden["style"]))
        for rule, result in golden["rules"].items() if answer else ():
            resolved = golden["rules"][result["same_as"]] if "same_as" in result else result
            if "features" in resolved:
                check_rows(resolved, result["stable"], answer["rules"][rule], compare)
                count += 1
    return count


@pytest.mark.parametrize(("name", "graphs"), [("goldens-dev", 143), ("goldens-pb-dev", 26)])
def test_kernels_from_ir(shared, compare, from_documents, tmp_path, name, graphs):
    path = shared / "parity" / f"{name}.jsonl.xz"
    goldens = read_lines(path)
    keys = {(golden["id"], golden["style"]) for golden in goldens}
    answers = [answer for answer in from_documents if (answer["id"], answer["style"]) in keys]
    assert len(answers) == graphs
    assert compare.main(str(path), write_lines(tmp_path / "ours.jsonl", answers)) == 0
    assert check_all_rows(goldens, answers, compare) > graphs * 9


def test_kernels_from_onnx(shared, compare, from_onnx, tmp_path):
    goldens = [g for g in read_lines(shared / "parity" / "goldens-dev.jsonl.xz") if g.get("onnx")]
    golden_path = write_lines(tmp_path / "goldens.jsonl", goldens)
    assert compare.main(golden_path, write_lines(tmp_path / "ours.jsonl", from_onnx)) == 0
    assert check_all_rows(goldens, from_onnx, compare) > 117 * 9


def test_kernels_from_frozen_graphs(shared, compare, from_frozen, tmp_path):
    path = shared / "parity" / "goldens-pb-dev.jsonl.xz"
    assert compare.main(str(path), write_lines(tmp_path / "ours.jsonl", from_frozen)) == 0
    assert check_all_rows(read_lines(path), from_frozen, compare) > 26 * 9


def test_ir_is_the_same_text(documents, from_onnx, from_frozen):
    for answer in [*from_onnx, *from_frozen]:
        ir = documents[answer["id"], answer["style"]]
        assert answer["ir_text"] == json.dumps(ir, indent=4, sort_keys=True), answer["id"]
        assert answer["ir_order"] == list(ir), answer["id"]


# ---------------------------------------------------------------- quirks


@pytest.fixture(scope="session")
def quirks(ask, shared, parity_data):
    """[(golden, answer)] of goldens-quirks."""
    goldens = [g for g in read_lines(shared / "parity" / "goldens-quirks.jsonl.xz") if "id" in g]
    requests = []
    for golden in goldens:
        request = {"id": golden["id"], "style": "", "with_ir": True}
        if "rules" not in golden:
            request["rules"] = ["cpu", "cpu_mon1", "q_mon2"]
        elif isinstance(golden["rules"], str):
            request["rules"] = [golden["rules"]]
        else:
            request["inline_rules"] = golden["rules"]
        if "onnx" in golden:
            request["model"] = str(parity_data / golden["onnx"])
        elif isinstance(golden["ir"], str):
            request["ir"] = json.loads((shared.parent / golden["ir"]).read_text())
        else:
            request["ir"] = golden["ir"]
        requests.append(request)
    return list(zip(goldens, ask(requests), strict=True))


def answer_of(golden, answer):
    if "error" in answer:
        return answer
    rules = golden.get("rules", "cpu")
    return answer["rules"][rules if isinstance(rules, str) else ""]


def check_quirk(golden, ours, compare, name):
    assert compare.canon(golden["kernels"], "full", ours["kernels"]) == compare.canon(
        ours["kernels"], "full", ours["kernels"]
    ), name
    assert len(golden["kernels"]) == len(ours["kernels"]), name
    if "features" in golden:
        assert golden["features"] == ours["features"], name
        assert golden["no_feature"] == ours["no_feature"], name


def test_quirks_with_an_answer(quirks, compare):
    count = 0
    for golden, answer in quirks:
        if "kernels" not in golden or golden["id"] in OTHER_ANSWERS:
            continue
        ours = answer_of(golden, answer)
        assert "kernels" in ours, (golden["id"], ours)
        check_quirk(golden, ours, compare, golden["id"])
        for part, rule in (("mon1", "cpu_mon1"), ("mon2", "q_mon2")):
            if "kernels" in golden.get(part, {}):
                check_quirk(golden[part], answer["rules"][rule], compare, (golden["id"], part))
        if "onnx" in golden:
            assert answer["ir_text"] == json.dumps(golden["ir"], indent=4, sort_keys=True), golden["id"]
        count += 1
    assert count > 65


def test_quirks_where_nn_meter_stops(quirks):
    """A row for every kernel that can have one, or an error that says what to do."""
    count = 0
    for golden, answer in quirks:
        stopped = "kernels" not in golden or golden.get("error", {}).get("stage") == "features"
        if not stopped and golden["id"] not in OTHER_ANSWERS:
            continue
        ours = answer_of(golden, answer)
        if golden["id"] in REFUSED:
            assert REFUSED[golden["id"]] in ours["error"], golden["id"]
        else:
            assert ours.get("kernels"), (golden["id"], ours)
            assert all(kernel["name"] for kernel in ours["kernels"])
        count += 1
    assert count > 20


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("conv1d", [["conv-relu#0", [128, 16, 32, 3, 1, 2 * 128 * 1568 / 2e6, 1568 / 1e6]]]),
        ("conv3d", [["conv-relu#0", [32, 3, 8, 3, 1, 2 * 8 * 32 * 32 * 656 / 2e6, 656 / 1e6]]]),
        ("no_kernel_shape", [["conv-relu#0", [32, 3, 16, 3, 1, 0.458752, 0.000448]]]),
        ("identity_mid", [["conv-relu#0", [32, 3, 16, 3, 1, 0.458752, 0.000448]], None]),
        ("add_const", [None, ["add#1", [32, 16, 16]], None]),
        ("unnamed_nodes", [["conv-bn-relu#0", [32, 3, 16, 3, 1, 0.458752, 0.000448]]]),
    ],
)
def test_right_rows_where_nn_meter_stops(quirks, name, rows):
    golden, answer = next(pair for pair in quirks if pair[0]["id"] == name)
    ours = answer_of(golden, answer)["features"]
    assert len(ours) == len(rows)
    for expected, found in zip(rows, ours, strict=True):
        if expected:
            assert found[0] == expected[0]
            assert found[1] == pytest.approx(expected[1], rel=1e-12)


# ------------------------------------------------- the old tool reads ours


@pytest.fixture(scope="session")
def reference():
    """Python of a virtual environment with nn-meter==2.0: NNM_REFERENCE_PYTHON, else what `make bench` has set up."""
    path = Path(os.environ.get("NNM_REFERENCE_PYTHON", ROOT / ".venv-nn-meter-2.0" / "bin" / "python"))
    if not path.exists():
        pytest.skip(f"nn-Meter 2.0 reading our IR: no {path}; run `make bench` once, or set NNM_REFERENCE_PYTHON")
    return path


def reference_kernels(reference, rules, documents, home):
    environment = {**os.environ, "HOME": str(home), "PYTHONHASHSEED": "0"}
    command = [reference, ROOT / "tests" / "python" / "reference_kernels.py", rules]
    text = "".join(json.dumps(document) + "\n" for document in documents)
    result = subprocess.run(command, input=text, capture_output=True, text=True, check=True, env=environment)
    return [json.loads(line) for line in result.stdout.split("\n") if line.startswith(("[", "{"))]


def test_nn_meter_makes_the_same_kernels_of_our_ir(reference, quirks, from_onnx, ask, parity_data, compare, tmp_path):
    """Also where it stops at the IR of its own converter."""
    ours = [(a["id"], a["ir_text"]) for g, a in quirks if "ir_text" in a and g["id"] not in UNREADABLE and "onnx" in g]
    ours += [(answer["id"], answer["ir_text"]) for answer in from_onnx[::7]]
    documents = [json.loads(text) for _, text in ours]
    theirs = reference_kernels(reference, parity_data / "rules" / "cpu.json", documents, tmp_path)
    answers = ask([{"id": "", "style": "", "ir": document, "rules": ["cpu"]} for document in documents])
    for (name, _), kernels, answer in zip(ours, theirs, answers, strict=True):
        assert "error" not in kernels, (name, kernels)
        found = answer["rules"]["cpu"]["kernels"]
        for kernel in found:
            del kernel["nodes"]
        # in big models the order, and which of two equal nodes joins a kernel, hang on Python's hash seed
        level = "bag" if len(found) > 20 else "full"
        assert compare.canon(kernels, level, found) == compare.canon(found, level, found), name
        assert len(kernels) == len(found), name


# -------------------------------------------- own mode: IR and ONNX agree


def test_own_latency_from_ir_is_that_from_onnx(nn_meter, shared, parity_data, documents, tmp_path):
    """The same network in either dialect of IR, as frozen TensorFlow graph, and as ONNX."""
    goldens = [g for g in read_lines(shared / "parity" / "goldens-dev.jsonl.xz") if g.get("onnx")]
    onnx = {(g["id"], g["style"]): parity_data / g["onnx"] for g in goldens}
    irs, models = tmp_path / "ir", tmp_path / "onnx"
    irs.mkdir()
    models.mkdir()
    names = {}
    for (name, style), ir in documents.items():
        source = onnx[name, "tf2onnx" if style in ("tfir", "pb") else style]
        names[f"{name}.{style}.json"] = f"{name}.{source.parent.name}.onnx"
        (irs / f"{name}.{style}.json").write_text(json.dumps(ir))
        target = models / f"{name}.{source.parent.name}.onnx"
        if not target.exists():
            target.symlink_to(source.resolve())
    frozen = parity_data / "pb" / "dev"
    names.update({path.name: f"{path.stem}.tf2onnx.onnx" for path in frozen.glob("*.pb")})
    option = ["--predictor", "cortexA76cpu_tflite21", "--json"]
    latencies = {}
    for flag, folder in (("--nn-meter-ir", irs), ("--tensorflow", frozen), ("--onnx", models)):
        output = nn_meter("predict", *option, flag, folder, timeout=600)
        for result in json.loads(output.stdout)["results"]:
            latencies[result["model"]] = result["latency_ms"]
    for ir, model in names.items():
        assert latencies[ir] == pytest.approx(latencies[model], rel=1e-9), ir
