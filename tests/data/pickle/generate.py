"""Writes the pickles of this folder. y_NAME.pkl must be read, and predict y_NAME.rows; n_NAME.pkl must be refused with a
message that holds the text of n_NAME.message.

    python generate.py forged    numpy only: what versions of scikit-learn write that have no wheel for today's Python,
                                 other machines' layouts, damaged forests and attacks
    python generate.py real      with a scikit-learn (1.1 to 1.7): what it writes, in every protocol

Forged forests are stand-in classes under scikit-learn's module names; their layout follows scikit-learn's Tree: arguments
(n_features, n_classes, n_outputs), state {max_depth, node_count, nodes, values}; before 1.3 nodes have no
missing_go_to_left, before 1.0 a forest says n_features_ and not n_features_in_.
"""

import functools
import pickle
import struct
import sys
import types
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROWS = [[7, 3], [56, 64], [112, 64.5], [224, 1024], [28, 1e6]]


def write_rows(name, predict):
    lines = [" ".join(f"{x:.17g}" for x in row) + f" : {float(predict(row)).hex()}" for row in ROWS]
    (HERE / f"y_{name}.rows").write_text("\n".join(lines) + "\n")


# ------------------------------------------------------------------ what scikit-learn itself writes


def real():
    import sklearn
    from sklearn.ensemble import RandomForestRegressor

    random = np.random.default_rng(1)
    x = np.column_stack([random.choice([7, 14, 28, 56, 112, 224], 60), random.integers(1, 1024, 60)])
    forest = RandomForestRegressor(n_estimators=3, max_depth=3, random_state=10)
    forest.fit(x, x[:, 0] * x[:, 1] * 1e-3 + random.random(60))
    every = sklearn.__version__.startswith(("1.2.", "1.7."))
    for protocol in range(6) if every else [4]:
        name = f"sklearn_{sklearn.__version__}_protocol_{protocol}"
        (HERE / f"y_{name}.pkl").write_bytes(pickle.dumps(forest, protocol=protocol))
        write_rows(name, lambda row: forest.predict(np.array([row]))[0])


# ------------------------------------------------------------------ stand-ins


@functools.cache
def stand_in(module, name, base=object):
    """A class that pickles as module.name."""
    parts = module.split(".")
    for i in range(len(parts)):
        sys.modules.setdefault(".".join(parts[: i + 1]), types.ModuleType(".".join(parts[: i + 1])))
    made = type(name, (base,), {"__module__": module, "__qualname__": name})
    setattr(sys.modules[module], name, made)
    return made


class TreeData:
    def __reduce__(self):
        return type(self), self.arguments, self.state


NODE_7 = [("left_child", "i8"), ("right_child", "i8"), ("feature", "i8"), ("threshold", "f8"), ("impurity", "f8")]
NODE_7 += [("n_node_samples", "i8"), ("weighted_n_node_samples", "f8")]
NODE_8 = [*NODE_7, ("missing_go_to_left", "u1")]

# left, right, feature, threshold, value; preorder as scikit-learn's depth-first builder makes it
TREES = [
    [(1, 4, 0, 70.0, 5.0), (2, 3, 1, 64.25, 2.0), (-1, -1, -2, -2, 1.5), (-1, -1, -2, -2, 2.5), (-1, -1, -2, -2, 9.1)],
    [(-1, -1, -2, -2, 3.3)],
    [(1, 2, 1, 0.1, 5.0), (-1, -1, -2, -2, 0.7), (3, 4, 0, 1e-300, 1), (-1, -1, -2, -2, 4), (-1, -1, -2, -2, 1e9 / 3)],
]
# right children before left ones, as the best-first builder makes them
BEST_FIRST = [[(2, 1, 0, 70.0, 5.0), (-1, -1, -2, -2, 9.1), (-1, -1, -2, -2, 1.5)]]


