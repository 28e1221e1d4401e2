"""The minimalRNN, u = sigma(W h + V x + b), h' = u h + (1 - u) x (:cite:t:`Chen2018`, eq. 5).

The input x of a site is what the paper writes x-tilde: it has already been mapped to the width of
the state.
"""

import sympy as sp

from rmt_jacobian.cells.activations import sigmoid
from rmt_jacobian.cells.specification import Cell, Preactivation

__all__ = ["minimalrnn"]

_h, _x, _e = sp.symbols("h x e", real=True)

minimalrnn = Cell(
    name="minimalrnn",
    states=(_h,),
    input=_x,
    preactivations=(Preactivation("update", _e, _h),),
    updates=(sigmoid(_e) * _h + (1 - sigmoid(_e)) * _x,),  # pyright: ignore[reportOperatorIssue]
    # The critical point of Figure 1 of Chen et al. (2018).
    typical_parameters=(
        ("weight_std", 6.88),
        ("input_std", 1.39),
        ("bias_mean", 0.0),
        ("bias_std", 0.0),
        ("input_variance", 0.46),
    ),
)
