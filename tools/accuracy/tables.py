"""Tables of docs/accuracy.md and of the cards, from what protocol.py, baselines.py and choose_rules.py measured."""

import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from devices import DATA_SETS, devices_of  # noqa: E402

DEVICES = devices_of("bench")
PHONES = devices_of("phones")
ALL = devices_of(*DATA_SETS)
TRUNKS = {"phones": "the four phones", "bench and phones": "all eight"}
BASELINES = {
    "flops": "FLOPs, a FLOPs^b",
    "flops_bytes": "FLOPs and bytes, linear",
    "boosted_trees": "boosted trees on whole-model features (LightGBM)",
    "graph_network": "graph network over operators",
}


def mean_of(families, *path):
    values = []
    for family in families.values():
        for key in path:
            family = family[key]
        values.append(family)
    return statistics.fmean(values)


def share(found):
    return f"{found['within_10']:.1f} % ({found['within_5']:.1f} %)"


def mean_share(families, *path):
    return f"{mean_of(families, *path, 'within_10'):.1f} % ({mean_of(families, *path, 'within_5'):.1f} %)"


def left_out_tables(left_out, devices):
    kinds = (("before",), ("after_10", "random"), ("after_10", "suggested"))
    text = "| device | never seen | ten random models | ten chosen models |\n|---|---:|---:|---:|\n"
    for device, title in devices.items():
        cells = [mean_share(left_out[device], *kind) for kind in kinds]
        text += f"| {title} | {' | '.join(cells)} |\n"
    for device, title in devices.items():
        text += (
            f"\n{title}, by family:\n\n| family | never seen | median bias | ten random models | ten chosen models |\n"
        )
        text += "|---|---:|---:|---:|---:|\n"
        for family, found in sorted(left_out[device].items()):
            before, after = found["before"], found["after_10"]
            text += (
                f"| {family} | {share(before)} | {before['bias']:+.1f} % | "
                f"{share(after['random'])} | {share(after['suggested'])} |\n"
            )
    return text


def few_shot_rows(name, counts):
    text = ""
    for count, found in sorted(counts.items(), key=lambda item: int(item[0])):
        chosen, drawn = found["suggested"], found["random"]
        text += f"| {name} | {count} | {share(chosen)} | {share(drawn)} | {drawn['worst_within_10']:.1f} % |\n"
    return text


def protocol_tables(results):
    """Families left out, and other devices (protocol.py)."""
    left_out = results["left_out"]
    text = (
        "\n## Families never seen\n\n"
        "One family left out of training entirely, for each family in turn; then the same predictor calibrated by ten of "
        "the family's models, drawn at random (mean of five draws) or chosen as `nn-meter fit --suggest` chooses. Models "
        "within ±10 % (±5 %), mean over the families. These predictors are trained with fewer turns than the shipped "
        "ones.\n\n"
    )
    text += left_out_tables(left_out, DEVICES) + interval_table(left_out) + beyond_table(left_out)
    text += (
        "\n## Devices never seen\n\nA shipped predictor calibrated to another device by few of its measurements, judged on the "
        "other device's fifth kept aside; models within ±10 % (±5 %).\n\n"
        "| from | to | models | chosen by --suggest | drawn at random, mean of five | worst draw |\n"
        "|---|---|---:|---:|---:|---:|\n"
    )
    for name, counts in results["moved"].items():
        text += few_shot_rows("`" + name.replace(" to ", "` | `") + "`", counts)
    return text + trunk_tables(results) + seed_table(results["seed"], results["agreement"])


def trunk_tables(results):
    """One trunk, many devices."""
    text = (
        "\n### One trunk for several devices\n\nThe hidden layers of the networks learned from several devices at once, costs and "
        "last layers from each alone (`nn_meter.fit.trunk`), beside the shipped predictors, which have all to themselves; "
        "the eight with about half as many turns. Models and blocks kept aside within ±10 % (±5 %).\n\n"
        f"| device | alone | {' | '.join(TRUNKS.values())} |\n|---|---:|{'---:|' * len(TRUNKS)}\n"
    )
    for device, title in ALL.items():
        cells = [results["together"][key].get(device) for key in TRUNKS]
        if any(cells):
            cells = [share(results["agreement"][device])] + [share(cell) if cell else "" for cell in cells]
            text += f"| {title} | {' | '.join(cells)} |\n"
    text += (
        "\nA phone never seen: the typical one of the three others (the mean of what they differ in), calibrated by few of its "
        "blocks.\n\n| to | blocks | chosen by --suggest | drawn at random, mean of five | worst draw |\n"
        "|---|---:|---:|---:|---:|\n"
    )
    return text + "".join(few_shot_rows(PHONES[device], counts) for device, counts in results["trunk"].items())


