"""A reader's machine: what it does not set is unset before anything starts."""

import os

import pytest

for name in "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE":
    os.environ.pop(name, None)
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # helpers import TensorFlow before the script does
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"


@pytest.fixture
def ppo():
    """The script as a fresh module."""
    from helpers import load

    return load()
