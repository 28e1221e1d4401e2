"""Functions of states without memory: the same networks written in other states."""

import math

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import dblquad, quad

from rmt_jacobian.cells import Cell, Parameters, Preactivation, sigmoid, vanilla_cell
from rmt_jacobian.mean_field.memory.lifted import lifted_cell
from rmt_jacobian.mean_field.populations.site_models import AffineSites
from tests.mean_field.two_routes import by_sites

s, t, x = sp.symbols("s t x", real=True)
e, f = sp.symbols("e f", real=True)
POINT = {
    "weight_std": 1.4, "input_std": 0.6, "bias_mean": 0.3, "bias_std": 0.5, "input_variance": 0.5,
}  # fmt: skip


def normal(function, q: float, mean: float) -> float:
    """Average a function of one normal variable."""
    std = math.sqrt(q)
    weight = 1 / math.sqrt(2 * math.pi)
    found, _ = quad(lambda z: weight * math.exp(-z * z / 2) * function(mean + std * z), -9, 9)
    return found


@pytest.mark.parametrize("bias_kind", ["redrawn", "frozen"])
@pytest.mark.parametrize("correlation", [1.0, 0.3])
def test_states_before_and_after_the_activation_are_one_network(bias_kind, correlation) -> None:
    """h = tanh(e) that is read, and s = e whose tanh is read."""
    before = Cell("before", (s,), x, (Preactivation("candidate", e, sp.tanh(s)),), (e,))
    after = vanilla_cell(sp.tanh)
    one, two = (
        by_sites(
            cell,
            Parameters.of(cell, POINT, bias_kind=bias_kind),
            input_correlation=correlation,
            tolerance=1e-4,
        )
        for cell in (before, after)
    )
    assert one.preactivation_variances == pytest.approx(two.preactivation_variances, rel=1e-6)
    assert one.correlations == pytest.approx(two.correlations, rel=1e-6)
    assert (one.chi1, one.chi) == pytest.approx((two.chi1, two.chi), rel=1e-6)
    # Each factor W tanh'(s) of one stands in the other, in another order.
    if bias_kind == "redrawn":
        assert one.growth_rate(7) == pytest.approx(two.growth_rate(7), rel=1e-6)


def test_growth_over_steps_starts_and_ends_in_the_states() -> None:
    """J_T = tanh'(e_T) W g'(s) ... tanh'(e_1) W g'(s_0), where W reads g(s) = sin(2 s)."""
    cell = Cell("read", (s,), x, (Preactivation("g", e, sp.sin(2 * s)),), (sp.tanh(e),))
    found = by_sites(cell, Parameters.of(cell, POINT))
    q, mean, gain = found.preactivation_variances["g"], POINT["bias_mean"], POINT["weight_std"] ** 2

    def slope(y: float) -> float:
        return 1 - math.tanh(y) ** 2

    def read(y: float) -> float:
        return 2 * math.cos(2 * math.tanh(y))

    written = normal(lambda y: slope(y) ** 2, q, mean)
    seen = normal(lambda y: read(y) ** 2, q, mean)
    both = normal(lambda y: (slope(y) * read(y)) ** 2, q, mean)
    squared = normal(lambda y: math.sin(2 * math.tanh(y)) ** 2, q, mean)
    assert gain * squared + 0.36 * 0.5 + 0.25 == pytest.approx(q, rel=1e-6)
    assert found.chi1 == pytest.approx(gain * both, rel=1e-6)
    for steps in (1, 2, 9):
        expected = gain**steps * written * both ** (steps - 1) * seen
        assert found.growth_rate(steps) ** steps == pytest.approx(expected, rel=1e-6)


