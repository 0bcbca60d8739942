"""The 26,000 networks that the built-in predictors were made from, and their measured latencies."""

import os
from pathlib import Path

from ..utils.config_manager import get_user_data_folder
from ..utils.utils import download_from_url

URL = "https://github.com/microsoft/nn-Meter/releases/download/v1.0-data/datasets.zip"


def bench_dataset(url=URL, data_folder=None):
    """Paths of the benchmark's JSONL files, in order of their names; downloads them unless they are there.

    data_folder: where they are kept; None: dataset in the user's folder for data. Raises nn_meter.Error.
    """
    folder = data_folder or os.path.join(get_user_data_folder(), "dataset")
    if not any(Path(folder).glob("*.jsonl")):
        download_from_url(url, folder)
    return sorted(str(path) for path in Path(folder).glob("*.jsonl"))
