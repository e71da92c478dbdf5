"""Imports Keras with the torch backend, without its handler on pytest's stderr."""

import os
import sys

os.environ["KERAS_BACKEND"] = "torch"

import keras
from absl import logging

# It brings a handler on what was sys.stderr then; Hydra's own set-up of logging would close it.
logging.get_absl_handler().python_handler.setStream(sys.__stderr__)

__all__ = ["keras"]
