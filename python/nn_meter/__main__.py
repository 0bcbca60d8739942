"""python -m nn_meter: the command line, which is a program of its own."""

import os
import shutil
import sys
import sysconfig


def program():
    """Path of the nn-meter that was installed with this package; None when there is none."""
    folders = [sysconfig.get_path("scripts"), os.path.dirname(sys.executable)]
    folders += [sysconfig.get_path("scripts", scheme) for scheme in (f"{os.name}_user",)]
    for folder in folders:
        path = os.path.join(folder, "nn-meter")
        if os.access(path, os.X_OK):
            return path
    return shutil.which("nn-meter")


def main():
    path = program()
    if not path:
        sys.exit("nn-meter: the program is not installed beside this package; pip install --force-reinstall nn-meter")
    os.execv(path, ["nn-meter", *sys.argv[1:]])


if __name__ == "__main__":
    main()
