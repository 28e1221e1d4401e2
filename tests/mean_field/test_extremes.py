"""Gates that are as good as open or shut, and weights that are as good as none."""

import math

import mpmath as mp
import numpy as np
import pytest

from rmt_jacobian.cells import Parameters, gru, lstm, lstm_peephole, minimalrnn
from rmt_jacobian.errors import InfeasibleError
from rmt_jacobian.mean_field import pair_state, site_law, untied_state
from tests.mean_field.two_routes import by_sites

POINT = {"weight_std": 1.5, "input_std": 1.0, "input_variance": 1.0, "bias_mean": 0.0}


def gate(e):
    return 1 / (1 + mp.exp(-e))


def average(f, mean, variance):
    with mp.workdps(40):
        std = mp.sqrt(mp.mpf(variance))
        return mp.quad(lambda z: f(mean + std * z) * mp.npdf(z), list(range(-14, 15, 2)))


@pytest.mark.parametrize("bias", [-30, 20, 30, 36])
def test_moments_of_a_memory_that_hardly_forgets(bias):
    """E[h^4] (1 - E u^4) = 3 R^2 E[(1-u)^4] + 6 R E[u^2 (1-u)^2] E[h^2], to all digits."""
    law = site_law(minimalrnn, Parameters.of(minimalrnn, {**POINT, "bias_mean": bias}))
    q = law.preactivation_variance

    def fresh(k, n):
        return average(lambda e: gate(e) ** k * gate(-e) ** (n - k), bias, q)

    def forgotten(n):
        return average(
            lambda e: gate(-e) * sum((gate(e) ** i for i in range(n)), mp.mpf(0)), bias, q
        )

    second = fresh(0, 2) / forgotten(2)
    fourth = (3 * fresh(0, 4) + 6 * fresh(2, 4) * second) / forgotten(4)
    assert law.state_variance == pytest.approx(float(second), rel=1e-12, abs=0)
    assert law.state_moment(4) == pytest.approx(float(fourth), rel=1e-12, abs=0)
    assert q == pytest.approx(2.25 * float(second) + 1, rel=1e-12, abs=0)


def test_a_memory_that_forgets_less_than_rounding_still_forgets():
    law = site_law(minimalrnn, Parameters.of(minimalrnn, {**POINT, "bias_mean": 60.0}))
    # 1 - u = exp(-e): E[h^2] = E[exp(-2 e)] / (2 E[exp(-e)])
    assert law.state_variance == pytest.approx(math.exp(-60 + 1.5) / 2, rel=1e-6, abs=0)
    never = Parameters.of(minimalrnn, {**POINT, "bias_mean": 2000.0})
    with pytest.raises(InfeasibleError, match="for ever"):
        site_law(minimalrnn, never)


@pytest.mark.parametrize("bias", [-30.0, 30.0])
def test_a_gru_whose_candidate_is_saturated(bias):
    """h = -1 or 1: both networks are the same, and c = (s^2 + n^2 R S) / q by inputs alone."""
    p = Parameters.of(gru, {**POINT, "bias_mean": bias})
    found = by_sites(gru, p, input_correlation=0.5)
    q, c = 2.25 + 1, (2.25 + 0.5) / 3.25
    assert found.source_squares["update"] == pytest.approx(1, rel=1e-12, abs=0)
    assert found.source_correlations["update"] == pytest.approx(1, abs=1e-11)
    assert found.correlations["update"] == pytest.approx(c, rel=1e-11, abs=0)
    if bias < 0:  # r = exp(e)
        assert found.source_correlations["candidate"] == pytest.approx(
            math.exp(-q * (1 - c)), rel=1e-9
        )
        # What is kept, z^2 = exp(2 e); W adds nothing, as tanh' and h - phi vanish.
        assert found.chi1 == pytest.approx(math.exp(-60 + 2 * q), rel=1e-9, abs=0)
        assert found.chi == pytest.approx(math.exp(-60 + q * (1 + c)), rel=1e-9, abs=0)


