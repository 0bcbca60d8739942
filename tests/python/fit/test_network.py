"""The network in Python and in C: one layout, one set of ranges, one answer; and kernel types that nobody measured."""

import copy
from pathlib import Path

import nn_meter
import numpy as np
import pytest
import torch
from nn_meter.fit import FitError, families
from nn_meter.fit.network import CLASSES, KernelNetwork, class_indices
from nn_meter.fit.predictor_file import HEADER, container, network_section, read_predictor, read_section
from nn_meter.fit.training import START as STARTS
from nn_meter.fit.training import Belief, Evidence, fit_guess, own_widths, predict, work_sums
from tables import RULES, as_model, estimated, table_of

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
MEASURED = 8  # models that count as measured; the others run kernels beyond them


@pytest.fixture(scope="module")
def mixed():
    """Small networks of few kernel types, then others: other types, sizes out of range."""
    graphs = families.generate(MEASURED, seed=1, families=("squeezenet", "mobilenetv1"))
    graphs += families.generate(30, seed=2)
    models = {graph["id"]: as_model(graph) for graph in graphs}
    models |= {path.name: nn_meter.Model(path) for path in sorted(EXAMPLES.glob("*.onnx"))}
    return table_of(models)


@pytest.fixture
def random_network(mixed):
    """A network whose every number counts, and its Evidence."""
    table = mixed
    evidence = Evidence(table, np.ones(len(table.models)), np.arange(MEASURED))
    torch.manual_seed(4)
    network = KernelNetwork(evidence.values.shape[1], table.types, own_widths(evidence, 64), 64)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        network.log_rate -= 12
    return network, evidence


def of_rows(network, evidence):
    with torch.no_grad():
        return network(evidence.values, evidence.work, evidence.table.type_of).numpy()


def test_python_and_c_agree_on_every_row(mixed, random_network):
    table = mixed
    network, evidence = random_network
    ours = of_rows(network, evidence)
    rows, in_range, constant = estimated(table, network_section(network, evidence))
    measured = np.isin(table.type_of, evidence.measured)
    for kind in (in_range, measured & ~in_range, ~measured):
        assert kind.sum() > 20, "rows of each kind are there to be compared"
        assert rows[kind] == pytest.approx(ours[kind], rel=1e-5)
    assert constant == pytest.approx(float(torch.exp(network.log_constant.detach())), rel=1e-6)
    assert not in_range[~measured].any()


def test_doubt_grows_with_the_distance_from_what_was_measured(mixed, random_network):
    table = mixed
    network, evidence = random_network
    section = network_section(network, evidence)
    predictor = nn_meter.Predictor(container("made", "1.0", "", RULES, section))
    _, doubts, _ = table.estimate(predictor)
    measured = np.isin(table.type_of, evidence.measured)
    assert (doubts[evidence.used] == 0).all() and (doubts[~measured] == 2).all()
    outside = measured & (doubts > 0)
    assert (doubts[outside] >= 0.25).all() and doubts[outside].std() > 0
    at, further = table.features.index("log_weight_elements"), copy.copy(table)
    for octaves in (1, 2):
        further.values = table.values.copy()
        further.values[:, at] = evidence.ranges.overall_high[at] + octaves * np.log(2)
        found = further.estimate(predictor)[1][measured]
        assert (found >= 0.25 + octaves * np.log(2) - 1e-5).all(), "of a type it may be more"


RANDOM_KERNELS = 10_000


