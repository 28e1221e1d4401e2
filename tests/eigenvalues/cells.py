"""Cells and sites on which the eigenvalue problem is tested."""

import numpy as np
import sympy as sp

from rmt_jacobian.cells import (
    Cell,
    Parameters,
    Preactivation,
    gru,
    gru_reset_after,
    lstm,
    lstm_peephole,
    minimalrnn,
    sigmoid,
    vanilla,
)
from rmt_jacobian.mean_field import Sites

h, g, x, e, f, k = sp.symbols("h g x e f k", real=True)

# Three sources, one of them in an earlier preactivation, and states that turn into one another.
TURNING = Cell(
    "turning",
    (h, g),
    x,
    (
        Preactivation("first", e, h),
        Preactivation("second", f, g * sigmoid(e)),
        Preactivation("third", k, h * g),
        Preactivation("fourth", sp.Symbol("l", real=True), h),
    ),
    (
        sp.cos(x) * h - sp.sin(x) * g / 2 + sp.tanh(e) / 2,
        sp.sin(x) * h + g / 2 + sp.tanh(f) * sigmoid(k) + sp.Symbol("l", real=True) / 4,
    ),
)
CELLS = (vanilla, minimalrnn, gru, gru_reset_after, lstm, lstm_peephole, TURNING)


def parameters(cell: Cell) -> Parameters:
    values = {"weight_std": 1.3, "input_std": 0.0, "input_variance": 1.0}
    stds = {
        f"{each.name}.weight_std": 0.7 + 0.4 * n
        for n, each in enumerate(cell.preactivations)
        if each.reads_state
    }
    return Parameters.of(cell, {**values, **stds})


def drawn_sites(cell: Cell, count: int, seed: int = 0, xp=np) -> Sites:
    """Sites with independent variables: states in (-1, 1), Gaussian preactivations."""
    rng = np.random.default_rng(seed)
    states = [xp.asarray(np.tanh(rng.standard_normal(count))) for _ in cell.states]
    gates = [xp.asarray(1.2 * rng.standard_normal(count)) for _ in cell.gates]
    return Sites.of(cell, parameters(cell), states, gates, xp.asarray(rng.standard_normal(count)))
