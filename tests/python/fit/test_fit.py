"""Fits from start to end: from scratch, calibrated, from kernels; what is written, and that it can be relied on."""

import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import nn_meter
import numpy as np
import pytest
import torch
from device import START, TRUTH, as_models, measure, write_csv
from nn_meter.fit import FitError, families, fitting, training
from nn_meter.fit.judgement import Judgement
from nn_meter.fit.predictor_file import container, network_section, read_section
from nn_meter.fit.training import Evidence, Settings

PNG = b"\x89PNG\r\n\x1a\n"


def errors_of(predictor, graphs):
    """Relative errors against the device's true latencies."""
    models, truth = as_models(graphs), nn_meter.Predictor(TRUTH)
    return np.array([abs(predictor.predict(m).latency_ms / truth.predict(m).latency_ms - 1) for m in models.values()])


# ------------------------------------------------------------------ from scratch


def test_scratch_learns_the_device(scratch, graphs):
    result, _, _ = scratch
    figures = result.judgement.figures()
    assert figures.count == round(0.2 * len(graphs))
    assert figures.within_10 > 0.6 and figures.median < 0.08
    unseen = families.generate(24, seed=99, families=("squeezenet", "mobilenetv1", "alexnet"))
    assert np.median(errors_of(result.predictor(), unseen)) < 0.12


def test_scratch_learns_from_others_than_it_is_judged_by(scratch):
    held = scratch[0].judgement.held_out
    errors = scratch[0].judgement.errors
    assert np.median(errors[~held]) < np.median(errors[held]) * 1.5
    assert held.sum() == 24 and not held.all()


def test_progress_is_told(scratch):
    stages = scratch[2]
    names = [name for name, _ in stages]
    assert list(dict.fromkeys(names)) == ["reading models", "training", "done"]
    shares = [share for name, share in stages if name == "training"]
    assert shares == sorted(shares) and len(shares) >= 3 and shares[0] == 0 and shares[-1] <= 1


def test_calibration_tells_its_progress_too(calibrate):
    stages = []
    calibrate(6, held_out=0.2, report=lambda *x: stages.append(x))
    names = list(dict.fromkeys(name for name, _ in stages))
    judging = [f"judging, part {i} of 5" for i in range(1, 6)]
    assert names == ["reading models", *judging, "calibrating", "done"]
    for stage in (*judging, "calibrating"):
        shares = [share for name, share in stages if name == stage]
        assert shares == sorted(set(shares)) and shares[0] == 0 and shares[-1] == 1 and len(shares) > 5


def test_a_calibration_has_no_epochs(calibrate):
    with pytest.raises(FitError, match="epochs: a calibration takes no turns over the measurements"):
        calibrate(4, epochs=3)


def test_what_is_written(scratch):
    result, output, _ = scratch
    assert sorted(path.name for path in output.parent.iterdir()) == ["phone.card.md", "phone.nnmeter", "phone.png"]
    assert output.read_bytes() == result.data
    png = output.with_suffix(".png").read_bytes()
    assert png.startswith(PNG) and png.endswith(b"IEND\xaeB`\x82")
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    assert width >= 600 and height >= 600
    assert output.with_suffix(".card.md").read_text() == result.card


def test_card(scratch):
    card = scratch[0].card
    for part in (
        "# phone, version 1.0",
        "Learned by nn_meter.fit with the measured latencies of 120 whole models",
        "- Split: 24 held out (by a checksum of their names, seed 0), 96 learned from.",
        "| **whole models** | 24 |",
        "Worst families: ",
        "Kernel types in none of these measurements: ",
        "recurrent",
        "## Range of the measured kernels",
        "for want of the device's own",
    ):
        assert part in card, part
    families_told = re.findall(r"^\| (squeezenet|mobilenetv1|alexnet|others) \|", card, re.MULTILINE)
    assert families_told
    assert "nan" not in card


def test_file_works_with_the_program(scratch, nn_meter_fit, graphs, tmp_path):
    result, output, _ = scratch
    (tmp_path / "one.json").write_bytes(families.as_line(graphs[0]))
    printed = nn_meter_fit("predict", "--predictor", output, tmp_path / "one.json")
    assert printed.returncode == 0, printed.stderr
    model = nn_meter.Model(tmp_path / "one.json")
    assert f"{result.predictor().predict(model).latency_ms!r} ms" in printed.stdout


def test_another_seed_is_another_file_and_split(graphs):
    names = [graph["id"] for graph in graphs]
    first, again, other = (fitting.split(names, 0.2, seed) for seed in (0, 0, 1))
    assert (first == again).all() and first.sum() == other.sum() == 24 and (first != other).any()
    shuffled = fitting.split(names[::-1], 0.2, 0)
    assert (shuffled[::-1] == first).all(), "the split hangs on names alone"


def test_something_is_always_learned_from():
    assert fitting.split(["a"], 0.9, 0).tolist() == [False]
    assert fitting.split(["a", "b", "c"], 0.95, 0).sum() == 2


