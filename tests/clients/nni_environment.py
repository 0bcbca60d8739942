"""Where NNI 3.0 is installed for the tests, and running something there."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".venv-nni"


def run(python, *arguments, **environment):
    done = subprocess.run(
        [python, *arguments], capture_output=True, text=True, env={**os.environ, **environment}, timeout=900
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done
