"""Cells that the package does not have, to test what it says about cells in general."""

import sympy as sp

from rmt_jacobian.cells import Cell, Preactivation, sigmoid
from rmt_jacobian.cells.parameters import BiasKind

h, x, e = sp.symbols("h x e", real=True)
g_r, g_y = sp.symbols("g_r g_y", real=True)

# Like a GRU: the source of the second preactivation reads the first.
two_gates = Cell(
    name="two gates",
    states=(h,),
    input=x,
    preactivations=(
        Preactivation("reset", g_r, h),
        Preactivation("candidate", g_y, sigmoid(g_r) * h),
    ),
    updates=(sigmoid(g_r) * h + (1 - sigmoid(g_r)) * sp.tanh(g_y) + x * h / 10,),
)


def biases_of(cell: Cell) -> BiasKind | None:
    """Say which biases leave a cell stationary: next to an open gate, x h / 10 makes sites grow."""
    return "redrawn" if cell is two_gates else None


c = sp.Symbol("c", real=True)

# Two states; each update reads both, and the second source reads both and the first gate.
two_states = Cell(
    name="two states",
    states=(h, c),
    input=x,
    preactivations=(
        Preactivation("forget", g_r, h),
        Preactivation("candidate", g_y, sp.tanh(h) * c + sigmoid(g_r)),
    ),
    updates=(
        sp.tanh(c) * sigmoid(g_r),
        sigmoid(g_r) * c + sp.tanh(g_y) * x + h**2 / 7,
    ),
)


def leaky(rate: str) -> Cell:
    """h' = (1 - a) h + a tanh(e): the direct part is a number, the state has a mean."""
    a = sp.Rational(rate)
    candidate = Preactivation("candidate", e, h)
    return Cell("leaky", (h,), x, (candidate,), ((1 - a) * h + a * sp.tanh(e),))


# The state has a mean, the gate is random, and B reads state, input and preactivation.
biased_gate = Cell(
    name="biased gate",
    states=(h,),
    input=x,
    preactivations=(Preactivation("update", e, h),),
    updates=(sigmoid(e) * h + (1 - sigmoid(e)) * (x + sp.tanh(e) / 2),),
)

# The direct part of the Jacobian reads the state, so it is not fresh at every step.
reads_the_state = Cell(
    name="reads the state",
    states=(h,),
    input=x,
    preactivations=(Preactivation("update", e, h),),
    updates=(sigmoid(e) * h + h**2 / 10 + (1 - sigmoid(e)) * x,),
)
