"""The command line, as a function."""

from ...__main__ import main

__all__ = ["nn_meter_cli"]


def nn_meter_cli():
    """Runs nn-meter with the arguments of this process, in its place."""
    main()
