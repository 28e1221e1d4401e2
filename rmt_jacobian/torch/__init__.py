"""Layers of PyTorch: measured as they are, watched while they are trained, and initialised.

PyTorch is no dependency of the package: ``pip install "rmt-jacobian[frameworks]"`` installs it.
"""

from typing import TYPE_CHECKING, Any

from rmt_jacobian.torch.initialize import InitializedLayer, InitializedModule, initialize_
from rmt_jacobian.torch.layers import framework, network
from rmt_jacobian.torch.monitor import Monitor

if TYPE_CHECKING:
    from rmt_jacobian.torch.recurrent import Recurrent

__all__ = [
    "InitializedLayer",
    "InitializedModule",
    "Monitor",
    "Recurrent",
    "initialize_",
    "network",
]


def __getattr__(name: str) -> Any:
    """Return the class that is a module of PyTorch, which must be there to define it."""
    if name != "Recurrent":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    framework()
    from rmt_jacobian.torch.recurrent import Recurrent

    return Recurrent
