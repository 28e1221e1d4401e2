r"""Long short-term memory (:cite:t:`Can2020`, eqs. 6-8), plain and with peepholes.

.. math::
    f, i, o = \sigma(e_f), \sigma(e_i), \sigma(e_o), \qquad
    c' = f \odot c + i \odot \tanh(e_y), \qquad h' = o \odot \tanh(c')

All four preactivations read h; with peepholes the three gates read c instead.
"""

import sympy as sp

from rmt_jacobian.cells.activations import Activation, activation_named
from rmt_jacobian.cells.specification import Cell, Preactivation

__all__ = ["lstm", "lstm_cell", "lstm_peephole"]

_h, _c, _x = sp.symbols("h c x", real=True)
_f, _i, _o, _y = sp.symbols("e_f e_i e_o e_y", real=True)


def lstm_cell(
    activation: str | Activation = "tanh",
    gate: str | Activation = "sigmoid",
    *,
    peephole: bool = False,
    name: str | None = None,
) -> Cell:
    """Return the LSTM; its states are h and c.

    Parameters
    ----------
    activation, gate
        Of candidate and cell state, and of the gates; by name or as functions of sympy expressions.
    peephole
        Whether the gates read c instead of h, through their W.
    name
        What the cell is called.

    Examples
    --------
    >>> lstm_cell().sources, lstm_cell(peephole=True).sources
    ((h, h, h, h), (c, c, c, h))
    """
    phi, sigma = activation_named(activation), activation_named(gate)
    read = _c if peephole else _h
    memory = sigma(_f) * _c + sigma(_i) * phi(_y)
    return Cell(
        name=name or ("lstm-peephole" if peephole else "lstm"),
        states=(_h, _c),
        input=_x,
        preactivations=(
            Preactivation("forget", _f, read),
            Preactivation("input", _i, read),
            Preactivation("output", _o, read),
            Preactivation("candidate", _y, _h),
        ),
        updates=(sigma(_o) * phi(memory), memory),
        # The gains of Figure 3 of Can et al. (2020), and an input that keeps the states alive.
        typical_parameters=(
            ("forget.weight_std", 1.0),
            ("input.weight_std", 1.0),
            ("output.weight_std", 1.0),
            ("candidate.weight_std", 3.0),
            ("input_std", 1.0),
            ("bias_mean", 0.0),
            ("bias_std", 0.0),
            ("input_variance", 1.0),
        ),
    )


lstm = lstm_cell()
lstm_peephole = lstm_cell(peephole=True)
