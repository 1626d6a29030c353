"""A reader's machine: what it does not set is unset before anything starts."""

import os

for name in "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE":
    os.environ.pop(name, None)
os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0")  # before TensorFlow is imported
