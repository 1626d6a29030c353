"""A reader's machine: what it does not set is unset before anything starts."""

import os

import pytest

for name in "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE":
    os.environ.pop(name, None)
os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0")  # helpers import TensorFlow first

from helpers import load


@pytest.fixture
def ppo():
    """The script as a fresh module."""
    return load()
