"""Calibration in closed form, by itself: what it must do with measurements whose truth is known, and what it must leave."""

import numpy as np
import pytest
import torch
from nn_meter.fit import calibration, families
from nn_meter.fit.calibration import Change, Response, Spread, calibrate
from nn_meter.fit.choice import choose, gradient_vectors
from nn_meter.fit.kernel_table import TableBuilder
from nn_meter.fit.training import predict
from tables import RULES, as_model, reach_of, start_evidence, table_of

COUNT = 12  # models to calibrate by
FAMILIES = ("mobilenetv1", "mobilenetv2", "squeezenet", "nasbench201", "shufflenetv2", "alexnet")


@pytest.fixture(scope="module")
def table():
    graphs = families.generate(60, seed=8, families=FAMILIES)
    return table_of({graph["id"]: as_model(graph) for graph in graphs})


def per_row(network, evidence):
    with torch.no_grad():
        return network(evidence.values, evidence.work, evidence.table.type_of).numpy().astype(float)


def device(table, factors, common=1.0):
    """(network of START, Evidence by the first COUNT models) of a device like START's but for kernel types' factors."""
    network, evidence = start_evidence(table, training=np.arange(COUNT))
    factor = np.full(len(table.types) + 1, common)
    for name, value in factors.items():
        factor[table.types.index(name)] *= value
    truth = table.totals(per_row(network, evidence) * factor[table.type_of], common * constant_of(network))
    evidence.latencies = torch.from_numpy(truth.astype(np.float32))
    return network, evidence


def constant_of(network):
    return float(torch.exp(network.log_constant.detach()))


def calibrated(network, evidence, **options):
    reach = reach_of(network, evidence)
    return calibrate(network, evidence, predict(network, evidence, evidence.training), reach, **options)


def errors(network, evidence, models):
    return np.abs(predict(network, evidence, models) / evidence.latencies[models].numpy() - 1)


def test_nothing_changes_where_nothing_differs(table):
    network, evidence = device(table, {})
    before = {name: value.clone() for name, value in network.state_dict().items()}
    calibrated(network, evidence)
    for name, value in network.state_dict().items():
        assert torch.allclose(value, before[name], atol=1e-4, rtol=1e-4), name


def test_noise_is_told_from_another_device():
    measured = np.array([10.0, 20.0, 40.0, 80.0])
    assert calibration.noise_of(measured, measured) == calibration.NOISE
    assert calibration.noise_of(measured * [1.05, 0.95, 1.05, 0.95], measured) == pytest.approx(0.025, rel=0.05)
    assert calibration.noise_of(measured * [1.09, 0.91, 1.09, 0.91], measured) == calibration.MOST_NOISE
    assert calibration.noise_of(measured * 2, measured) == calibration.NOISE
    assert calibration.noise_of(measured * [1.5, 0.7, 1.5, 0.7], measured) == calibration.NOISE


def test_a_common_factor_is_found(table):
    network, evidence = device(table, {}, common=7.0)
    calibrated(network, evidence)
    assert errors(network, evidence, np.arange(len(table.models))).max() < 1e-3


def test_what_differs_by_type_is_found(table):
    """A device with depthwise convolutions three times as slow and poolings at half the cost."""
    unseen = np.arange(COUNT, len(table.models))
    network, evidence = device(table, {"dwconv": 3.0, "maxpool": 0.5}, common=2.0)
    before = per_row(network, evidence)
    calibration.scale_to_median(
        network, predict(network, evidence, evidence.training), evidence.latencies[: len(evidence.training)].numpy()
    )
    scaled = errors(network, evidence, unseen)
    network, evidence = device(table, {"dwconv": 3.0, "maxpool": 0.5}, common=2.0)
    calibrated(network, evidence)
    ours = errors(network, evidence, unseen)
    assert np.median(ours) < 0.03 and np.median(ours) < np.median(scaled) / 3 and ours.mean() < scaled.mean() / 3
    assert errors(network, evidence, evidence.training).max() < 0.03, "what was measured is reproduced"
    factor = per_row(network, evidence) / before
    by_type = {name: np.median(factor[table.type_of == table.types.index(name)]) for name in ("conv", "dwconv")}
    assert by_type["conv"] == pytest.approx(2, rel=0.1) and by_type["dwconv"] == pytest.approx(6, rel=0.2)


def test_kernels_measured_alone_have_no_constant():
    """Kernels that cost what they cost in models that take 3 ms more: it is the constant that grows."""
    graphs = families.generate(6, seed=5, families=("squeezenet", "mobilenetv1"))
    builder = TableBuilder(RULES)
    for graph in graphs:
        model = as_model(graph)
        builder.add(model, graph["id"])
        for kernel in range(0, 20, 2):
            builder.add(model, f"{graph['id']}:{kernel}", kernel=kernel)
    table = builder.finish()
    alone = table.constant == 0
    assert alone.sum() == 60 and (~alone).sum() == 6
    network, evidence = start_evidence(table)
    assert evidence.constant.tolist() == table.constant.tolist()
    with torch.no_grad():
        network.log_constant.fill_(float(np.log(2)))
    everything, constant, kernels = np.arange(len(alone)), constant_of(network), per_row(network, evidence)
    now = predict(network, evidence, everything)
    assert now[alone] == pytest.approx(table.totals(kernels, 0)[alone], rel=1e-4)
    evidence.latencies = torch.from_numpy((now + 3 * table.constant).astype(np.float32))
    calibrate(network, evidence, now, reach_of(network, evidence))
    assert constant_of(network) == pytest.approx(constant + 3, rel=0.05)
    after = predict(network, evidence, everything)
    assert after[alone] == pytest.approx(now[alone], rel=0.03)
    assert after[~alone] == pytest.approx(now[~alone] + 3, rel=0.02)


