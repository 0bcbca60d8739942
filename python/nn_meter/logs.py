"""The logger "nn-Meter" and its two levels, as nn-Meter 2.0 set them up: messages go to standard output, one line each."""

import logging
import sys

KEYINFO, RESULT = 22, 25

logger = logging.getLogger("nn-Meter")


class StandardOutput(logging.StreamHandler):
    """Writes to what sys.stdout is at that time, so that a redirection is followed."""

    def __init__(self):
        logging.Handler.__init__(self)

    @property
    def stream(self):
        return sys.stdout


def _level_method(level):
    def log(self, message, *args, **options):
        if self.isEnabledFor(level):
            self._log(level, message, args, **options)

    return log


def _level_function(level):
    def log(message, *args, **options):
        logging.log(level, message, *args, **options)

    return log


def _add_level(level, name):
    logging.addLevelName(level, name)
    method = name.lower()
    if not hasattr(logging, method):
        setattr(logging, method, _level_function(level))
        setattr(logging.getLoggerClass(), method, _level_method(level))


def _set_up():
    _add_level(KEYINFO, "KEYINFO")
    _add_level(RESULT, "RESULT")
    handler = StandardOutput()
    handler.setFormatter(logging.Formatter("(nn-Meter) %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    return handler


handler = _set_up()