def test_beside_a_memory_and_through_a_delay() -> None:
    """A gate reads tanh of a state that another has written two steps before."""
    cell = Cell(
        "mixed", (s, t, sp.Symbol("u", real=True)), x,
        (Preactivation("g", e, sp.tanh(sp.Symbol("u", real=True))), Preactivation("h", f, s)),
        (sigmoid(e) * s + (1 - sigmoid(e)) * sp.tanh(f), sp.sin(f), t),
    )  # fmt: skip
    p = Parameters.of(
        cell, {"input_std": 0.7, "weight_std": 1.2, "h.bias_mean": 0.4}, input_variance=1.0
    )
    found = by_sites(cell, p, input_correlation=0.5)
    assert isinstance(AffineSites.of(cell, p, 0), AffineSites)
    q, c = found.preactivation_variances, found.correlations
    own = normal(lambda y: math.tanh(math.sin(y)) ** 2, q["h"], 0.4)
    assert q["g"] == pytest.approx(1.44 * own + 0.49, rel=1e-6)
    std, rest = math.sqrt(q["h"]), math.sqrt(1 - c["h"] ** 2)

    def product(a: float, b: float) -> float:
        first, second = std * a, std * (c["h"] * a + rest * b)
        weight = math.exp(-(a * a + b * b) / 2) / (2 * math.pi)
        return weight * math.tanh(math.sin(0.4 + first)) * math.tanh(math.sin(0.4 + second))

    shared, _ = dblquad(product, -8, 8, -8, 8, epsabs=1e-8)
    assert c["g"] == pytest.approx((1.44 * shared + 0.49 * 0.5) / q["g"], rel=1e-5)


def test_what_turns_as_it_falls_falls_by_its_modulus() -> None:
    """Through a delay of one step: lambda^2 = sigma_w^2 E[sign(e) sign(e')] < 0."""
    cell = Cell("late", (s, t), x, (Preactivation("g", e, t),), (sp.Abs(e), s))
    p = Parameters.of(cell, weight_std=0.6, input_std=1.0, input_variance=1.0)
    found = by_sites(cell, p, input_correlation=-1.0)
    (c,) = found.correlations.values()
    assert c < 0
    arc = 2 / math.pi * math.asin(c)
    assert abs(found.chi) == pytest.approx(math.sqrt(0.36 * abs(arc)), rel=1e-6)


def test_functions_of_memory_are_not_lifted() -> None:
    leaky = Cell("leaky", (s,), x, (Preactivation("g", e, sp.tanh(s)),), (s / 2 + e / 2,))
    assert lifted_cell(leaky) is None


def test_one_step_beside_frozen_biases_of_two_gates() -> None:
    """Averages of slopes and of squares need different states, and the same values of biases."""
    a, b = sp.symbols("a b", real=True)
    bump = sp.exp(-(f**2) / 2)
    cell = Cell(
        "gates", (a, b), x,
        (Preactivation("keep", e, sp.tanh(b)), Preactivation("write", f, a - b / 2)),
        (a * sigmoid(e) + (1 - sigmoid(e)) * bump, sigmoid(e)),
    )  # fmt: skip
    keep = {"keep.weight_std": 1.0, "keep.input_std": 0.6, "keep.bias_std": 0.7}
    write = {"write.weight_std": 0.7, "write.input_std": 1.2, "write.bias_std": 0.4}
    means = {"keep.bias_mean": 2.0, "write.bias_mean": 2.0, "input_variance": 0.7}
    parameters = Parameters.of(cell, keep | write | means, bias_kind="frozen")
    found = by_sites(cell, parameters).growth_rate(1)

    rng, sites = np.random.default_rng(0), 2**17
    biases = [0.7 * rng.standard_normal(sites), 0.4 * rng.standard_normal(sites)]
    h, v, shown = np.zeros(sites), np.zeros(sites), []
    for step in range(160):
        q = np.mean(np.tanh(v) ** 2) + 0.36 * 0.7, 0.49 * np.mean((h - v / 2) ** 2) + 1.44 * 0.7
        E, F = (
            2 + z + math.sqrt(k) * rng.standard_normal(sites)
            for z, k in zip(biases, q, strict=True)
        )
        g, w = 1 / (1 + np.exp(-E)), np.exp(-(F**2) / 2)
        if step >= 80:  # E|J v|^2 of a unit vector v over both states
            by_keep = np.mean((g * (1 - g) * (h - w)) ** 2 + (g * (1 - g)) ** 2)
            by_write = 0.49 * np.mean(((1 - g) * F * w) ** 2) * (1 + 1 / 4)
            shown.append((np.mean(g**2) + by_keep * np.mean(np.cosh(v) ** -4) + by_write) / 2)
        h, v = h * g + (1 - g) * w, g
    # 80 steps of 2^17 sites, whose biases scatter by 1/sqrt(2^17)
    assert found == pytest.approx(np.mean(shown), rel=4 / math.sqrt(sites))