def test_the_same_again(table):
    states = []
    for _ in range(2):
        network, evidence = device(table, {"dwconv": 2.0})
        states.append(calibrated(network, evidence).state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_rounds_only_ever_improve(table):
    network, evidence = device(table, {"dwconv": 3.0, "conv": 0.4, "concat": 20.0})
    change, models = Change(network, reach_of(network, evidence)), evidence.training
    response, measured = Response(network, evidence, models, change), evidence.latencies[models]
    vector, seen = change.zero, []
    for _ in range(6):
        seen.append(calibration.surprise(response, measured, calibration.NOISE, vector))
        vector = calibration.descend(response, measured, calibration.NOISE, vector)
    assert seen == sorted(seen, reverse=True) and seen[-1] < seen[0] / 10


def test_one_wild_measurement_does_not_break_it(table):
    network, evidence = device(table, {})
    evidence.latencies[0] *= 1000
    calibrated(network, evidence)
    everything = np.arange(len(table.models))
    assert np.isfinite(predict(network, evidence, everything)).all()


def test_progress(table):
    network, evidence = device(table, {})
    shares = []
    calibrated(network, evidence, report=lambda share, _: shares.append(share))
    assert shares == sorted(shares) and len(shares) == calibration.ROUNDS and shares[-1] == 1


def test_no_kernel_moves_without_bound(table):
    """Some inputs of the last layers are tens of times as large for a few kernels as for the others. Whatever is learned
    from the others, what is believed possible for those few is the spread as well."""
    network, evidence = start_evidence(table)
    spread = Spread()
    change = Change(network, reach_of(network, evidence), spread)
    everything = Response(network, evidence, np.arange(len(table.models)), change)
    for name, inputs in (("shared", everything.shared), ("own", everything.own)):
        possible = inputs @ torch.diag(change.scale[change.start(name) :][: change.sizes[name]])
        size = possible.square().sum(1).sqrt()
        assert inputs.norm(dim=1).max() > 5 * inputs.norm(dim=1).median(), name
        assert 0.05 * getattr(spread, name) < float(size.max()) <= getattr(spread, name) * (1 + 1e-5), name
    assert float((everything.correction * change.scale[change.start("trust")]).abs().max()) <= spread.trust * (1 + 1e-5)


# ------------------------------------------------------------------ the gradient, and what is chosen by it


def test_gradient_is_that_of_the_network(table):
    """Each part of a change, tried out: what apply() does to the network is what Response said it would."""
    models = np.arange(5)
    network, evidence = start_evidence(table)
    change = Change(network, reach_of(network, evidence))
    response = Response(network, evidence, models, change)
    totals, gradient = response.gradient(change.zero)
    assert totals.numpy() == pytest.approx(predict(network, evidence, models), rel=1e-5)
    random = torch.Generator().manual_seed(1)
    for name, size in change.sizes.items():
        network, _ = start_evidence(table)
        at = change.start(name)
        vector = change.zero
        vector[at : at + size] = torch.randn(size, generator=random) * 0.02
        calibration.apply(network, change.parts(vector))
        moved = predict(network, evidence, models)
        assert response.totals(vector)[0].numpy() == pytest.approx(moved, rel=1e-5), name
        expected = (gradient @ vector).numpy()
        assert np.log(moved / totals.numpy()) == pytest.approx(expected, abs=2e-4 + 0.05 * np.abs(expected).max()), name


def doubt_left(vectors, chosen, noise=calibration.NOISE):
    """Mean standard deviation of all models when the chosen ones are measured."""
    some = vectors[chosen]
    gram = some @ some.T + noise**2 * np.eye(len(chosen))
    known = np.einsum("ij,ji->i", vectors @ some.T, np.linalg.solve(gram, some @ vectors.T))
    return np.sqrt(np.maximum((vectors**2).sum(1) - known, 0) + noise**2).mean()


def test_choice_prefers_models_that_tell_more(table):
    network, evidence = start_evidence(table)
    everything = np.arange(len(table.models))
    vectors = gradient_vectors(network, evidence, everything, reach_of(network, evidence))
    chosen = choose(vectors, everything, 6)
    random = np.random.default_rng(0)
    drawn = [doubt_left(vectors, random.choice(everything, 6, replace=False)) for _ in range(40)]
    assert doubt_left(vectors, chosen) < min(drawn) and len(set(chosen)) == 6
    left = [doubt_left(vectors, chosen[: i + 1]) for i in range(6)]
    assert left == sorted(left, reverse=True)
    singles = [doubt_left(vectors, [model]) for model in everything]
    assert chosen[0] == int(np.argmin(singles)), "the first one alone leaves the least doubt"


def test_a_copy_of_a_model_tells_nothing_new(table):
    network, evidence = start_evidence(table)
    vectors = gradient_vectors(network, evidence, np.arange(20), reach_of(network, evidence))
    twice = np.concatenate([vectors, vectors])
    chosen = choose(twice, np.arange(40), 8)
    assert len({model % 20 for model in chosen}) == 8
