"""Averages over fresh variables against quadrature in SciPy."""

import math

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import quad

from rmt_jacobian.cells import Cell, Parameters, Preactivation
from rmt_jacobian.cells.activations import hard_tanh
from rmt_jacobian.mean_field.averages.fresh import FreshVariables

s, x, e, f = sp.symbols("s x e f", real=True)
CELL = Cell("sums", (s,), x, (Preactivation("g", e, s), Preactivation("h", f, s)), (s / 2 + e,))
VARIANCES, BIASES = (0.756, 0.051), (-0.31, 0.0, 0.24, 1.7)


def of_a_sum(function, mean: float) -> float:
    std = math.sqrt(sum(VARIANCES))
    places = [p for p in (-0.5, 0.5) if abs(p - mean) < 12 * std]

    def weighted(u: float) -> float:
        return function(u) * math.exp(-(((u - mean) / std) ** 2) / 2)

    limits = mean - 12 * std, mean + 12 * std
    whole = quad(weighted, *limits, points=places, epsabs=1e-13, limit=500)[0]
    return whole / (std * math.sqrt(2 * math.pi))


@pytest.mark.parametrize("correlations", [None, (1.0, 1.0)])
def test_products_of_sums_are_exact_at_every_frozen_bias(correlations) -> None:
    """The terms of a square read e and f apart, the square reads their sum alone."""
    p = Parameters.of(
        CELL,
        {"bias_std": 1.0, "weight_std": 1.0, "input_std": 0.0},
        bias_kind="frozen",
        input_variance=0.0,
    )
    biases = np.array([[BIASES], [BIASES]])
    fresh = FreshVariables(CELL, p, VARIANCES, correlations, 1.0, biases)
    write = (e + f) / 20 + hard_tanh(2 * e + 2 * f) / 2
    expected = [
        of_a_sum(lambda u: (u / 20 + np.clip(2 * u, -1, 1) / 2) ** 2, 2 * bias) for bias in BIASES
    ]
    assert fresh.product(write, write) == pytest.approx(np.array([expected]), rel=1e-10)
