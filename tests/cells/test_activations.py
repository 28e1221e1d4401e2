from typing import Any

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from rmt_jacobian.arrays import to_numpy
from rmt_jacobian.cells import sigmoid
from rmt_jacobian.cells.activations import stable_sigmoid

POINTS = [-1e308, -1000.0, -745.0, -40.0, -3.0, -1e-9, 0.0, 1e-9, 3.0, 40.0, 1000.0, 1e308]


def test_stable_sigmoid_to_the_last_digits(xp: Any) -> None:
    found = to_numpy(stable_sigmoid(xp.asarray(POINTS, dtype=xp.float64)))
    with mp.workdps(400):
        expected = [float(1 / (1 + mp.exp(-point))) for point in POINTS]
    # A relative error of a few epsilons; what lies below the smallest normal number may be 0.
    assert found == pytest.approx(np.array(expected), rel=4 * np.finfo(float).eps, abs=1e-307)


def test_stable_sigmoid_keeps_the_type(xp: Any) -> None:
    assert stable_sigmoid(xp.ones(2, dtype=xp.float32)).dtype == xp.float32


def test_derivatives_of_sigmoid_against_the_exponential() -> None:
    x = sp.Symbol("x", real=True)
    explicit = 1 / (1 + sp.exp(-x))
    for order in (1, 2, 3):
        ours, known = sigmoid(2 * x).diff(x, order), explicit.subs(x, 2 * x).diff(x, order)
        for point in (-1.3, 0.2, 4.0):
            found = ours.rewrite(sp.exp).subs(x, point).evalf()
            assert float(found - known.subs(x, point).evalf()) == pytest.approx(0, abs=1e-13)


def test_exact_values_of_sigmoid() -> None:
    assert sigmoid(0) == sp.Rational(1, 2)
    assert sigmoid(sp.oo) == 1
    assert sigmoid(-sp.oo) == 0
    with mp.workdps(30):
        expected = 1 / (1 + mp.exp(-2))
        assert abs(mp.mpf(str(sigmoid(sp.Integer(2)).evalf(30))) - expected) < 1e-28
