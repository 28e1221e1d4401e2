"""Sources that few sites see die out, and that live."""

import math

import numpy as np
import pytest
import sympy as sp
from scipy.optimize import brentq

from rmt_jacobian.cells import Cell, Parameters, Preactivation, relu, sigmoid
from rmt_jacobian.errors import ConvergenceError
from rmt_jacobian.mean_field import untied_state
from rmt_jacobian.mean_field.replicated.dead_sources import grow_again

s, t, v, e, f, x = sp.symbols("s t v e f x", real=True)
ECHO = Cell(
    "echo", (s, t, v), x,
    (Preactivation("echo", e, sp.tanh(v)), Preactivation("gate", f, s - v / 2)),
    (sp.Rational(9, 10) * s + relu(f - sp.Rational(1, 2)) / 10, 2 * e,
     sp.tanh(2 * e) * sigmoid(f)),
)  # fmt: skip
"""No input reaches the echo: its variance is 0, or whatever the gate lets through."""


def normal_nodes(variance: float) -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    return math.sqrt(variance) * nodes, weights / weights.sum()


def echo_variance(weight: float, gate: float) -> float:
    """Solve q = w^2 E tanh(tanh(2 e) sigmoid(f))^2, where q is not 0."""
    F, p = normal_nodes(gate)
    g = 1 / (1 + np.exp(-F))

    def gap(log_q: float) -> float:
        E, w = normal_nodes(math.exp(log_q))
        found = w @ np.tanh(np.tanh(2 * E)[:, None] * g) ** 2 @ p
        return math.log(weight**2 * found) - log_q

    return math.exp(brentq(gap, -20, 0))


def variances(weight: float) -> tuple[float, ...]:
    echo = {"echo.weight_std": weight, "echo.input_std": 0.0}
    gate = {"gate.weight_std": 0.23, "gate.input_std": 0.37, "input_variance": 1.0}
    state = untied_state(ECHO, Parameters.of(ECHO, echo | gate), tolerance=0.3)
    return state.preactivation_variances


@pytest.mark.parametrize("weight", [0.987, pytest.param(0.99, marks=pytest.mark.thorough), 1.0])
def test_an_echo_that_grows_by_little_lives(weight: float) -> None:
    q, of_gate = variances(weight)
    assert q == pytest.approx(echo_variance(weight, of_gate), rel=0.3)  # the tolerance
    assert q > 0


@pytest.mark.parametrize(
    "weight",
    [0.5, *(pytest.param(each, marks=pytest.mark.thorough) for each in (0.9, 0.95, 0.97)), 0.98],
)
def test_an_echo_that_falls_beside_a_gate_that_lives_is_0(weight: float) -> None:
    q, of_gate = variances(weight)
    assert q == 0
    assert of_gate > 0.1


def test_two_that_feed_each_other_may_grow_together_alone() -> None:
    def image(y: np.ndarray) -> np.ndarray:
        return np.array([[2.2 * y[1], 0.5 * y[0] * (1 - y[0]), 0.3]])

    died = np.array([True, True, False])
    assert grow_again(image, np.array([0.0, 0.0, 0.3]), died)
    assert not grow_again(lambda y: 0.9 * image(y), np.array([0.0, 0.0, 0.27]), died)


@pytest.mark.parametrize(("gains", "grows"), [((3, 3, 0.1), False), ((10, 0.5, 0.3), True)])
def test_a_ring_of_three_grows_by_the_product_of_its_gains(gains, grows) -> None:
    def image(y: np.ndarray) -> np.ndarray:
        return np.array([[gains[0] * y[2], gains[1] * y[0], gains[2] * y[1]]])

    assert grow_again(image, np.zeros(3), np.ones(3, dtype=bool)) == grows


def test_who_starts_at_0_asks_for_0() -> None:
    echo = {"echo.weight_std": 1.2, "echo.input_std": 0.0}
    gate = {"gate.weight_std": 0.23, "gate.input_std": 0.37, "input_variance": 1.0}
    state = untied_state(ECHO, Parameters.of(ECHO, echo | gate), start_variance=(0.0, 1.0))
    assert state.preactivation_variances[0] == 0


RARE = Cell(
    "rare", (s, t), x,
    (Preactivation("one", e, s), Preactivation("gate", v, s), Preactivation("rare", f, s)),
    (sp.tanh(sp.tanh(e / 4 + relu(f)) * sigmoid(v)) * sigmoid(v), s),
)  # fmt: skip
"""Silent but where a frozen bias lies above 0, which is so at one of 1,400 sites."""
MEAN, STD, GATE = -1.786, 0.56, 0.6856


def rare_square(weights: tuple[float, float, float]) -> float:
    """Solve y = E tanh(tanh(e/4 + relu(f)) sigmoid(v))^2 sigmoid(v)^2 by nested quadrature."""
    above, density = np.polynomial.legendre.leggauss(200)

    def image(y: float) -> float:
        E, a = normal_nodes(weights[0] ** 2 * y)
        V, b = normal_nodes(weights[1] ** 2 * y + GATE**2)
        q = STD**2 + weights[2] ** 2 * y
        F = 3 * (above + 1) / 2  # beyond 3 the density is below 1e-16
        c = 3 / 2 * density * np.exp(-((F - MEAN) ** 2) / (2 * q)) / math.sqrt(2 * math.pi * q)
        g = 1 / (1 + np.exp(-V))
        inner = np.tanh(E[:, None] / 4 + F[None, :])
        values = np.tanh(inner[:, :, None] * g) ** 2 * g**2
        silent = np.tanh(np.tanh(E / 4)[:, None] * g) ** 2 * g**2
        below = 0.5 * math.erfc(MEAN / math.sqrt(2 * q))
        return float(
            np.einsum("efv,e,f,v", values, a, c, b) + below * np.einsum("ev,e,v", silent, a, b)
        )

    return brentq(lambda y: image(y) / y - 1, 1e-7, 1e-5, rtol=1e-9)


def test_a_source_that_one_site_in_a_thousand_keeps_alive() -> None:
    weights = 1.2, 0.3146, 0.5541
    values = {f"{k}.weight_std": w for k, w in zip(("one", "gate", "rare"), weights, strict=True)}
    biases = {"gate.bias_std": GATE, "rare.bias_std": STD, "rare.bias_mean": MEAN}
    point = Parameters.of(
        RARE, values | biases | {"input_std": 0.0, "input_variance": 0.2}, bias_kind="frozen"
    )
    expected = rare_square(weights)
    assert 1e-7 < expected < 1e-5
    with pytest.raises(ConvergenceError, match="the error is"):
        untied_state(RARE, point)
    found = untied_state(RARE, point, tolerance=0.3)
    assert found.source_squares[0] == pytest.approx(expected, rel=0.3)
    assert abs(found.source_squares[0] - expected) < 4 * found.source_square_errors[0]


def test_what_is_not_0_from_nothing_grows() -> None:
    def image(y: np.ndarray) -> np.ndarray:  # one estimate of eight has met it
        return np.where(np.arange(8) == 3, 1e-6, 0.0)[:, None] + 0.5 * y

    assert grow_again(image, np.zeros(1), np.array([True]))
    assert not grow_again(lambda y: 0.5 * np.tile(y, (8, 1)), np.zeros(1), np.array([True]))
