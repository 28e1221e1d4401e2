"""The leaky network of rates, h' = (1 - leak) h + leak (W tanh(h) + V x + b)."""

import sympy as sp

from rmt_jacobian.cells.activations import Activation, activation_named
from rmt_jacobian.cells.specification import Cell, Constant, Preactivation

__all__ = ["leaky", "leaky_cell"]

_h, _x, _e, _leak = sp.symbols("h x e leak", real=True)


def leaky_cell(activation: str | Activation = "tanh", *, name: str = "leaky") -> Cell:
    r"""Return the leaky network with an activation of choice.

    It is :math:`\tau \dot h = -h + W \varphi(h) + V x + b`, the standard model of recurrent
    circuits, in steps of leak :math:`\tau`; leak is a hyperparameter of the cell.

    Parameters
    ----------
    activation
        One of :data:`.ACTIVATIONS` by name, or a function of sympy expressions.
    name
        What the cell is called.

    Examples
    --------
    >>> leaky_cell("relu").sources
    (relu(h),)
    >>> leaky_cell().updates
    (e*leak + h*(1 - leak),)
    """
    return Cell(
        name=name,
        states=(_h,),
        input=_x,
        preactivations=(Preactivation("candidate", _e, activation_named(activation)(_h)),),
        updates=((1 - _leak) * _h + _leak * _e,),
        typical_parameters=(
            ("weight_std", 1.0),
            ("input_std", 1.0),
            ("bias_mean", 0.0),
            ("bias_std", 0.0),
            ("input_variance", 1.0),
        ),
        constants=(Constant(_leak, 0.5, lowest=0.0, highest=1.0),),
    )


leaky = leaky_cell()
