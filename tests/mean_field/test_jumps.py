"""Gates and activations that jump: slopes of correlation maps, which delta functions enter."""

import math

import numpy as np
import pytest
import sympy as sp
from scipy.stats import multivariate_normal

from rmt_jacobian.cells import Cell, Parameters, Preactivation, gru_cell, lstm_cell, vanilla_cell
from rmt_jacobian.errors import HypothesisError
from rmt_jacobian.mean_field import PairState, site_law, untied_state
from tests.mean_field.two_routes import by_map, by_sites

_X = np.linspace(-11, 11, 661)  # the trapezoidal rule, exact to rounding for what is smooth here
_W = np.exp(-(_X**2) / 2)
_W = _W / _W.sum()
_h, _v, _x, _d, _e, _g = sp.symbols("h v x d e g", real=True)


def both_above(mean, variance, covariance):
    """P(e_1, e_2 > 0)."""
    c = covariance / variance
    return multivariate_normal.cdf([mean / math.sqrt(variance)] * 2, [0, 0], [[1, c], [c, 1]])


def above(mean, variance):
    return 0.5 * math.erfc(-mean / math.sqrt(2 * variance))


def normal_pair(a, b, variance, covariance):
    """The joint density of two Gaussian variables of mean 0."""
    rest = variance**2 - covariance**2
    power = (variance * (a * a + b * b) - 2 * covariance * a * b) / (2 * rest)
    return np.exp(-power) / (2 * math.pi * np.sqrt(rest))


def smooth_pair(f, mean, variance, covariance):
    """E f(e_1) f(e_2) of a smooth function."""
    c = covariance / variance
    one = mean + math.sqrt(variance) * _X[:, None]
    two = mean + math.sqrt(variance) * (c * _X[:, None] + math.sqrt(1 - c * c) * _X)
    return float(_W @ (f(one) * f(two)) @ _W)


HARD_GRU = {
    "update.weight_std": 2.0, "update.input_std": 0.5, "update.bias_mean": 0.4,
    "reset.weight_std": 1.0, "reset.input_std": 0.8, "reset.bias_mean": -0.2,
    "candidate.weight_std": 1.5, "candidate.input_std": 1.0, "candidate.bias_mean": 0.3,
    "input_variance": 0.9,
}  # fmt: skip


@pytest.mark.parametrize("sigma_12", [-0.3, 0.5, 0.99])
def test_a_gru_whose_gates_are_steps(sigma_12):
    """Its correlation map is one function of E[h_1 h_2], which is differentiated numerically."""
    p = HARD_GRU
    cell = gru_cell(gate=sp.Heaviside)
    found = by_sites(cell, Parameters.of(cell, p), input_correlation=sigma_12)
    q = found.preactivation_variances

    def image(u):
        reset = {}
        shared = {}
        for name in ("update", "reset", "candidate"):
            source = u
            if name == "candidate":
                mean = p["reset.bias_mean"]
                source = u * both_above(mean, q["reset"], reset["reset"])
            s, n = p[f"{name}.weight_std"], p[f"{name}.input_std"]
            reset[name] = shared[name] = s * s * source + n * n * 0.9 * sigma_12
        open_mean = above(p["update.bias_mean"], q["update"])
        kept = both_above(p["update.bias_mean"], q["update"], shared["update"])
        one_kept, written = open_mean - kept, 1 - 2 * open_mean + kept
        at = p["candidate.bias_mean"], q["candidate"]
        mean = float(_W @ np.tanh(at[0] + math.sqrt(at[1]) * _X))
        fresh = smooth_pair(np.tanh, *at, shared["candidate"])
        return kept * u + 2 * one_kept * mean * mean + written * fresh

    u = found.source_squares["update"] * found.source_correlations["update"]
    assert image(u) == pytest.approx(u, rel=1e-7)
    step = 1e-3 * abs(q["update"] - u) / 10
    far, near = ((image(u + k * step) - image(u - k * step)) / (2 * k * step) for k in (2, 1))
    assert found.chi == pytest.approx((4 * near - far) / 3, rel=1e-6)
    assert found.chi1 == math.inf
    assert found.errors["chi1"] == 0.0


def test_a_sum_that_jumps_in_two_preactivations():
    """h' = sign(e + g), v' = h, and W reads h and v: 1 = E'(s^2 / chi + t^2 / chi^2)."""
    cell = Cell(
        "delayed", (_h, _v), _x,
        (Preactivation("a", _e, _h), Preactivation("b", _g, _v)),
        (sp.sign(_e + _g), _h),
    )  # fmt: skip
    p = {"a.weight_std": 0.5, "b.weight_std": 0.6, "a.input_std": 0.9, "b.input_std": 0.4,
         "input_variance": 1.1}  # fmt: skip
    found = by_sites(cell, Parameters.of(cell, p), input_correlation=0.3)
    q = 0.25 + 0.36 + (0.81 + 0.16) * 1.1
    u = 0.0
    for _ in range(500):
        c = ((0.25 + 0.36) * u + (0.81 + 0.16) * 1.1 * 0.3) / q
        u = 2 / math.pi * math.asin(c)
    slope = 2 / math.pi / (q * math.sqrt(1 - c * c))
    chi = max(np.roots([1, -slope * 0.25, -slope * 0.36]))
    assert found.source_correlations["a"] == pytest.approx(u, rel=1e-9)
    assert found.chi == pytest.approx(chi, rel=1e-8)
    assert found.chi1 == math.inf


