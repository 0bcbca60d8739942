"""Fusion rules, as a file says them."""

import json

CONDITIONS = ("MON",)


class RuleReader:
    """rule_file: path of a fusion_rules.json; None: no rules."""

    def __init__(self, rule_file=None):
        self.rules = {}
        if rule_file:
            with open(rule_file, encoding="utf-8") as file:
                self.rules = json.load(file)
        self.fusible = {
            tuple(name.split("_")[1:]): bool(rule["obey"])
            for name, rule in self.rules.items()
            if name.startswith("BF") and isinstance(rule, dict) and "obey" in rule
        }

    def is_fusible(self, node_type, outnode_type):
        """Whether the second operator may join a kernel behind the first; names as in the rules ("conv", "relu")."""
        return self.fusible.get((node_type, outnode_type), False)

    def query_rule(self, rule):
        """What a rule that is no pair says ("MON"); None when there is none."""
        return self.rules.get(rule, {}).get("obey")