def phone_tables(results):
    """Blocks of a family never seen, and how the phones' measurements drift."""
    text = "\n### Families of blocks never seen\n\nAs for networks. firstconv has too few blocks to be judged.\n\n"
    text += left_out_tables(results["left_out"], PHONES)
    text += (
        "\n### Measurements that drift\n\nHow alike neighbours in the order of measuring are off (correlation of what "
        "predictions leave), and how good the predictions are apart from that: each corrected by what its nearest neighbours, "
        "which training saw, are off by. A network has no such neighbours, so these are no figures of the predictor: "
        "they tell what of its error is the measurement's.\n\n"
        "| phone | neighbours | slower than predicted by 6 % and more | ±10 % (±5 %) apart from the drift |\n|---|---:|---:|---:|\n"
    )
    for device, title in PHONES.items():
        found = results["drift"][device]
        text += f"| {title} | {found['neighbours']:.2f} | {found['slow']:.1f} % | {share(found)} |\n"
    return text


def interval_table(left_out):
    text = (
        "\nThe 90 % interval for a family never seen: how often it covers the measurement, as it is and without being "
        "widened for what lies outside of the measured range, mean over the families.\n\n"
        "| device | as it is | not widened |\n|---|---:|---:|\n"
    )
    for device, title in ALL.items():
        cells = [mean_of(left_out[device], "interval", key) for key in ("covered", "covered_without_doubt")]
        text += f"| {title} | {cells[0]:.1f} % | {cells[1]:.1f} % |\n"
    return text


def beyond_table(left_out):
    """protocol.EXCESS"""
    text = (
        "\nHow far beyond the measured range a prediction is still right: the models of families never seen that are not judged "
        "(from these the tolerance of `--strict` and of the coverage was chosen, a factor of 1.5), by the farthest of their "
        "kernels that carry 2 % of the latency; share of models within ±10 %.\n\n"
        "| device | inside | up to a factor of 1.1 | 1.5 | 2.2 | farther, or a type never measured |\n"
        "|---|---:|---:|---:|---:|---:|\n"
    )
    for device, title in ALL.items():
        bins = [
            [sum(column) for column in zip(*rows)] for rows in zip(*(f["beyond"] for f in left_out[device].values()))
        ]
        cells = [f"{100 * right / count:.1f} % of {count:,}" if count else "no model" for count, right in bins]
        text += f"| {title} | {' | '.join(cells)} |\n"
    return text


def seed_table(seeds, agreement):
    text = (
        "\n## Single kernels\n\nThe shipped predictor beside one trained from another seed: how far the latencies of single "
        "kernels differ, of those kernels that carry 95 % of all latency; and the largest difference "
        "between the C library and torch over all models and blocks.\n\n"
        "| device | kernels | median difference | nine of ten within | other seed: ±10 % (±5 %) | C and torch |\n"
        "|---|---:|---:|---:|---:|---:|\n"
    )
    for device, title in ALL.items():
        found, other = seeds[device], seeds[device]["other_seed"]
        text += (
            f"| {title} | {found['kernels']:,} | {found['median_spread']:.1f} % | {found['spread_90']:.1f} % | "
            f"{other['within_10']:.1f} % ({other['within_5']:.1f} %) | {agreement[device]['largest']:.1e} |\n"
        )
    return text


def baseline_table(baselines, judged, protocol):
    """judged: {device: {"all": figures of the shipped predictor}}."""
    text = (
        "\n## What one would take instead\n\nThe same models, the same splits (`tools/accuracy/baselines.py`): models within "
        "±10 % (±5 %), all families known, and mean over the families of each left out entirely. All "
        "learn from 4,000 models of the others when a family is left out.\n\n"
        "| device | method | known families | family never seen |\n|---|---|---:|---:|\n"
    )
    for device, title in DEVICES.items():
        for name, method in BASELINES.items():
            known, unseen = (baselines[device][name][split] for split in ("random", "left_out"))
            text += f"| {title} | {method} | {known['within_10']:.1f} % ({known['within_5']:.1f} %) | "
            text += f"{unseen['within_10']:.1f} % ({unseen['within_5']:.1f} %) |\n"
        ours, left_out = judged[device]["all"], protocol["left_out"][device]
        text += f"| {title} | **this** | {ours['within_10']:.1f} % ({ours['within_5']:.1f} %) | "
        text += (
            f"{mean_of(left_out, 'before', 'within_10'):.1f} % ({mean_of(left_out, 'before', 'within_5'):.1f} %) |\n"
        )
    return text


def rule_table(evidence):
    """Of a card: what speaks for each fusion rule (choose_rules.py)."""
    text = (
        "What each rule is worth (`tools/train/choose_rules.py`): the mean error, in percent of the logarithm, on the family "
        "whose kernels the rule changes most, left out of a short training. Rules about pairs that no measured model "
        "has are as the early official rules say. In brackets what decided where "
        "these errors alone did not: long trainings on all models (`choose_rules.py --confirm`), other phones.\n\n"
        "| rule | obeyed | family | error when obeyed | error when not |\n|---|---|---|---:|---:|\n"
    )
    for row in evidence:
        said = ("yes" if row["obey"] else "no") + (", changed" if row["changed"] else "")
        said += f" ({row['note']})" if "note" in row else ""
        text += (
            f"| {row['rule']} | {said} | {row['family']} | {row['error_obeyed']:.2f} | {row['error_ignored']:.2f} |\n"
        )
    return text