def test_kernels_of_one_model_are_held_out_together():
    owners = ["a", "b", "a", "c", "d", "e", "c"]
    held = fitting.split(owners, 0.4, 0)
    assert all(held[i] == held[j] for i in range(7) for j in range(7) if owners[i] == owners[j])


def test_training_stops_when_it_gets_no_better(monkeypatch):
    losses = iter([3.0, 2.0, 2.5, 2.6, 2.7, 1.0])
    monkeypatch.setattr(training, "predict", lambda *_: np.exp([next(losses)]))
    network = torch.nn.Linear(1, 1)
    watch = training.Best(SimpleNamespace(latencies=torch.ones(1)), [0])
    kept = []
    while not watch.look(network):
        kept.append(watch.loss)
        with torch.no_grad():
            network.bias.fill_(len(kept))
    assert kept == [3.0, 2.0, 2.0, 2.0] and watch.loss == 2.0
    watch.restore(network)
    assert network.bias.item() == 1, "the weights of the best look"


# ------------------------------------------------------------------ calibration


def test_calibration_beats_its_start(calibrate, graphs, latencies):
    chosen = graphs[:24]
    factor = 2.5  # as if the device were that much slower still
    slower = {graph["id"]: factor * latencies[graph["id"]] for graph in chosen}
    result = calibrate(24, latencies=slower)
    unseen = families.generate(24, seed=77, families=("squeezenet", "mobilenetv1", "nasbench201", "mobilenetv3"))
    models, truth = as_models(unseen), nn_meter.Predictor(TRUTH)

    def median_error(predictor, scale=1.0):
        pairs = [
            (predictor.predict(m).latency_ms * scale, factor * truth.predict(m).latency_ms) for m in models.values()
        ]
        return np.median([abs(p / m - 1) for p, m in pairs])

    scale = np.median([factor * truth.predict(m).latency_ms for m in models.values()]) / np.median(
        [nn_meter.Predictor(START).predict(m).latency_ms for m in models.values()]
    )
    assert median_error(result.predictor()) < 0.06
    assert median_error(result.predictor()) < median_error(nn_meter.Predictor(START), scale)
    assert "Calibrated from adreno640gpu_tflite21" in result.predictor().card


def test_few_measurements_are_judged_by_leaving_parts_out(calibrate, latencies):
    result = calibrate(8, held_out=0.2)
    assert result.judgement.held_out.all() and result.judgement.figures().count == 8
    assert "each was judged by a predictor made from the others" in result.card
    final = [result.predictor().predict(m).latency_ms for m in as_models(families.generate(1, seed=3)).values()]
    assert len(final) == 1 and final[0] > 0


def test_nothing_held_out_is_told(calibrate):
    result = calibrate(4, held_out=0)
    assert not result.judgement.held_out.any()
    assert "nothing was held out, so the accuracy is not known" in result.card
    assert "was not measured" in result.predictor().card


def test_calibration_keeps_what_it_does_not_touch(calibrate, graphs):
    """Kernel types and ranges of the start stay known: convolutions alone are measured, transformers stay as unknown as
    they were, and types of the start remain in range."""
    chosen = [graph for graph in graphs if graph["family"] == "squeezenet"][:6]
    measured = measure(as_models(chosen))
    result = calibrate(models=chosen, latencies=measured)
    start, ours = nn_meter.Predictor(START), result.predictor()
    names = list(nn_meter.FEATURES), list(nn_meter.KERNEL_TYPES)
    before, after = read_section(start.data, *names).ranges, read_section(ours.data, *names).ranges
    assert before.measured <= after.measured
    for t in before.measured:
        assert (after.low[t] <= before.low[t]).all() and (after.high[t] >= before.high[t]).all()
    assert ours.rules == start.rules


def test_new_kernel_types_become_known(calibrate, graphs):
    chosen = [graph for graph in graphs if graph["family"] == "shufflenetv2"][:6]
    ours = calibrate(models=chosen, latencies=measure(as_models(chosen))).predictor()
    model = nn_meter.Model(families.as_line(chosen[0]), name="shuffle")
    assert nn_meter.Predictor(START).predict(model).coverage < 0.95, "the Adreno predictors never saw a shuffle"
    assert ours.predict(model).coverage == 1


def test_weights_are_read_back_as_they_were():
    """File -> network -> file gives the same latencies, for every built-in predictor."""
    model = nn_meter.Model(families.as_line(families.make("mobilenetv3", 0)), name="m")
    for name, _, kind, origin, _ in nn_meter.predictors():
        if origin != "built in" or kind != "network":
            continue
        start = nn_meter.Predictor(name)
        builder = fitting.gather(
            fitting.collect_models({"m": families.as_line(families.make("mobilenetv3", 0))}),
            fitting.read_measurements({"m": 1.0})[0],
            [],
            start.rules,
        )
        loaded = read_section(start.data, builder.table.features, builder.table.types)
        evidence = Evidence(builder.table, builder.latencies, [0], start=loaded)
        evidence.ranges = loaded.ranges  # no device has learned from the model
        data = container("copy", "1.0", "", start.rules, network_section(loaded.network, evidence, loaded.interval))
        copied, original = nn_meter.Predictor(data).predict(model), start.predict(model)
        assert copied.latency_ms == pytest.approx(original.latency_ms, rel=2e-5), name
        assert copied.coverage == pytest.approx(original.coverage)
        assert copied.interval_ms == pytest.approx(original.interval_ms, rel=2e-5)