def walk(tree, row):
    at = 0
    while tree[at][0] != -1:
        at = tree[at][0] if np.float32(row[tree[at][2]]) <= tree[at][3] else tree[at][1]
    return tree[at][4]


def predict(trees, row):
    total = 0.0
    for tree in trees:
        total += walk(tree, row)
    return total / len(trees)


def node_table(tree, fields, order, integer):
    fields = [(name, order + (integer if kind == "i8" else kind)) for name, kind in fields]
    table = np.zeros(len(tree), dtype=np.dtype(fields, align=True))
    for i, (left, right, feature, threshold, _) in enumerate(tree):
        for name, value in zip(
            ("left_child", "right_child", "feature", "threshold"), (left, right, feature, threshold)
        ):
            table[name][i] = value
    return table


def forge(
    trees,
    fields=NODE_8,
    order="<",
    integer="i8",
    packages=("sklearn.ensemble._forest", "sklearn.tree._classes"),
    feature_key="n_features_in_",
    features=2,
    outputs=1,
    change=None,
    name="RandomForestRegressor",
    **extra,
):
    """A forest of stand-ins. change(state) may spoil each tree's state before it is pickled."""
    forest_class = stand_in(packages[0], name)
    tree_class = stand_in(packages[1], "DecisionTreeRegressor")
    data_class = stand_in("sklearn.tree._tree", "Tree", TreeData)
    forest = forest_class()
    forest.__dict__.update(
        {"n_estimators": len(trees), feature_key: features, "n_outputs_": outputs, "criterion": "mse"}
    )
    forest.estimators_ = []
    for tree in trees:
        data = data_class()
        data.arguments = (features, np.ones(outputs, dtype=order + integer), outputs)
        values = np.array([[[node[4]]] * outputs for node in tree], dtype=order + "f8")
        data.state = {"max_depth": 3, "node_count": len(tree), "nodes": node_table(tree, fields, order, integer)}
        data.state["values"] = values.reshape(len(tree), outputs, 1)
        if change:
            change(data.state)
        estimator = tree_class()
        estimator.__dict__.update({"criterion": "mse", feature_key: features, "tree_": data})
        forest.estimators_.append(estimator)
    forest.__dict__.update(extra)
    forest._sklearn_version = "0.23.2"
    return forest


def accept(name, trees=TREES, protocol=4, **options):
    (HERE / f"y_{name}.pkl").write_bytes(pickle.dumps(forge(trees, **options), protocol=protocol))
    write_rows(name, lambda row: predict(trees, row))


def refuse(name, content, message, protocol=4):
    if not isinstance(content, bytes):
        content = pickle.dumps(content, protocol=protocol)
    (HERE / f"n_{name}.pkl").write_bytes(content)
    (HERE / f"n_{name}.message").write_text(message + "\n")


# ------------------------------------------------------------------ forged files


