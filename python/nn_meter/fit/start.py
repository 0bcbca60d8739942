"""Where a calibration starts: any predictor of kind network, and one for phones that nobody has measured."""

from pathlib import Path

from .. import Predictor
from .errors import FitError

# The mean of the phones that were measured, from networks with one trunk (trunk.typical): what a phone is like of which
# nothing is known. It is no device, so it is in no list of predictors. tools/train/train.py --typical makes it.
TYPICAL_PHONE = "typical_phone"
TYPICAL_PHONE_FILE = Path(__file__).with_name("typical_phone.nnmeter")


def open_start(start):
    """The nn_meter.Predictor to start from. start: one, its name or path, TYPICAL_PHONE, or None, which stays None.

    Raises FitError, nn_meter.Error."""
    if start is None:
        return None
    if not isinstance(start, Predictor):
        start = Predictor(TYPICAL_PHONE_FILE if start == TYPICAL_PHONE else start)
    if start.kind != "network":
        raise FitError(
            f"{start.name}: is of kind {start.kind}, which cannot be calibrated; start from a built-in predictor or one that "
            "fit made"
        )
    return start
