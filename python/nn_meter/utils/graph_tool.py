"""A graph in nn-Meter's IR, to walk over and change: {node: {"attr": {"type", "attr", ...}, "inbounds", "outbounds"}}."""

import copy
import json
from pathlib import Path

from .utils import NumpyEncoder

__all__ = ["ModelGraph"]


def _without(names, gone):
    return [name for name in names if name not in gone]


class ModelGraph:
    """filename: a JSON file to read the graph from; graph: a dictionary, which is copied."""

    def __init__(self, filename=None, graph=None):
        if filename is not None:
            graph = json.loads(Path(filename).read_text(encoding="utf-8"))
        self.graph = copy.deepcopy(graph) if graph is not None else {}

    # ---- the whole graph

    def get_graph(self):
        return self.graph

    def node(self, name, inbound_nodes=None):
        """Adds a node behind others."""
        self.graph[name] = {}
        if inbound_nodes is not None:
            self.graph[name]["inbounds"] = list(inbound_nodes)
            for inbound in inbound_nodes:
                self.graph[inbound].setdefault("outbounds", []).append(name)

    def refresh(self):
        """Leaves out inbounds that are no nodes, then nodes without any edge; outbounds follow from the inbounds."""
        for entry in self.graph.values():
            entry["inbounds"] = [name for name in entry.get("inbounds", []) if name in self.graph]
            entry["outbounds"] = []
        for name, entry in self.graph.items():
            for inbound in entry["inbounds"]:
                if name not in self.graph[inbound]["outbounds"]:
                    self.graph[inbound]["outbounds"].append(name)
        for name in [name for name, entry in self.graph.items() if not entry["inbounds"] and not entry["outbounds"]]:
            del self.graph[name]

    def get_graph_head(self):
        """Names of the nodes that read no other."""
        return [name for name, entry in self.graph.items() if not entry.get("inbounds")]

    def get_graph_tail(self):
        """Names of the nodes that no other reads."""
        return [name for name, entry in self.graph.items() if not entry.get("outbounds")]

    def dump_json(self, filename):
        text = json.dumps(self.graph, cls=NumpyEncoder, sort_keys=True, indent=4)
        Path(filename).write_text(text, encoding="utf-8")

    # ---- one node

    def get_node_inbounds(self, name):
        return self.graph[name].get("inbounds", [])

    def get_node_outbounds(self, name):
        return self.graph[name].get("outbounds", [])

    def set_node_inbounds(self, name, inbounds):
        self.graph[name]["inbounds"] = inbounds

    def set_node_outbounds(self, name, outbounds):
        self.graph[name]["outbounds"] = outbounds

    def add_node_inbounds(self, name, inbound):
        self.graph[name].setdefault("inbounds", []).append(inbound)

    def add_node_outbounds(self, name, outbound):
        self.graph[name].setdefault("outbounds", []).append(outbound)

    def remove_node_inbounds(self, name, inbound):
        if inbound in self.get_node_inbounds(name):
            self.graph[name]["inbounds"].remove(inbound)

    def remove_node_outbounds(self, name, outbound):
        if outbound in self.get_node_outbounds(name):
            self.graph[name]["outbounds"].remove(outbound)

    def add_node_attr(self, name, attr_key, attr_value):
        self.graph[name].setdefault("attr", {}).setdefault("attr", {})[attr_key] = attr_value

    def set_node_attr(self, name, attr):
        self.graph[name]["attr"] = attr

    def get_node_attr(self, name):
        """What the node has under "attr"; None for a name that is no node."""
        return self.graph[name].get("attr") if name in self.graph else None

    def get_node_type(self, name):
        return self.graph[name].get("attr", {}).get("type")

    # ---- parts of the graph

    def get_root_node(self, subgraph):
        """The first of the named nodes that reads none of the others."""
        inside = set(subgraph)
        return next((name for name in subgraph if not inside & set(self.get_node_inbounds(name))), None)

    def fuse(self, subgraph, type, name=None, attr=None, is_block=True):
        """Replaces the named nodes by one; True.

        name: of the new node; None: the names, joined. attr: what it has, besides its type; None: the names of the nodes (a
        block), or what the first of them has (is_block=False)."""
        inside, root = set(subgraph), self.get_root_node(subgraph)
        name = name or ";".join(subgraph)
        if attr is None:
            attr = (
                {"attr": {"primitive_nodes": list(subgraph)}} if is_block else copy.deepcopy(self.get_node_attr(root))
            )
        before = [other for node in subgraph for other in self.get_node_inbounds(node) if other not in inside]
        behind = [other for node in subgraph for other in self.get_node_outbounds(node) if other not in inside]
        before, behind = list(dict.fromkeys(before)), list(dict.fromkeys(behind))
        for node in inside:
            del self.graph[node]
        for other in before:
            if other in self.graph:
                self.set_node_outbounds(other, _without(self.get_node_outbounds(other), inside) + [name])
        for other in behind:
            if other in self.graph:
                self.set_node_inbounds(other, _without(self.get_node_inbounds(other), inside) + [name])
        self.graph[name] = {"attr": {**attr, "type": type}, "inbounds": before, "outbounds": behind}
        return True

    def get_networkx_graph(self):
        """A networkx.MultiDiGraph; each node has "type" and "attr". Needs networkx."""
        import networkx

        graph = networkx.MultiDiGraph()
        for name in self.graph:
            attributes = self.get_node_attr(name) or {}
            graph.add_node(name, type=attributes.get("type"), attr=attributes.get("attr"))
        for name in self.graph:
            graph.add_edges_from((inbound, name) for inbound in self.get_node_inbounds(name))
        return graph

    def find_subgraphs(self, sub_graph, match_func):
        """[{node: node of sub_graph}] of the places where another ModelGraph is part of this one; match_func(attributes of a
        node here, of one there) says whether they may be the same. Needs networkx."""
        from networkx.algorithms.isomorphism import MultiDiGraphMatcher

        matcher = MultiDiGraphMatcher(self.get_networkx_graph(), sub_graph.get_networkx_graph(), node_match=match_func)
        return list(matcher.subgraph_isomorphisms_iter())

    get_subgraphs = find_subgraphs

    def find_weight_roots(self, layer_name):
        """(nodes in front of a layer that read nothing themselves, what they hold): its weights, where the graph has them."""
        roots = [name for name in self.get_node_inbounds(layer_name) if name in self.graph and self._is_weight(name)]
        return roots, [self.get_node_attr(name) for name in roots]

    def _is_weight(self, name):
        return not self.get_node_inbounds(name) and self.get_node_type(name) in ("Const", "Constant", "Identity")

    # ---- pictures

    def plot_graphs(self, comment="Network Graph View"):
        """A graphviz.Digraph. Needs graphviz."""
        from graphviz import Digraph

        picture = Digraph(comment=comment)
        for name in self.graph:
            picture.node(name, f"{name}\n{self.get_node_type(name)}")
            for inbound in self.get_node_inbounds(name):
                picture.edge(inbound, name)
        return picture

    def plot_networkx_graph(self):
        """Draws it. Needs networkx and matplotlib."""
        import matplotlib.pyplot
        import networkx

        networkx.draw(self.get_networkx_graph(), with_labels=True)
        matplotlib.pyplot.show()
