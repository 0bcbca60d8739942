"""What nn_meter.fit refuses."""

from .. import Error

MOST_FAULTS = 10


class FitError(Error):
    """Measurements or models that cannot be learned from. The text has one line for each fault: what, where, remedy.

    faults: those lines, all of them (the text stops after ten).
    """

    def __init__(self, *faults):
        shown = list(faults[:MOST_FAULTS])
        if len(faults) > MOST_FAULTS:
            shown.append(f"and {len(faults) - MOST_FAULTS} more faults like these")
        super().__init__("\n".join(shown))
        self.faults = faults
        self.status, self.file, self.place, self.message = "argument", "", "", str(self)

    def __reduce__(self):
        return FitError, self.faults


class MissingPackage(FitError, ImportError):
    """torch, numpy or matplotlib is not there."""


def needed(fault):
    """The MissingPackage for an ImportError of one of them; other ImportErrors as they are."""
    package = (getattr(fault, "name", None) or "").partition(".")[0]
    if package in ("torch", "numpy", "matplotlib"):
        return MissingPackage(f"{package} is missing; pip install 'nn-meter[fit]'")
    return fault


def some(names, most=3):
    """ "a, b, c and 5 more" """
    names = sorted(names)
    listed = ", ".join(names[:most])
    return listed if len(names) <= most else f"{listed} and {len(names) - most} more"