class Call:
    """Pickles as a call of a function: what an attacker writes."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def layouts():
    old = {"fields": NODE_7, "feature_key": "n_features_"}
    for protocol in range(2, 6):
        accept(f"sklearn_0.23_protocol_{protocol}", protocol=protocol, **old)
    accept("sklearn_0.21_modules", packages=("sklearn.ensemble.forest", "sklearn.tree.tree"), **old)
    accept("sklearn_1.3_layout")
    accept("big_endian", order=">")
    accept("32_bit_integers", integer="i4", **old)
    accept("best_first", trees=BEST_FIRST)
    accept("single_leaves", trees=[[(-1, -1, -2, -2, 0.1)], [(-1, -1, -2, -2, 0.2)]])
    accept("numpy_scalars", n_outputs_=np.int64(1), oob_score_=np.float64(0.5), features=np.int32(2))
    accept("column_names", feature_names_in_=np.array(["hw", "cin"], dtype=object))


def spoil(column, index, value):
    def change(state):
        state["nodes"][column][index] = value

    return change


def set_value(value):
    def change(state):
        state["values"][0 if len(state["values"]) == 1 else 2] = value

    return change


def put(**state):
    return lambda old: old.update(state)


def damaged_forests():
    one = TREES[:1]
    refuse("untrained", forge([]), "random forest without trees")
    refuse(
        "classifier",
        forge(one, name="RandomForestClassifier"),
        "asks to run sklearn.ensemble._forest.RandomForestClassifier",
    )
    refuse("single_tree", forge(one).estimators_[0], "holds no RandomForestRegressor")
    refuse("two_outputs", forge(one, outputs=2), "predicts several numbers")
    refuse("no_features", forge(one, features=0), "has no features, or more than 64")
    refuse("child_outside", forge(one, change=spoil("left_child", 0, 5)), "child does not exist")
    refuse("child_negative", forge(one, change=spoil("right_child", 0, -7)), "child does not exist")
    refuse("circle", forge(one, change=spoil("left_child", 1, 0)), "turns in a circle")
    refuse("own_child", forge(one, change=spoil("left_child", 0, 0)), "turns in a circle")
    refuse("shared_child", forge(one, change=spoil("right_child", 0, 1)), "share a child")
    refuse("feature_outside", forge(one, change=spoil("feature", 0, 2)), "feature that does not exist")
    refuse("feature_negative", forge(one, change=spoil("feature", 0, -2)), "feature that does not exist")
    refuse("threshold_nan", forge(one, change=spoil("threshold", 0, np.nan)), "threshold is no number")
    refuse("leaf_nan", forge(one, change=set_value(np.nan)), "latency is no number")
    refuse("leaf_infinite", forge(one, change=set_value(np.inf)), "latency is no number")
    refuse("fewer_values", forge(one, change=put(values=np.zeros((3, 1, 1)))), "not one value for each")
    refuse("integer_values", forge(one, change=put(values=np.zeros((5, 1, 1), "i8"))), "its values are no numbers")
    refuse("text_for_nodes", forge(one, change=put(nodes="nodes")), "are no numpy arrays")
    refuse("plain_nodes", forge(one, change=put(nodes=np.zeros(5))), "other columns than scikit-learn's")
    refuse("other_columns", forge(one, change=put(nodes=np.zeros(5, dtype=[("left", "i8")]))), "other columns")
    other = forge(one)
    other.estimators_.append(forge(one, features=3).estimators_[0])
    refuse("mixed_features", other, "another number of features than the first tree")
    repeated = forge(one)
    repeated.estimators_ *= 500
    refuse("repeated_tree", repeated, "trees are repeated")
    listed = forge(one)
    listed.estimators_ = [1, 2]
    refuse("numbers_for_trees", listed, "is no DecisionTreeRegressor")
    good = pickle.dumps(forge(one), protocol=4)
    refuse("cut_short", good[: len(good) // 2], "the pickle is damaged")
    bytes_at = good.index(struct.pack("<d", 70.0))
    refuse("shifted", good[:bytes_at] + good[bytes_at + 1 :], "the pickle is damaged")
    old = pickle.dumps(forge(one), protocol=2)
    refuse("not_latin1", old.replace("\u0080Q".encode(), "\u1000".encode()), "has not the bytes")


def attacks():
    import posix
    import subprocess

    command = "touch pickle_was_run"
    refuse(
        "posix_system",
        Call(posix.system, command),
        "asks to run posix.system; that is no part of a scikit-learn forest",
    )
    refuse("posix_system_text", Call(posix.system, command), "asks to run posix.system", protocol=0)
    refuse("eval", Call(eval, "1"), "asks to run builtins.eval")
    refuse("eval_python_2", Call(eval, "1"), "asks to run __builtin__.eval", protocol=2)
    refuse("subprocess", Call(subprocess.Popen, [command]), "asks to run subprocess.Popen")
    refuse("inside_a_forest", forge(TREES[:1], extra=Call(posix.system, command)), "asks to run posix.system")
    refuse(
        "as_instance",
        b"(S'" + command.encode() + b"'\niposix\nsystem\n.",
        "uses an operation that only Python 2 writes",
    )
    refuse("as_instance_only", b"(iposix\nsystem\n.", "asks to run posix.system")
    refuse("strange_name", b"cos\x1b[31m\nsys\xfftem\n.", "asks to run os?[31m.sys?tem")
    refuse("long_name", b"c" + b"a" * 5000 + b"\n" + b"b" * 5000 + b"\n.", "asks to run aaaa")
    refuse("getattr", Call(getattr, "x", "upper"), "asks to run builtins.getattr")
    refuse(
        "linear_model", stand_in("sklearn.linear_model._base", "LinearRegression")(), "only RandomForestRegressor can"
    )
    refuse("joblib", stand_in("joblib.numpy_pickle", "NumpyArrayWrapper")(), "load it with joblib")
    refuse("persistent_id", b"Pmodel\n.", "refers to something outside of the pickle")
    refuse("persistent_id_binary", b"\x80\x02K\x01Q.", "refers to something outside of the pickle")
    refuse("extension", b"\x80\x02\x82\x01.", "refers to something outside of the pickle")
    refuse("out_of_band", b"\x80\x05\x97.", "refers to something outside of the pickle")
    refuse("call_of_a_text", b"\x80\x02X\x01\x00\x00\x00a)R.", "a value of another kind")


def bombs():
    refuse("doubling", b"\x80\x04)" + b"2\x86" * 2000 + b".", "holds no RandomForestRegressor")
    refuse("huge_integer", b"\x80\x04\x8b\xff\xff\xff\x7f.", "claims more bytes than the file has")
    refuse("negative_integer", b"\x80\x04\x8b\xff\xff\xff\xff.", "claims more bytes than the file has")
    refuse("huge_bytes", b"\x80\x04\x8e" + b"\xff" * 8 + b".", "claims more bytes than the file has")
    refuse("huge_text", b"\x80\x04\x8d" + b"\x00" * 7 + b"\x80.", "claims more bytes than the file has")
    refuse("huge_frame", b"\x80\x04\x95" + b"\xff" * 8 + b"N.", "ends too early")
    refuse("huge_memo", b"\x80\x04Nr\xff\xff\xff\xff.", "a memo number is too high")
    refuse("huge_memo_text", b"Np99999999999\n.", "a memo number is too high")
    refuse("memo_overflow", b"Np99999999999999999999999\n.", "a memo number is no number")
    refuse("memo_missing", b"\x80\x04h\x07.", "never put there")
    refuse("own_list", b"\x80\x04]\x94h\x00a.", "holds no RandomForestRegressor")
    refuse("own_state", b"\x80\x04csklearn.ensemble._forest\nRandomForestRegressor\n)\x81\x94h\x00b.", "without trees")
    refuse("underflow", b"\x80\x040.", "empty stack")
    refuse("underflow_mark", b"\x80\x04N(\x85.", "empty stack")
    refuse("no_mark", b"\x80\x04Nt.", "mark that was never set")
    refuse("odd_dict", b"\x80\x04}(Nu.", "a key without a value")
    refuse("left_behind", b"\x80\x04NN.", "leaves values behind")
    refuse("no_end", b"\x80\x04N", "ends too early")
    refuse("empty", b"", "ends too early")
    refuse("protocol_6", b"\x80\x06N.", "protocol above 5")
    refuse("gzip", b"\x1f\x8b\x08\x00", "is no operation of a pickle")
    refuse("python_2", b"U\x01a.", "only Python 2 writes")


if __name__ == "__main__":
    if sys.argv[1:] == ["real"]:
        real()
    elif sys.argv[1:] == ["forged"]:
        layouts()
        damaged_forests()
        attacks()
        bombs()
    else:
        sys.exit(__doc__)
