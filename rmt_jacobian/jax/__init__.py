"""Cells of Flax and Equinox: measured as they are, and initialised so that gradients survive.

Neither is a dependency of the package: ``pip install "rmt-jacobian[jax]"`` installs both.
"""

from rmt_jacobian.jax.initialize import initialize
from rmt_jacobian.jax.layers import network

__all__ = ["initialize", "network"]
