"""Gates that are as good as open or shut, and weights that are as good as none."""

import math

import mpmath as mp
import numpy as np
import pytest

from rmt_jacobian.cells import Parameters, gru, lstm, lstm_peephole, minimalrnn
from rmt_jacobian.errors import InfeasibleError
from rmt_jacobian.mean_field import site_law, untied_mean_field

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
    found = untied_mean_field(gru, p, input_correlation=0.5)
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
    found = untied_mean_field(
        lstm, Parameters.of(lstm, {**POINT, "bias_mean": 30.0}), input_correlation=0.5
    )
    assert found.correlations["forget"] == pytest.approx((2.25 + 0.5) / 3.25, rel=1e-11, abs=0)
    lost = average(lambda e: gate(-e) * (1 + gate(e)), 30, 3.25)
    assert found.chi1 == pytest.approx(1 - float(lost), abs=1e-15)


@pytest.mark.parametrize("cell", [gru, lstm, lstm_peephole], ids=lambda cell: cell.name)
def test_weights_that_are_as_good_as_none(cell):
    """What the first gate keeps is all: E[f^2], and E[f f'] at the correlation of the inputs."""
    p = Parameters.of(cell, {**POINT, "weight_std": 1e-30})
    found = untied_mean_field(cell, p, input_correlation=0.5)
    assert found.correlations[cell.preactivations[0].name] == pytest.approx(0.5)
    assert found.chi1 == pytest.approx(
        float(average(lambda e: gate(e) ** 2, 0, 1)), rel=1e-7, abs=0
    )
    x = np.linspace(-11, 11, 661)
    w = np.exp(-(x**2) / 2) / np.exp(-(x**2) / 2).sum()
    other = x[:, None] / 2 + math.sqrt(0.75) * x
    both = (w / (1 + np.exp(-x))) @ (1 / (1 + np.exp(-other))) @ w
    assert found.chi == pytest.approx(both, rel=1e-7, abs=0)
