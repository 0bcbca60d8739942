"""No memory is kept: 100,000 predictions of every kind, and what else makes and frees objects of the library.

Where tools/test_sanitized.sh runs this, the same loop, shorter, under LeakSanitizer, which counts each byte.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

LOOP = Path(__file__).with_name("repeat.py")
PREDICTIONS = 17_000  # of each of the six kinds that always predict
LEAST_LEAK = 40  # bytes per prediction
SANITIZED = "libasan" in os.environ.get("LD_PRELOAD", "")


def small_model():
    def tensor(name, dims):
        return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, dims)

    nodes = [
        onnx.helper.make_node("Conv", ["x", "w"], ["a"], name="conv", kernel_shape=[3, 3]),
        onnx.helper.make_node("Relu", ["a"], ["b"], name="relu"),
        onnx.helper.make_node("GlobalAveragePool", ["b"], ["y"], name="pool"),
    ]
    inputs = [tensor("x", [1, 3, 32, 32]), tensor("w", [8, 3, 3, 3])]
    graph = onnx.helper.make_graph(nodes, "small", inputs, [tensor("y", None)])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])


@pytest.fixture
def folder(tmp_path):
    onnx.save(small_model(), tmp_path / "small.onnx")
    return tmp_path


def run_loop(folder, count, *more, **environment):
    environment = {**os.environ, "NN_METER_HOME": str(folder), **environment}
    loop = [sys.executable, LOOP, folder, str(count), str(LEAST_LEAK), *more]
    done = subprocess.run(loop, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(SANITIZED or not Path("/proc/self/statm").exists(), reason="resident memory says nothing here")
def test_a_hundred_thousand_predictions_keep_no_memory(folder):
    growth = run_loop(folder, PREDICTIONS, "search", MALLOC_ARENA_MAX="2")  # each new thread may begin an arena
    assert len(growth) == 13
    assert not {kind: bytes for kind, bytes in growth.items() if bytes > LEAST_LEAK}, f"bytes per prediction: {growth}"


@pytest.mark.skipif(not SANITIZED, reason="runs where tools/test_sanitized.sh has preloaded the sanitizer")
def test_not_a_byte_is_lost(folder):
    alone = {**os.environ, "ASAN_OPTIONS": "detect_leaks=1"}
    if subprocess.run([sys.executable, "-c", "import json"], capture_output=True, check=False, env=alone).returncode:
        pytest.skip(
            "this Python frees not all of its own memory when it ends (3.12 and later do not): nothing to compare"
        )
    run_loop(folder, 100, ASAN_OPTIONS=os.environ["ASAN_OPTIONS"].replace("detect_leaks=0", "detect_leaks=1"))
