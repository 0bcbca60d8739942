"""The user's folder: ~/.nn_meter/config/{predictors,settings}.yaml, and where data is kept."""

import os
import re
import tempfile
from pathlib import Path

SETTINGS = "settings.yaml"
DATA_FOLDER = re.compile(r"^data_folder[ \t]*:[ \t]*(.*?)[ \t]*$", re.MULTILINE)


def user_folder():
    """NN_METER_HOME; else ~/.nn_meter where it is there, or without XDG_DATA_HOME; else nn_meter in that."""
    if os.environ.get("NN_METER_HOME"):
        return Path(os.environ["NN_METER_HOME"])
    usual, data = Path.home() / ".nn_meter", os.environ.get("XDG_DATA_HOME")
    return Path(data) / "nn_meter" if data and not usual.is_dir() else usual


def config_folder():
    return user_folder() / "config"


def _write(path, text):
    """Whole or not at all: what was there stays until the new file is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _quoted(text):
    """A YAML scalar that reads back as the same text."""
    return text if re.fullmatch(r"[\w./~+@-]+", text) else "'" + text.replace("'", "''") + "'"


def _unquoted(text):
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] == '"' else text


def create_user_configs():
    """Writes the user's settings.yaml with the default folder for data, in place of what is there. Predictors that the user
    registered stay: predictors.yaml is only made when there is none, and the built-in predictors need no entry in it."""
    folder = user_folder()
    _write(config_folder() / SETTINGS, f"data_folder: {_quoted(str(folder / 'data'))}\n")
    predictors = config_folder() / "predictors.yaml"
    if not predictors.exists():
        _write(predictors, "# Predictors that you registered; those built in need no entry.\n")


def get_user_data_folder():
    """Where data is kept: data_folder of settings.yaml, else the folder data beside it. Creates nothing."""
    try:
        found = DATA_FOLDER.search((config_folder() / SETTINGS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        found = None
    return os.path.expanduser(_unquoted(found[1])) if found and found[1] else str(user_folder() / "data")


def change_user_data_folder(new_folder):
    """Creates the folder and keeps data there from now on; other settings stay as they are."""
    Path(new_folder).mkdir(parents=True, exist_ok=True)
    line, path = f"data_folder: {_quoted(str(new_folder))}", config_folder() / SETTINGS
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    found = DATA_FOLDER.search(text)
    text = text[: found.start()] + line + text[found.end() :] if found else line + "\n" + text
    _write(path, text)
