"""Files of predictors, as nn-Meter 2.0 keeps them. (Its loading_to_local() and loading_customized_predictor() unpickled what
they found, which executes it; nn_meter.Predictor reads pickles without executing anything.)"""

from pathlib import Path

from .._core import Error
from ..errors import MissingPackage, fault
from ..utils.config_manager import config_folder

__all__ = ["check_predictors", "load_config_file"]


def check_predictors(ppath, kernel_predictors):
    """Whether NAME.pkl of each of the names is in the folder."""
    return all((Path(ppath) / f"{name}.pkl").is_file() for name in kernel_predictors)


def load_config_file(fname: str, loader=None):
    """The content of a YAML file of the user's config folder; [] for one that is not there. Needs PyYAML."""
    try:
        import yaml
    except ImportError:
        raise fault(MissingPackage, "unsupported", "PyYAML is not installed; pip install pyyaml") from None
    path = config_folder() / fname
    if not path.exists():
        return []
    try:
        return yaml.load(path.read_text(encoding="utf-8"), loader or yaml.SafeLoader) or []
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise fault(Error, "format", f"{path}: cannot be read: {' '.join(str(error).split())}; mend the file") from None
