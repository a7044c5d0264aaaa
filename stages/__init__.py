"""The stages of `dvc.yaml`, one script each, run as `python -m stages.<name>`."""

import os

# TensorFlow logs internal messages at every level; real failures raise exceptions.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
