"""How far measurements may lie from predictions: the rule, and the interval of fitted predictors."""

import nn_meter
import numpy as np
import pytest
from device import NOISE, as_models, measure
from nn_meter.fit import families
from nn_meter.fit.interval import FURTHEST, LEAST, Interval
from nn_meter.fit.judgement import Judgement
from nn_meter.fit.predictor_file import container, read_predictor, with_interval
from tables import RULES

NAMES = list(nn_meter.FEATURES), list(nn_meter.KERNEL_TYPES)


@pytest.mark.parametrize("count", [19, 20, 39, 60, 200, 1000])
@pytest.mark.parametrize("kind", ["normal", "lopsided"])
def test_nine_of_ten_lie_inside(count, kind):
    """The promise of split conformal intervals, over many draws: 90 % or a little more, whatever the distribution."""
    random = np.random.default_rng(count)
    draw = random.standard_normal if kind == "normal" else lambda size: random.exponential(0.3, size)
    inside = []
    for _ in range(400):
        interval, fresh = Interval.of(0.1 * draw(count)), 0.1 * draw(50)
        inside.append(((fresh >= interval.low) & (fresh <= interval.high)).mean())
    most = 1 - 2 * np.floor(0.05 * (count + 1)) / (count + 1)  # what the theory says of these quantiles
    assert 0.89 < np.mean(inside) < most + 0.01


def test_few_measurements_make_it_wide():
    random = np.random.default_rng(0)
    inside = []
    for _ in range(400):
        interval, fresh = Interval.of(0.1 * random.standard_normal(8)), 0.1 * random.standard_normal(50)
        inside.append(((fresh >= interval.low) & (fresh <= interval.high)).mean())
    assert np.mean(inside) > 0.88
    assert Interval.of(np.zeros(LEAST - 1)) is None and Interval.of(np.zeros(LEAST)) is not None


@pytest.mark.parametrize(
    "residuals",
    [
        np.zeros(5),
        np.zeros(100),
        np.full(6, 9.0),
        np.full(40, -9.0),
        np.linspace(-20, 20, 10),
        np.full(30, 5.0),
        np.full(30, 4.9999999),
        np.linspace(-20, 20, 500),
    ],
)
def test_whatever_the_residuals_the_file_can_be_opened(residuals, scratch):
    interval = Interval.of(residuals)
    assert -FURTHEST <= interval.low < interval.high <= FURTHEST
    data = container("x", "1.0", "", RULES, with_interval(nn_meter.Predictor(scratch[0].data).data, interval))
    assert read_predictor(nn_meter.Predictor(data), *NAMES).interval.low == np.float32(interval.low)


def test_a_fitted_predictor_has_one_and_it_holds(scratch):
    """From scratch, on models that neither learning nor judging saw; the interval is 24 held-out models' doing."""
    result = scratch[0]
    interval = read_predictor(result.predictor(), *NAMES).interval
    expected = Interval.of(result.judgement.residuals)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), rel=1e-6)
    assert interval.doubt > 0
    unseen = as_models(families.generate(200, seed=41, families=tuple({g for g in result.judgement.table.families})))
    measured, predictor = measure(unseen, seed=9), result.predictor()
    inside = [
        low <= measured[name] <= high
        for name, (low, high) in ((n, predictor.predict(m).interval_ms) for n, m in unseen.items())
    ]
    assert 0.8 < np.mean(inside) <= 1


def test_a_calibrated_predictor_has_one_too(calibrate, graphs):
    result = calibrate(40, held_out=0.2)
    assert result.judgement.held_out.all(), "each was judged by a predictor made from others"
    predictor = result.predictor()
    interval = read_predictor(predictor, *NAMES).interval
    assert interval.high - interval.low > 2 * NOISE
    unseen = as_models(graphs[40:])
    measured = measure(unseen, seed=0)
    inside = [
        low <= measured[n] <= high
        for n, (low, high) in ((n, predictor.predict(m).interval_ms) for n, m in unseen.items())
    ]
    assert 0.8 < np.mean(inside) <= 1


def test_without_held_out_models_nothing_is_claimed(calibrate):
    predictor = calibrate(8, held_out=0).predictor()
    assert read_predictor(predictor, *NAMES).interval == Interval(), "that of the start is not the new device's"


def test_whole_models_decide_when_there_are_enough():
    def judgement(whole):
        constant = np.array([1.0] * whole + [0.0] * 10)
        table = type("Table", (), {"constant": constant})
        predicted = np.ones(len(constant))
        return Judgement(table, np.exp(constant), predicted, np.ones(len(constant), bool), None, None)

    assert judgement(5).residuals.tolist() == [1.0] * 5
    assert judgement(4).residuals.tolist() == [1.0] * 4 + [0.0] * 10
