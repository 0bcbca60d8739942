"""The searches of examples/search run to the end; short, as a search they are worth nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "search"


@pytest.mark.parametrize(
    ("script", "options", "expected"),
    [
        ("spos.py", ["--epochs", "3", "--judged", "4"], "1000000 candidates:"),
        ("proxyless.py", ["--epochs", "2"], "expected latency at the start"),
    ],
)
def test_runs_and_draws(script, options, expected, tmp_path):
    picture = tmp_path / "picture.png"
    command = [sys.executable, EXAMPLES / script, *options, "--output", picture]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout and "chosen [" in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