@pytest.mark.parametrize("name", [item[0] for item in nn_meter.predictors() if item[3] == "built in"])
def test_shipped_predictors_say_the_same_in_python_and_in_c(name):
    """Random kernels, in range and out of it, of every type."""
    predictor, random = nn_meter.Predictor(name), np.random.default_rng(0)
    types = np.sort(random.integers(len(nn_meter.KERNEL_TYPES), size=RANDOM_KERNELS))
    loaded = read_predictor(predictor, list(nn_meter.FEATURES), list(nn_meter.KERNEL_TYPES))
    ranges, share = loaded.ranges, random.uniform(-0.1, 1.1, (RANDOM_KERNELS, len(nn_meter.FEATURES)))
    values = (ranges.overall_low + share * (ranges.overall_high - ranges.overall_low)).astype(np.float32)
    work = np.exp(random.uniform(0, 18, (RANDOM_KERNELS, len(nn_meter.WORK))))
    found, doubts, _ = predictor.estimate(types.astype(np.int32).tobytes(), work.tobytes(), values.tobytes())
    inputs = Evidence.inputs(loaded, ranges.clamp(values, types))
    amounts = np.concatenate([work, np.ones((RANDOM_KERNELS, 1))], 1).astype(np.float32)
    with torch.no_grad():
        ours = loaded.network(torch.from_numpy(inputs), torch.from_numpy(amounts), types).numpy()
    assert np.frombuffer(found) == pytest.approx(ours, rel=1e-5)
    assert (np.frombuffer(doubts) > 0).any()


def test_ranges_matter_for_that(mixed, random_network):
    """Without the clamp Python would say something else where C is out of range, and the same where it is in range."""
    table = mixed
    network, evidence = random_network
    rows, in_range, _ = estimated(table, network_section(network, evidence))
    evidence.values = torch.from_numpy(evidence.inputs(table.values))
    off = np.abs(of_rows(network, evidence) / rows - 1)
    assert (off[~in_range] > 1e-3).mean() > 0.5 and off[np.isin(np.arange(len(rows)), evidence.used)].max() < 1e-5


def test_clamping(mixed):
    table = mixed
    evidence = Evidence(table, np.ones(len(table.models)), np.arange(MEASURED))
    ranges, clamped = evidence.ranges, evidence.ranges.clamp(table.values, table.type_of)
    assert clamped.dtype == np.float32 and (clamped[evidence.used] == table.values[evidence.used]).all()
    for t in np.unique(table.type_of):
        mine = clamped[table.type_of == t]
        known = t in ranges.measured
        low, high = (ranges.low[t], ranges.high[t]) if known else (ranges.overall_low, ranges.overall_high)
        assert (mine >= low).all() and (mine <= high).all(), table.types[t]
    assert (clamped != table.values).any()


def test_written_and_read_back(mixed, random_network):
    """File -> network gives the same latencies, and the file that is made of it again is the same but for rounding."""
    table = mixed
    network, evidence = random_network
    section = network_section(network, evidence)
    assert np.frombuffer(section, HEADER, 1)["version"][0] == 2
    loaded = read_section(section, table.features, table.types)
    again = Evidence(table, np.ones(len(table.models)), np.arange(MEASURED), start=loaded)
    assert of_rows(loaded.network, again) == pytest.approx(of_rows(network, evidence), rel=1e-5)
    everything = np.arange(len(table.models))
    assert predict(loaded.network, again, everything) == pytest.approx(predict(network, evidence, everything), rel=1e-5)
    twice, once = estimated(table, network_section(loaded.network, again)), estimated(table, section)
    assert twice[0] == pytest.approx(once[0], rel=1e-5) and (twice[1] == once[1]).all()


def test_a_type_that_the_file_does_not_name_has_the_last_record(mixed, random_network):
    table = mixed
    network, evidence = random_network
    name = next(n for n in ("global-avgpool", "fc") if table.types.index(n) in evidence.measured)
    section = network_section(network, evidence).replace(name.encode() + b"\0", name[::-1].encode() + b"\0")
    loaded = read_section(section, table.features, table.types)
    assert table.types.index(name) not in loaded.ranges.measured
    mine = table.type_of == table.types.index(name)
    again = Evidence(table, np.ones(len(table.models)), np.arange(MEASURED), start=loaded)
    again.values = torch.from_numpy(again.inputs(loaded.ranges.clamp(table.values, table.type_of)))
    rows, in_range, _ = estimated(table, section)
    assert rows == pytest.approx(of_rows(loaded.network, again), rel=1e-5)
    assert mine.any() and not in_range[mine].any()


