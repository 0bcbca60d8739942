"""Other interpreters of Python."""

import subprocess


def get_pyver(interpreter_path):
    """The version of an interpreter, "3.11"."""
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run([interpreter_path, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
