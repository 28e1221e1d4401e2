"""Layers of Keras 3: measured as they are, and initialised so that gradients survive.

Keras is no dependency of the package: ``pip install "rmt-jacobian[jax]"`` installs it, with
JAX as a backend (``KERAS_BACKEND=jax``); any other backend will do.
"""

from rmt_jacobian.keras.initialize import initialize_
from rmt_jacobian.keras.initializers import initializers
from rmt_jacobian.keras.layers import network

__all__ = ["initialize_", "initializers", "network"]
