"""The user's folder, downloads and graphs."""

from .config_manager import change_user_data_folder, create_user_configs, get_user_data_folder
from .utils import download_from_url

__all__ = ["change_user_data_folder", "create_user_configs", "download_from_url", "get_user_data_folder"]
