"""The devices whose predictors are shipped: a folder each below devices/."""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Folders of the shared data, with graphs.jsonl.xz and latency.csv. bench: whole networks of the public nn-Meter
# benchmark; phones: blocks of hybrid networks.
DATA_SETS = ("bench", "phones")


def facts_of(device):
    """What its device.json says."""
    return json.loads((ROOT / "devices" / device / "device.json").read_text(encoding="utf-8"))


def devices_of(*data_sets):
    """{name: title} of the devices that were measured on any of them, in alphabetic order."""
    names = sorted(path.parent.name for path in (ROOT / "devices").glob("*/device.json"))
    facts = {name: facts_of(name) for name in names}
    return {name: found["title"] for name, found in facts.items() if found["data_set"] in data_sets}