# ------------------------------------------------------------------ kernels


def kernel_latencies(graphs):
    """{(model, node): ms} of every kernel, as the device would measure them alone."""
    truth, found = nn_meter.Predictor(TRUTH), {}
    for name, model in as_models(graphs).items():
        for kernel in truth.predict(model).kernels:
            found[name, kernel.nodes[0]] = kernel.latency_ms
    return found


def test_kernels_alone_are_enough(calibrate, graphs):
    chosen = graphs[:6]
    kernels = kernel_latencies(chosen)
    result = calibrate(models=chosen, latencies=None, kernels=kernels)
    assert len(result.judgement.measured) == len(kernels) and not result.judgement.whole.any()
    before = [abs(nn_meter.Predictor(START).predict(m).latency_ms / t - 1) for m, t in truths(chosen)]
    after = [abs(result.predictor().predict(m).latency_ms / t - 1) for m, t in truths(chosen)]
    assert np.median(after) < np.median(before)
    assert f"{len(kernels)} single kernels" in result.card and "never measured alone" not in result.card


def truths(graphs):
    truth = nn_meter.Predictor(TRUTH)
    return [(model, truth.predict(model).latency_ms) for model in as_models(graphs).values()]


def test_models_and_kernels_together_from_files(calibrate, graphs, latencies, tmp_path):
    kernels = kernel_latencies(graphs[:2])
    path = tmp_path / "kernels.csv"
    path.write_text("model,kernel,latency_ms\n" + "".join(f"{m},{k},{v}\n" for (m, k), v in kernels.items()))
    measured = write_csv(tmp_path / "measured.csv", {graph["id"]: latencies[graph["id"]] for graph in graphs[2:6]})
    result = calibrate(models=graphs[:6], latencies=measured, kernels=path, held_out=0.2)
    assert result.judgement.whole.sum() == 4 and (~result.judgement.whole).sum() == len(kernels)
    assert "**single kernels**" in result.card and "**whole models**" in result.card


# ------------------------------------------------------------------ reliability


def test_the_same_seed_gives_the_same_bytes(calibrate):
    assert calibrate(8, seed=5).data == calibrate(8, seed=5).data


def test_a_training_gives_the_same_bytes_in_another_process(graphs, latencies, tmp_path):
    code = (
        "import sys, json, hashlib\n"
        "from nn_meter.fit import fit\n"
        "graphs, latencies = json.load(open(sys.argv[1]))\n"
        "result = fit(graphs, latencies, device='x', epochs=1, keep_going=True, seed=2)\n"
        "print(hashlib.sha256(result.data + result.card.encode()).hexdigest())\n"
    )
    chosen = graphs[:24]
    (tmp_path / "input.json").write_text(json.dumps([chosen, {g["id"]: latencies[g["id"]] for g in chosen}]))
    run = [sys.executable, "-c", code, str(tmp_path / "input.json")]
    hashes = {
        subprocess.run(
            run, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(hashes) == 1


def test_output_is_whole_or_not_there(calibrate, tmp_path, monkeypatch):
    output = tmp_path / "phone.nnmeter"
    output.write_bytes(b"before")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fitting.os, "replace", fail)
    with pytest.raises(FitError, match="cannot be written: No space left on device"):
        calibrate(4, output=output)
    assert output.read_bytes() == b"before" and [path.name for path in tmp_path.iterdir()] == ["phone.nnmeter"]


def test_keep_going_says_what_it_left_out(calibrate, graphs, latencies):
    half = {graph["id"]: 1000 * latencies[graph["id"]] for graph in graphs[:4]}
    result = calibrate(models=graphs[:6], latencies=half, keep_going=True)
    assert "2 of 6 models have no latency" in result.left_out[0] and "microseconds" in result.left_out[1]
    assert "- Left out: 2 of 6 models" in result.card


def test_missing_packages_are_named():
    for package in ("torch", "numpy", "matplotlib"):
        code = f"import sys; sys.modules['{package}'] = None\nfrom nn_meter.fit import fit"
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert f"MissingPackage: {package} is missing; pip install 'nn-meter[fit]'" in run.stderr, run.stderr
    code = "import sys; sys.modules['torch'] = None\nimport nn_meter, nn_meter.fit; print(nn_meter.__version__)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_settings_suit_the_number():
    few, many = Settings.for_count(100), Settings.for_count(16000)
    assert few.batch < many.batch and few.epochs * 100 / few.batch >= 1500
    assert 3000 < many.epochs * 16000 / many.batch < 6000


def test_judgement_by_family_and_type(scratch):
    judgement = scratch[0].judgement
    assert isinstance(judgement, Judgement)
    families_judged = judgement.by_family()
    assert sum(figures.count for figures in families_judged.values()) == judgement.figures().count
    shares = [share for share, _ in judgement.by_type().values()]
    assert 0.5 < sum(shares) <= 1.2, "what the kernels carry is the latency but for the constant"
