"""Names of files."""

import os


def get_filename(path):
    """The last part of a path."""
    return os.path.basename(path)


def get_filename_without_ext(path):
    """The last part of a path without its ending."""
    return os.path.splitext(os.path.basename(path))[0]