def test_a_network_of_another_shape_is_refused_by_name(mixed, random_network):
    table = mixed
    network, evidence = random_network
    section = bytearray(network_section(network, evidence))
    at = HEADER.fields["limit"][1]
    section[at : at + 4] = np.float32(5).tobytes()
    predictor = nn_meter.Predictor(container("odd", "1.0", "", RULES, bytes(section)))
    with pytest.raises(FitError, match="odd: cannot be calibrated: its correction limit is 5.0.*start from another"):
        read_predictor(predictor, table.features, table.types)


# ------------------------------------------------------------------ classes


def test_every_kernel_type_has_one_class():
    members = [name for names in CLASSES.values() for name in names]
    assert sorted(members) == sorted(nn_meter.KERNEL_TYPES)
    indices = class_indices(nn_meter.KERNEL_TYPES).tolist()
    assert len(indices) == len(nn_meter.KERNEL_TYPES) + 1 and indices[-1] == list(CLASSES).index("elementwise")
    assert list(CLASSES)[indices[nn_meter.KERNEL_TYPES.index("convtrans")]] == "convolution"


def test_an_unmeasured_type_follows_its_class(mixed):
    """Convolutions four times dearer: transposed ones, in no model, become dearer with them; gates hardly do."""
    table = mixed
    cost, conv = torch.tensor(STARTS["cpu"]), table.types.index("conv")
    belief = Belief()

    def costs(factor):
        start = torch.log(cost)
        evidence = Evidence(table, np.ones(len(table.models)), np.arange(MEASURED))
        network = KernelNetwork(evidence.values.shape[1], table.types, {}, 32)
        dearer = torch.where(torch.from_numpy(table.type_of == conv), factor, 1.0)
        rows = ((evidence.work * cost[:-1]).sum(1) * dearer).numpy()
        evidence.latencies = torch.from_numpy(table.totals(rows, float(cost[-1])).astype(np.float32))
        fit_guess(network, evidence, work_sums(evidence, evidence.training), start, belief, 0.02)
        return network, evidence, torch.exp(network.log_cost.detach()).numpy()

    (_, evidence, before), (network, _, after) = costs(1.0), costs(4.0)
    of = {name: table.types.index(name) for name in ("convtrans", "se", "maxpool", "avgpool")}
    assert of["convtrans"] not in evidence.measured and of["se"] not in evidence.measured
    ratio = after[:, 0] / before[:, 0]  # of the cost of a multiply-add
    assert ratio[conv] > 3 and ratio[of["convtrans"]] > 1.5 and ratio[of["se"]] < 0.8 * ratio[of["convtrans"]]
    types = network.class_of
    for t in set(range(len(table.types) + 1)) - set(evidence.measured.tolist()):
        follows = network.log_rate + network.class_cost[types[t]]
        assert torch.allclose(network.log_cost[t], follows, atol=1e-6), "nothing but its class speaks for it"


def test_types_of_a_class_that_nobody_measured_are_one(scratch):
    """In the file that a whole training wrote: the same costs, the same bias, no network of their own."""
    loaded = read_predictor(scratch[0].predictor(), list(nn_meter.FEATURES), list(nn_meter.KERNEL_TYPES))
    network, compared = loaded.network, 0
    for names in CLASSES.values():
        types = [nn_meter.KERNEL_TYPES.index(name) for name in names]
        types = [t for t in types if t not in loaded.ranges.measured]
        for t in types:
            assert str(t) not in network.own
            assert torch.allclose(network.log_cost[t], network.log_cost[types[0]], atol=1e-5)
            assert torch.allclose(network.bias[t], network.bias[types[0]], atol=1e-5)
        compared += max(0, len(types) - 1)
    assert compared >= 4
    costs = network.log_cost.detach()
    movement, reduction = (nn_meter.KERNEL_TYPES.index(name) for name in ("gather", "norm"))
    assert not torch.allclose(costs[movement], costs[reduction], atol=1e-3), "classes differ"
