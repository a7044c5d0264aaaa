"""The stages of `dvc.yaml`, one script each, run as `python -m stages.<name>`."""

import os

# TensorFlow reports its own housekeeping at every level; what fails raises an exception anyway.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
