"""Registering predictors."""

from ..._core import register, unregister
from ...logs import logger

__all__ = ["register_predictor", "unregister_predictor"]


def register_predictor(meta_file):
    """Registers the predictor that a YAML file describes. Raises nn_meter.Error."""
    logger.info("Successfully register predictor: %s", register(meta_file))


def unregister_predictor(predictor_name, predictor_version):
    """Removes a registered predictor; version None: all. Raises nn_meter.Error."""
    unregister(predictor_name, None if predictor_version is None else str(predictor_version))
    logger.info("Successfully unregister %s.", predictor_name)
