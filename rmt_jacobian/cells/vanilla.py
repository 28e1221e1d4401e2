"""The vanilla recurrent network, h' = tanh(W h + V x + b) (:cite:t:`Chen2018`, eq. 1)."""

import sympy as sp

from rmt_jacobian.cells.activations import Activation, activation_named
from rmt_jacobian.cells.specification import Cell, Preactivation

__all__ = ["vanilla", "vanilla_cell"]

_h, _x, _e = sp.symbols("h x e", real=True)


def vanilla_cell(activation: str | Activation = "tanh", *, name: str = "vanilla") -> Cell:
    """Return the vanilla network with an activation of choice.

    Parameters
    ----------
    activation
        One of :data:`.ACTIVATIONS` by name, or a function of sympy expressions.
    name
        What the cell is called.

    Examples
    --------
    >>> vanilla_cell("relu").updates
    (relu(e),)
    """
    return Cell(
        name=name,
        states=(_h,),
        input=_x,
        preactivations=(Preactivation("candidate", _e, _h),),
        updates=(activation_named(activation)(_e),),
        # On the order-chaos line, with weak inputs as in section 4.1 of Chen et al. (2018).
        typical_parameters=(
            ("weight_std", 1.0774),
            ("input_std", 0.025),
            ("bias_mean", 0.0),
            ("bias_std", 0.0),
            ("input_variance", 1.0),
        ),
    )


vanilla = vanilla_cell()
