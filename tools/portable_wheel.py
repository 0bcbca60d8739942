"""usage: portable_wheel.py WHEEL FOLDER: writes into FOLDER the wheel that can be taken to other machines.

What pip builds is named after the one Python and the one machine it was built on. The portable one is named after the oldest
Python whose interface the extension uses and the oldest C library that it runs on (manylinux), and carries the shared
libraries that machines may lack, next to the extension, with their licences. The program has them within itself already
(static_program in meson_options.txt). Needs what tools/requirements/wheel.txt pins.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

PYTHON = "cp39"  # Py_LIMITED_API of python/meson.build
# what the extension or the program carries: the Debian package whose notice speaks of it
CARRIED = {"jansson": "libjansson4", "libyaml": "libyaml-0-2", "zlib": "zlib1g"}
NOTICES = Path("/usr/share/doc")


def run(*command):
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(f"portable_wheel: {' '.join(map(str, command))}: {done.stderr.strip() or done.stdout.strip()}")


def only(folder, pattern):
    (found,) = folder.glob(pattern)
    return found


def add_licences(folder):
    """Puts the notices of what is carried where pip keeps the package's own licence."""
    information = only(folder, "*.dist-info")
    metadata, lines = information / "METADATA", ""
    for name, package in CARRIED.items():
        notice = NOTICES / package / "copyright"
        if not notice.exists():
            print(f"portable_wheel: {notice} is not there: add the licence of {name} before you give the wheel away")
            continue
        (information / "licenses" / f"{name}.txt").write_bytes(notice.read_bytes())
        lines += f"License-File: {name}.txt\n"
    own = "License-File: LICENSE\n"
    metadata.write_text(metadata.read_text().replace(own, own + lines, 1))


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.splitlines()[0])
    wheel, out = Path(sys.argv[1]), Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run("wheel", "unpack", "-d", folder / "unpacked", wheel)
        content = only(folder / "unpacked", "*")
        add_licences(content)
        run("wheel", "pack", "-d", folder, content)
        run("wheel", "tags", "--python-tag", PYTHON, "--remove", only(folder, "*.whl"))
        run("auditwheel", "repair", "-w", folder / "portable", only(folder, "*.whl"))
        made = only(folder / "portable", "*.whl")
        out.mkdir(parents=True, exist_ok=True)
        (out / made.name).write_bytes(made.read_bytes())
        print(out / made.name)


main()
