r"""Gated recurrent units (:cite:t:`Can2020`, eqs. 2-5), the reset gate before or after the product.

.. math::
    z = \sigma(e_z), \quad r = \sigma(e_r), \quad
    e_y = W_y (r \odot h) + V_y x + b_y, \quad h' = z \odot h + (1 - z) \odot \tanh(e_y)

A gate z near 1 remembers.  The variant of PyTorch and cuDNN resets after the product,
h' = z h + (1 - z) tanh(r (W_y h + b_y) + V_y x + b_x).
"""

import sympy as sp

from rmt_jacobian.cells.activations import Activation, activation_named
from rmt_jacobian.cells.specification import Cell, Preactivation

__all__ = ["gru", "gru_cell", "gru_reset_after", "gru_reset_after_cell"]

_h, _x, _z, _r, _y, _v = sp.symbols("h x e_z e_r e_y e_v", real=True)

# The gains of Figure 1 of Can et al. (2020) with the gates in between, and an input: without one
# and with fresh weights the states die out.
_TYPICAL = (
    ("update.weight_std", 3.0),
    ("reset.weight_std", 1.0),
    ("candidate.weight_std", 3.0),
    ("input_std", 1.0),
    ("bias_mean", 0.0),
    ("bias_std", 0.0),
    ("input_variance", 1.0),
)


def gru_cell(
    activation: str | Activation = "tanh",
    gate: str | Activation = "sigmoid",
    *,
    name: str = "gru",
) -> Cell:
    """Return the GRU whose reset gate acts on the state before the product with W_y.

    Parameters
    ----------
    activation, gate
        Of the candidate and of the gates, by name or as functions of sympy expressions.
    name
        What the cell is called.

    Examples
    --------
    >>> gru_cell().sources
    (h, h, h*sigmoid(e_r))
    """
    phi, sigma = activation_named(activation), activation_named(gate)
    return Cell(
        name=name,
        states=(_h,),
        input=_x,
        preactivations=(
            Preactivation("update", _z, _h),
            Preactivation("reset", _r, _h),
            Preactivation("candidate", _y, sigma(_r) * _h),
        ),
        updates=(sigma(_z) * _h + (1 - sigma(_z)) * phi(_y),),
        typical_parameters=_TYPICAL,
    )


def gru_reset_after_cell(
    activation: str | Activation = "tanh",
    gate: str | Activation = "sigmoid",
    *,
    name: str = "gru-reset-after",
) -> Cell:
    """Return the GRU of PyTorch and cuDNN, whose reset gate acts after the product with W_y.

    The candidate's weights and bias are inside the reset gate, its input is outside: a
    preactivation of its own, ``candidate_input``, which has no W.

    Parameters
    ----------
    activation, gate, name
        As in :func:`gru_cell`.

    Examples
    --------
    >>> [preactivation.name for preactivation in gru_reset_after_cell().preactivations]
    ['update', 'reset', 'candidate', 'candidate_input']
    """
    phi, sigma = activation_named(activation), activation_named(gate)
    return Cell(
        name=name,
        states=(_h,),
        input=_x,
        preactivations=(
            Preactivation("update", _z, _h),
            Preactivation("reset", _r, _h),
            Preactivation("candidate", _y, _h, reads_input=False),
            Preactivation("candidate_input", _v, sp.S.Zero),
        ),
        updates=(sigma(_z) * _h + (1 - sigma(_z)) * phi(sigma(_r) * _y + _v),),
        typical_parameters=_TYPICAL,
    )


gru = gru_cell()
gru_reset_after = gru_reset_after_cell()
