"""Several devices with one trunk, and the typical phone that a calibration may start from."""

import json

import nn_meter
import numpy as np
import pytest
import torch
from nn_meter.fit import families, fit, start, suggest, training, trunk
from nn_meter.fit.start import TYPICAL_PHONE
from tables import RULES, as_model, estimated, table_of

CPUS = ("cortexA76cpu_tflite21", "pixel1cpu_tflite", "pixel6cpu_tflite")
SMALL = ("mobilenetv1", "squeezenet", "mobilenetv3")
SETTINGS = training.Settings(epochs=40, batch=16, shared_width=32, own_width=64, hardware="cpu")


def truths(table, device):
    """Milliseconds of the table's models, as a built-in predictor says."""
    rows, _, constant = table.estimate(nn_meter.Predictor(device))
    return table.totals(rows, constant)


@pytest.fixture(scope="module")
def table():
    graphs = families.generate(90, seed=5, families=SMALL)
    return table_of({graph["id"]: as_model(graph) for graph in graphs})


@pytest.fixture(scope="module")
def together(table):
    """(networks, evidences) of CPUS, learned from two thirds of the models."""
    learned = np.where(np.arange(len(table.models)) % 3 > 0)[0]
    evidences = [training.Evidence(table, truths(table, device), learned) for device in CPUS]
    evidences = trunk.with_common_inputs(evidences)
    shares = []
    with training.Reproducible(threads=1):
        networks = trunk.fit_together(evidences, SETTINGS, lambda share, _: shares.append(share))
    assert len(shares) == training.CHECKS and 0.95 < shares[-1] <= 1
    return networks, evidences


def test_hidden_layers_are_one_and_the_rest_is_each_devices_own(together):
    networks, _ = together
    for one, other in zip(networks, networks[1:]):
        for mine, its in zip(one.hidden_weights(), other.hidden_weights(), strict=True):
            assert mine is its
        assert one.type_bias is other.type_bias
        assert not torch.equal(one.log_rate, other.log_rate)
        assert not torch.equal(one.shared[-1].weight, other.shared[-1].weight)


def test_each_device_is_learned(table, together):
    unseen = np.where(np.arange(len(table.models)) % 3 == 0)[0]
    for network, evidence in zip(*together, strict=True):
        off = np.log(training.predict(network, evidence, unseen) / evidence.latencies[unseen].numpy())
        assert np.median(np.abs(off)) < 0.12


def test_the_typical_device_is_in_the_middle(table, together):
    networks, evidences = together
    everything = np.arange(len(table.models))
    middle = np.log(training.predict(trunk.typical(networks), evidences[0], everything))
    each = np.log([training.predict(*pair, everything) for pair in zip(networks, evidences, strict=True)])
    between = (middle > each.min(0)) & (middle < each.max(0))
    assert between.mean() > 0.95
    assert np.abs(middle - each.mean(0)).max() < 0.5 * np.ptp(each, axis=0).max()


def test_devices_measured_on_other_models_have_inputs_in_common(table):
    """Tables with other kernel types: each network has an own one for every type that some device measured."""
    shuffles = families.generate(30, seed=6, families=("shufflenetv2",))
    other = table_of({graph["id"]: as_model(graph) for graph in shuffles})
    evidences = [training.Evidence(t, truths(t, CPUS[0]), np.arange(len(t.models))) for t in (table, other)]
    common = trunk.with_common_inputs(evidences)
    assert np.array_equal(common[0].mean, common[1].mean) and common[0].values.shape[1] == common[1].values.shape[1]
    quick = training.Settings(epochs=1, batch=16, shared_width=32, own_width=64, hardware="cpu")
    first, second = trunk.fit_together(common, quick)
    assert set(first.own) == set(second.own) == {str(t) for e in evidences for t in e.measured}
    for evidence, before in zip(common, evidences, strict=True):
        assert evidence.ranges.measured == before.ranges.measured, "what one device has measured is not the other's"


def test_the_typical_phone_is_between_the_phones():
    phones = [name for name, *_ in nn_meter.predictors() if name.endswith("cpu_tflite")]
    assert len(phones) == 4
    typical = start.open_start(TYPICAL_PHONE)
    assert typical.name == TYPICAL_PHONE and "is no device" in " ".join(typical.card.split())
    assert TYPICAL_PHONE not in [name for name, *_ in nn_meter.predictors()]
    model = as_model(families.make("mobilenetv3", 1))
    each = [nn_meter.Predictor(phone).predict(model).latency_ms for phone in phones]
    assert min(each) < typical.predict(model).latency_ms < max(each)


def test_from_the_typical_phone_to_another_one(tmp_path):
    """Suggest, measure, fit, for a phone that is twice as slow as one of the four."""
    found = suggest(6, TYPICAL_PHONE, families=SMALL, output=tmp_path / "folder")
    assert f"--from {TYPICAL_PHONE}" in (tmp_path / "folder" / "README.md").read_text()
    truth = nn_meter.Predictor("xiaomi11cpu_tflite")
    latencies = {
        name: 2 * truth.predict(nn_meter.Model(tmp_path / "folder" / f"{name}.onnx")).latency_ms
        for name in found.models
    }
    result = fit(tmp_path / "folder", latencies, device="slow_phone", from_predictor=TYPICAL_PHONE)
    unseen = [as_model(families.make(family, number)) for family in SMALL for number in range(50, 56)]
    predicted = np.array([result.predictor().predict(model).latency_ms for model in unseen])
    started = np.array([start.open_start(TYPICAL_PHONE).predict(model).latency_ms for model in unseen])
    measured = np.array([2 * truth.predict(model).latency_ms for model in unseen])
    assert np.median(np.abs(np.log(predicted / measured))) < 0.05 < np.median(np.abs(np.log(started / measured)))


def test_a_network_of_a_trunk_is_a_predictor_like_any_other(table, together):
    from nn_meter.fit.predictor_file import container, network_section

    network, evidence = together[0][1], together[1][1]
    section = network_section(network, evidence)
    rows, _, constant = estimated(table, section)
    everything = np.arange(len(table.models))
    assert table.totals(rows, constant) == pytest.approx(training.predict(network, evidence, everything), rel=1e-4)
    predictor = nn_meter.Predictor(container("made", "1.0", "", RULES, section))
    line = json.dumps(families.make("squeezenet", 0)).encode()
    assert predictor.predict(nn_meter.Model(line, "made", "benchmark")).latency_ms > 0
