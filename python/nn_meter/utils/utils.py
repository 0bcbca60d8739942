"""JSON of arrays, and downloads."""

import json
import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from .._core import Error, download
from ..errors import fault

TIMEOUT_SECONDS = 30
LARGEST_ARCHIVE = 4 << 30  # bytes, packed and unpacked
MOST_FILES = 100_000


class NumpyEncoder(json.JSONEncoder):
    """Also arrays and bytes: lists and texts."""

    def default(self, obj):
        if isinstance(obj, bytes):
            return obj.decode("utf-8", "replace")
        if hasattr(obj, "tolist"):
            return obj.tolist()
        return super().default(obj)


def _show(done, total):
    if total:
        print(f"\r{100 * done // total:3} % of {total >> 20} MB", end="", file=sys.stderr)


def _download(url, own, allow_http):
    """The file that holds it: `own`, an empty one, or another; the library's way of downloading, as for predictors."""
    is_terminal = sys.stderr.isatty()
    try:
        progress = _show if is_terminal else None
        held = download(url, own.fileno(), LARGEST_ARCHIVE, TIMEOUT_SECONDS, allow_http, progress)
    finally:
        if is_terminal:
            print(file=sys.stderr)
    return own if held == own.fileno() else os.fdopen(held, "rb")


def _check(archive):
    """Nothing that leads out of the folder, no links, no bombs."""
    entries = archive.infolist()
    if len(entries) > MOST_FILES or sum(entry.file_size for entry in entries) > LARGEST_ARCHIVE:
        raise ValueError("holds more than any data set of nn-Meter")
    for entry in entries:
        parts = Path(entry.filename.replace("\\", "/")).parts
        is_link = (entry.external_attr >> 28) == 0o12
        if entry.filename.startswith(("/", "\\")) or ".." in parts or ":" in entry.filename or is_link:
            raise ValueError(f"holds '{entry.filename}', which does not belong into a folder of its own")


def _unpack(file, temporary, folder):
    """Here, not in the library: that takes the files of a predictor out of an archive and no others."""
    unpacked = os.path.join(temporary, "unpacked")
    with zipfile.ZipFile(file) as archive:
        _check(archive)
        archive.extractall(unpacked)
    for name in os.listdir(unpacked):
        target = folder / name
        if target.is_dir():
            shutil.copytree(os.path.join(unpacked, name), target, dirs_exist_ok=True)
        else:
            os.replace(os.path.join(unpacked, name), target)


def download_from_url(urladdr, ppath, *, allow_http=False):
    """Downloads an archive and unpacks it into the folder `ppath`, all of it or nothing. A download that breaks off goes on
    where it stopped, in a later call too.

    allow_http: also plain http, which this machine itself may be asked by in any case. Raises nn_meter.Error."""
    folder = Path(ppath)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = tempfile.mkdtemp(prefix=".download.", dir=folder)
    try:
        with tempfile.TemporaryFile(dir=temporary) as own, _download(urladdr, own, allow_http) as file:
            _unpack(file, temporary, folder)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, Error) as error:
        why, status = getattr(error, "message", error), getattr(error, "status", "io")
        raise fault(
            Error, status, f"{urladdr}: cannot be downloaded: {why}; or unpack it into {ppath} yourself"
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
