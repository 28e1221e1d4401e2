"""Growth rates of sites with frozen biases against quadrature over the biases, and their limit."""

import math

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import quad
from scipy.optimize import brentq

from rmt_jacobian.cells import Cell, Parameters, Preactivation, sigmoid
from tests.mean_field.two_routes import by_sites

s, x, e = sp.symbols("s x e", real=True)
MEAN, STD = 0.77, 0.93
RISES = Cell("rises", (s,), x, (Preactivation("g", e, s),), (sp.tanh(s) / 2 + sigmoid(e),))
TURNS = Cell("turns", (s,), x, (Preactivation("g", e, s),),
             (sp.Rational(4, 5) * sp.tanh(s) / sp.cosh(e),))  # fmt: skip


def at_its_point(cell: Cell):
    # Of W hardly anything is felt, so that every site goes its own way.
    values = {"weight_std": 1e-5, "input_std": 1e-5, "bias_mean": MEAN, "bias_std": STD}
    return by_sites(cell, Parameters.of(cell, values, bias_kind="frozen", input_variance=1.0))


def kept_squares(bias: float) -> float:
    """Return the squared slope of s' = tanh(s) / 2 + sigmoid(b) where it comes to rest."""
    write = 1 / (1 + math.exp(-bias))
    at_rest = brentq(lambda s: math.tanh(s) / 2 + write - s, 0, 2)
    return (1 / math.cosh(at_rest) ** 2 / 2) ** 2


def test_the_limit_is_what_the_most_retentive_biases_keep() -> None:
    """They are rarer than any population holds: sites whose gate is shut."""
    found = at_its_point(RISES)
    assert found.chi == pytest.approx(0.25, abs=1e-6)
    found = at_its_point(TURNS)
    assert found.chi == pytest.approx(0.64, abs=max(0.005, found.errors["chi"]))


@pytest.mark.parametrize("steps", [1, 4, 16])
def test_finite_times_are_averages_over_the_biases(steps: int) -> None:
    found = at_its_point(RISES)

    def weighted(z: float) -> float:
        return kept_squares(MEAN + STD * z) ** steps * math.exp(-z * z / 2)

    mean = quad(weighted, -12, 12, epsabs=0, epsrel=1e-9, limit=300)[0] / math.sqrt(2 * math.pi)
    expected, doubt = mean ** (1 / steps), found.growth_rate_error(steps)
    assert doubt < 0.02 * expected
    assert found.growth_rate(steps) == pytest.approx(expected, abs=2 * doubt + 1e-6)
    assert np.isfinite(found.chi)
    assert expected < found.chi