def test_an_lstm_whose_memory_is_saturated():
    found = by_sites(lstm, Parameters.of(lstm, {**POINT, "bias_mean": 30.0}), input_correlation=0.5)
    assert found.correlations["forget"] == pytest.approx((2.25 + 0.5) / 3.25, rel=1e-11, abs=0)
    lost = average(lambda e: gate(-e) * (1 + gate(e)), 30, 3.25)
    assert found.chi1 == pytest.approx(1 - float(lost), abs=1e-15)


@pytest.mark.parametrize(
    "cell",
    [gru, pytest.param(lstm, marks=pytest.mark.thorough), lstm_peephole],
    ids=lambda cell: cell.name,
)
def test_weights_that_are_as_good_as_none(cell):
    """What the first gate keeps is all: E[f^2], and E[f f'] at the correlation of the inputs."""
    p = Parameters.of(cell, {**POINT, "weight_std": 1e-30})
    found = by_sites(cell, p, input_correlation=0.5)
    assert found.correlations[cell.preactivations[0].name] == pytest.approx(0.5)
    assert found.chi1 == pytest.approx(
        float(average(lambda e: gate(e) ** 2, 0, 1)), rel=1e-7, abs=0
    )
    x = np.linspace(-11, 11, 661)
    w = np.exp(-(x**2) / 2) / np.exp(-(x**2) / 2).sum()
    other = x[:, None] / 2 + math.sqrt(0.75) * x
    both = (w / (1 + np.exp(-x))) @ (1 / (1 + np.exp(-other))) @ w
    assert found.chi == pytest.approx(both, rel=1e-7, abs=0)


def normal(count, reach=9.0):
    x = np.linspace(-reach, reach, count)
    w = np.exp(-(x**2) / 2)
    return x, w / w.sum()


def two(f, mean, q, shared, count=361):
    """E f(e_1) f(e_2)."""
    x, w = normal(count)
    c = shared / q
    one = mean + math.sqrt(q) * x[:, None]
    other = mean + math.sqrt(q) * (c * x[:, None] + math.sqrt(1 - c * c) * x)
    return w @ (f(one) * f(other)) @ w


def expit(e):
    return 1 / (1 + np.exp(-e))


def shut(e):
    return 1 / (1 + np.exp(e))


@pytest.mark.parametrize("bias", [pytest.param(12.0, marks=pytest.mark.thorough), 15.0])
def test_a_memory_of_very_many_steps_is_gaussian(bias):
    """A sum of 1e5 parts: c has a Gaussian law, of variance E[i^2] E[tanh^2] / (1 - E[f^2])."""
    p = Parameters.of(
        lstm, {**POINT, "weight_std": 1.0, "bias_mean": 0.0, "forget.bias_mean": bias}
    )
    state = untied_state(lstm, p)
    pair = pair_state(state, 0.5)
    square, product = 0.3, 0.15
    for _ in range(60):
        q, shared = square + 1, product + 0.5
        written = two(expit, 0, q, q) * two(np.tanh, 0, q, q)
        x, w = normal(2001)
        at = bias + math.sqrt(q) * x
        variance = written / (w @ (shut(at) * (1 + expit(at))))
        both = two(expit, 0, q, shared) * two(np.tanh, 0, q, shared)
        # 1 - f f' = (1 - f) + (1 - f') - (1 - f)(1 - f')
        c = both / (2 * (w @ shut(at)) - two(shut, bias, q, shared)) / variance
        x, w = normal(40_001, 6.0)
        seen = w @ np.tanh(math.sqrt(variance) * x) ** 2
        x, w = normal(801, 6.0)
        centre, spread = math.sqrt(variance) * c * x, math.sqrt(variance * (1 - c * c))
        blurred = [w @ np.tanh(each + spread * x) for each in centre]
        square = two(expit, 0, q, q) * seen
        product = two(expit, 0, q, shared) * (w @ (np.tanh(math.sqrt(variance) * x) * blurred))
    assert state.source_squares[0] == pytest.approx(square, abs=1.5 * state.source_square_errors[0])
    assert state.source_square_errors[0] < 1e-2 * square
    assert pair.correlations[0] == pytest.approx(
        (product + 0.5) / (square + 1), abs=1.5 * pair.correlation_errors[0]
    )
    assert pair.correlation_errors[0] < 1e-2
