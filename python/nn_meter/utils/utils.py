"""JSON of arrays, and downloads."""

import json
import os
import shutil
import sys
import tempfile
import urllib.request
import zipfile
from pathlib import Path

from .._core import Error
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


def _download(url, file):
    done = 0
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:
        size = int(answer.headers.get("Content-Length") or 0)
        while piece := answer.read(1 << 20):
            done += len(piece)
            if done > LARGEST_ARCHIVE:
                raise ValueError(f"is larger than {LARGEST_ARCHIVE >> 30} GiB")
            file.write(piece)
            if sys.stderr.isatty() and size:
                print(f"\r{100 * done // size:3} % of {size >> 20} MB", end="", file=sys.stderr)
    if sys.stderr.isatty() and size:
        print(file=sys.stderr)
    if size and done != size:
        raise ValueError(f"ended after {done} of {size} bytes")


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


def download_from_url(urladdr, ppath):
    """Downloads an archive and unpacks it into the folder `ppath`, all of it or nothing. Raises nn_meter.Error."""
    folder = Path(ppath)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = tempfile.mkdtemp(prefix=".download.", dir=folder)
    try:
        packed, unpacked = os.path.join(temporary, "archive.zip"), os.path.join(temporary, "unpacked")
        with open(packed, "wb") as file:
            _download(urladdr, file)
        with zipfile.ZipFile(packed) as archive:
            _check(archive)
            archive.extractall(unpacked)
        for name in os.listdir(unpacked):
            target = folder / name
            if target.is_dir():
                shutil.copytree(os.path.join(unpacked, name), target, dirs_exist_ok=True)
            else:
                os.replace(os.path.join(unpacked, name), target)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise fault(
            Error,
            "io",
            f"{urladdr}: cannot be downloaded: {error}; check the network, or unpack it into {ppath} yourself",
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