def entangled():
    return Cell(
        "entangled", (_h,), _x,
        (Preactivation("a", _e, _h), Preactivation("b", _g, _h)),
        (sp.Heaviside(_e + sp.tanh(_g)),),
    )  # fmt: skip


def test_a_jump_whose_place_another_preactivation_moves():
    """Given g the slopes are densities: that of e at -tanh g, and the same times sech^2 for g."""
    p = {"a.weight_std": 1.2, "b.weight_std": 1.6, "a.input_std": 0.9, "b.input_std": 0.7,
         "input_variance": 1.0}  # fmt: skip
    found = by_sites(entangled(), Parameters.of(entangled(), p), input_correlation=0.4)
    q, c = found.preactivation_variances, found.correlations
    one = math.sqrt(q["b"]) * _X[:, None]
    two = math.sqrt(q["b"]) * (c["b"] * _X[:, None] + math.sqrt(1 - c["b"] ** 2) * _X)
    density = normal_pair(np.tanh(one), np.tanh(two), q["a"], c["a"] * q["a"])
    by_e = _W @ density @ _W
    by_g = _W @ (density / (np.cosh(one) * np.cosh(two)) ** 2) @ _W
    assert found.errors["chi"] <= 1e-2 * found.chi
    assert found.chi == pytest.approx(1.44 * by_e + 2.56 * by_g, abs=2 * found.errors["chi"])
    assert found.chi1 == math.inf


@pytest.mark.slow
def test_a_frozen_bias_of_a_gate_that_is_a_step():
    """h' = H(e) tanh(g), b on e frozen: chi = s^2 E_b[p(e_1 = e_2 = 0)] E[tanh tanh] + ..."""
    cell = Cell(
        "frozen", (_h,), _x,
        (Preactivation("a", _e, _h), Preactivation("b", _g, _h)),
        (sp.Heaviside(_e) * sp.tanh(_g),),
    )  # fmt: skip
    p = {"a.weight_std": 1.2, "b.weight_std": 1.6, "a.input_std": 0.9, "b.input_std": 0.7,
         "a.bias_std": 0.5, "input_variance": 1.0}  # fmt: skip
    found = by_sites(cell, Parameters.of(cell, p, bias_kind="frozen"), input_correlation=0.4)
    u = found.source_squares["a"] * found.source_correlations["a"]
    square = found.source_squares["a"]
    q, shared = 1.44 * square + 0.81, 1.44 * u + 0.81 * 0.4
    r, other = 2.56 * square + 0.49, 2.56 * u + 0.49 * 0.4
    b = 0.5 * _X
    density = float(_W @ normal_pair(b, b, q, shared))
    kept = float(_W @ [both_above(each, q, shared) for each in b])
    fresh = smooth_pair(np.tanh, 0.0, r, other)
    slope = smooth_pair(lambda e: 1 / np.cosh(e) ** 2, 0.0, r, other)
    assert kept * fresh == pytest.approx(u, rel=1e-6)
    assert found.chi == pytest.approx(1.44 * density * fresh + 2.56 * kept * slope, rel=1e-6)


@pytest.mark.parametrize(
    ("changed", "infinite"),
    [
        ({}, True),
        ({"candidate.weight_std": 0.0}, True),  # through the update gate
        ({"update.weight_std": 0.0, "candidate.weight_std": 0.0}, False),  # nothing reaches a jump
        ({"update.weight_std": 0.0, "reset.weight_std": 0.0}, False),
    ],
)
def test_the_slope_at_1_is_infinite_where_a_change_meets_a_jump(changed, infinite):
    cell = gru_cell(gate=sp.Heaviside)
    p = Parameters.of(cell, {**HARD_GRU, **changed})
    state = untied_state(cell, p)
    same = PairState(state, 1.0, state.source_squares)
    assert math.isinf(same.chi) == infinite
    if not infinite:  # E[z^2] + s_y^2 E[r] C, by derivatives almost everywhere
        q = dict(zip(("update", "reset", "candidate"), state.preactivation_variances, strict=True))
        kept = above(0.4, q["update"])
        seen = above(-0.2, q["reset"])
        at = 0.3 + math.sqrt(q["candidate"]) * _X
        rate = kept + p.groups[2][1].weight_std ** 2 * seen * (1 - kept) * _W @ np.cosh(at) ** -4.0
        assert same.chi == pytest.approx(rate, rel=1e-9)
    assert math.isfinite(same.gradient_growth)


