"""Averages over variables whose kinks lie along a sum of them, against adaptive quadrature."""

import math

import numpy as np
import pytest
import sympy as sp

from rmt_jacobian.cells import hard_tanh, relu, sigmoid
from rmt_jacobian.mean_field.averages.kinked_sums import along_one_sum
from rmt_jacobian.mean_field.averages.quadrature import joint_average

a, b, c = sp.symbols("a b c", real=True)
LAWS = {a: (0.3, 1.6), b: (-0.5, 0.9), c: (0.1, 0.4)}
HALF = sp.Rational(1, 2)
CASES = [
    hard_tanh(a + b) * sigmoid(a),
    sp.tanh(hard_tanh(a + b) + c / 4) ** 2 * sigmoid(b) ** 2,
    relu(2 * a - b - HALF) * sp.Abs(b / 2 - a + 3) * sp.cos(b),
    relu(a + b + c) * sp.exp(-((a - c) ** 2)),
    sp.sign(a - b) * sp.tanh(a) * relu(b - a + 1),
]


def reference(expression: sp.Expr) -> float:
    """Integrate over u = a + b or the like first by breaking every inner integral at its kinks."""
    symbols = sorted(expression.free_symbols, key=str)
    modules = [
        {
            "relu": lambda v: np.maximum(v, 0),
            "hard_tanh": lambda v: np.clip(v, -1, 1),
            "sigmoid": lambda v: 1 / (1 + np.exp(-v)),
        },
        "numpy",
    ]
    function = sp.lambdify(symbols, expression, modules)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    # One variable of the sum by trapezoids of 4e5 nodes, the others, smooth then, by Hermite.
    fine = np.linspace(-9, 9, 400_001)
    density = np.exp(-(fine**2) / 2) / math.sqrt(2 * math.pi) * (fine[1] - fine[0])
    total = 0.0
    scaled = {s: (LAWS[s][0], math.sqrt(LAWS[s][1])) for s in symbols}
    inner, *outer = symbols
    grids = np.meshgrid(*([nodes] * len(outer)), indexing="ij")
    shares = math.prod(np.meshgrid(*([weights] * len(outer)), indexing="ij"))
    for where, share in zip(
        np.stack(grids, -1).reshape(-1, len(outer)), shares.ravel(), strict=True
    ):
        if share < 1e-12:
            continue
        at = [scaled[s][0] + scaled[s][1] * z for s, z in zip(outer, where, strict=True)]
        mean, std = scaled[inner]
        total += share * float(density @ function(mean + std * fine, *at))
    return total / math.sqrt(2 * math.pi) ** len(outer)


@pytest.mark.parametrize("expression", CASES[:1] + CASES[2:3] + CASES[4:], ids=str)
def test_two_variables(expression: sp.Expr) -> None:
    step = 18 / 400_000  # of the reference, whose error beside a jump is a part of it
    allowed = step if expression.has(sp.sign) else 1e-7
    assert joint_average(expression, LAWS) == pytest.approx(reference(expression), rel=allowed)


@pytest.mark.parametrize("expression", [CASES[1], CASES[3]], ids=str)
def test_three_variables_against_drawn_points(expression: sp.Expr) -> None:
    function = sp.lambdify(
        (a, b, c), expression,
        [{"relu": lambda v: np.maximum(v, 0), "hard_tanh": lambda v: np.clip(v, -1, 1),
          "sigmoid": lambda v: 1 / (1 + np.exp(-v))}, "numpy"],
    )  # fmt: skip
    rng = np.random.default_rng(0)
    drawn = [m + math.sqrt(v) * rng.standard_normal(4_000_000) for m, v in LAWS.values()]
    values = function(*drawn)
    error = values.std() / math.sqrt(values.size)
    assert joint_average(expression, LAWS) == pytest.approx(values.mean(), abs=4 * error)


@pytest.mark.parametrize("expression", CASES, ids=str)
def test_all_kinks_read_the_sum(expression: sp.Expr) -> None:
    turned, laws = along_one_sum(expression, LAWS)
    u, *_ = laws
    kinks = turned.atoms(relu, hard_tanh, sp.Abs, sp.sign)
    assert kinks
    assert all(node.args[0].free_symbols == {u} for node in kinks)


def test_kinks_along_two_sums_are_left() -> None:
    assert along_one_sum(relu(a + b) * relu(a - b), LAWS) is None
    assert along_one_sum(relu(a + b) * relu(a), LAWS) is None
    assert along_one_sum(relu(a * b), LAWS) is None
