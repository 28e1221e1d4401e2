"""Layers of PyTorch: measured as they are, and initialised so that gradients survive.

PyTorch is no dependency of the package: ``pip install "rmt-jacobian[frameworks]"`` installs it.
"""

from rmt_jacobian.torch.initialize import InitializedLayer, InitializedModule, initialize_
from rmt_jacobian.torch.layers import network

__all__ = ["InitializedLayer", "InitializedModule", "initialize_", "network"]