def test_a_jump_that_nothing_reads_back_does_not_count():
    def cell_of(read):
        return Cell(
            "side", (_h, _v), _x,
            (Preactivation("a", _e, _h), Preactivation("b", _g, _h)),
            (sp.tanh(_e), sp.sign(_g) + read),
        )  # fmt: skip

    cell = cell_of(_v / 2)
    p = Parameters.of(cell, {"a.weight_std": 1.3, "a.input_std": 0.8, "b.weight_std": 1.0,
                             "b.input_std": 0.0, "input_variance": 1.0})  # fmt: skip
    state = untied_state(cell, p)
    at = math.sqrt(state.preactivation_variances[0]) * _X
    assert PairState(state, 1.0, state.source_squares).chi == pytest.approx(
        1.69 * _W @ np.cosh(at) ** -4.0, rel=1e-9
    )


def test_gradients_see_no_jumps():
    """E[z] + s_y^2 E[r] E[1 - z] E[tanh'^2] a step, for gates that are steps."""
    cell = gru_cell(gate=sp.Heaviside)
    found = by_sites(cell, Parameters.of(cell, HARD_GRU))
    q = found.preactivation_variances
    kept, seen = above(0.4, q["update"]), above(-0.2, q["reset"])
    at = 0.3 + math.sqrt(q["candidate"]) * _X
    rate = kept + 1.5**2 * seen * (1 - kept) * _W @ np.cosh(at) ** -4.0
    assert found.same.gradient_growth == pytest.approx(rate, rel=1e-9)
    assert found.growth_rate(40) == pytest.approx(rate, rel=1e-9)
    assert found.chi1 == math.inf


def test_the_closed_site():
    cell = vanilla_cell(sp.sign)
    p = Parameters.of(cell, weight_std=0.7, input_std=0.5, input_variance=1.0)
    found = by_map(cell, p, input_correlation=0.4)
    assert found.chi1 == math.inf
    assert site_law(cell, p).chi1 == 0.0
    assert found.chi == pytest.approx(
        0.49 * 2 / math.pi / (0.74 * math.sqrt(1 - found.correlation**2)), rel=1e-9
    )
    assert all(math.isfinite(error) for error in found.errors.values())


def test_jumps_of_a_gate_that_cancel_where_both_networks_see_the_same():
    """h' = H(e) h + (1 - H(e)) / 2: E[h] is 1/2, and so is h: no jump is met."""
    cell = Cell(
        "still", (_h,), _x, (Preactivation("a", _e, _h),),
        (sp.Heaviside(_e) * _h + (1 - sp.Heaviside(_e)) / 2,),
    )  # fmt: skip
    p = Parameters.of(cell, weight_std=1.0, input_std=1.0, input_variance=1.0)
    assert by_map(cell, p).chi1 == pytest.approx(0.5)
    state = untied_state(cell, p)
    assert PairState(state, 1.0, state.source_squares).chi == pytest.approx(0.5)


def test_populations_refuse_slopes_that_they_cannot_see():
    cell = lstm_cell(gate=sp.Heaviside)
    p = Parameters.of(cell, weight_std=0.8, input_std=1.0, input_variance=1.0)
    state = untied_state(cell, p)
    same = PairState(state, 1.0, state.source_squares)
    assert same.chi == math.inf
    assert 0 < same.growth_rate(5) < 1
    apart = PairState(state, 0.5, tuple(square / 2 for square in state.source_squares))
    with pytest.raises(HypothesisError, match="e_f, e_i, e_o"):
        _ = apart.chi


def test_a_state_that_jumps_is_not_taken_for_a_constant():
    """y = sign(h) of a state that remembers: E[y^2] = 1, where y(h = 0) = 0."""
    cell = Cell(
        "binary", (_h,), _x, (Preactivation("a", _e, sp.sign(_h)),), (sp.tanh(_e) + _h / 2,)
    )
    p = Parameters.of(cell, weight_std=1.5, input_std=0.5, input_variance=1.0)
    state = untied_state(cell, p)
    assert state.source_squares == pytest.approx((1.0,), rel=1e-9)
    at = math.sqrt(2.25 + 0.25) * _X
    assert state.state_squares == pytest.approx((_W @ np.tanh(at) ** 2 * 4 / 3,), rel=1e-2)
    stepping = Cell("stepping", (_h,), _x, (Preactivation("a", _e, _h),),
                    (sp.Heaviside(_h) + sp.tanh(_e),))  # fmt: skip
    with pytest.raises(HypothesisError, match="update"):
        site_law(
            stepping, Parameters.of(stepping, weight_std=1.0, input_std=1.0, input_variance=1.0)
        )
