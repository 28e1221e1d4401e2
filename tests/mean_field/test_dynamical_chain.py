"""The chain behind tied steady states: what it forgets, and its spectra in closed form."""

import numpy as np
import pytest

from rmt_jacobian.cells import Parameters, gru, vanilla
from rmt_jacobian.mean_field import tied_steady_state
from rmt_jacobian.mean_field.tied import steady_state as dynamical
from rmt_jacobian.mean_field.tied.chain import Chain, follow
from rmt_jacobian.mean_field.tied.circle import SitesOnCircle, lagged, spectrum_of

P = 64


def test_spectra_and_covariances_of_an_autoregression_on_a_circle():
    """C(tau) = (a^tau + a^(P - tau)) / (1 - a^P), lambda = (1 - a^2) / |1 - a e^(i omega)|^2."""
    a, lags = 0.8, np.arange(P // 2 + 1)
    C = (a**lags + a ** (P - lags)) / (1 - a**P)
    spectrum = (1 - a**2) / np.abs(1 - a * np.exp(2j * np.pi * lags / P)) ** 2
    assert lagged(spectrum, P) == pytest.approx(C, rel=1e-12)
    assert spectrum_of(C, P) == pytest.approx(spectrum, rel=1e-9)
    # Longer lags than are given repeat the last one.
    assert lagged(spectrum_of(np.array([3.0, 1.0]), P), P)[[0, 1, 2, 32]] == pytest.approx(
        [3, 1, 1, 1]
    )


@pytest.mark.parametrize(("keeping", "enough"), [(0.99, False), (0.9, False), (0.8, True)])
@pytest.mark.parametrize("turn", [0, np.pi / 2, np.pi])
def test_an_oscillation_is_a_memory(keeping, enough, turn):
    """At a quarter of the circle 0.9^16 = 0.19 is left and 0.8^16 = 0.03; 0.05 is allowed."""
    lags = np.arange(P // 2 + 1)
    C = keeping**lags * np.cos(turn * lags)
    circle = SitesOnCircle(
        vanilla, Parameters.of(vanilla), "fresh", P, 2, 8, np.random.default_rng(0), 1.0
    )
    assert dynamical._long_enough(circle, spectrum_of(C, P)[None]) is enough


def chain(start: np.ndarray, seed: int = 0) -> Chain:
    p = Parameters.of(gru, input_std=0).with_values(
        {"update.weight_std": 1.0, "candidate.weight_std": 3.0}
    )
    rng = np.random.default_rng(seed)
    return Chain(SitesOnCircle(gru, p, "fresh", P, 4, 16, rng, 1.0), start, np.ones(3))


def start(size: float) -> np.ndarray:
    return np.tile(spectrum_of(size * 0.9 ** np.arange(P), P), (3, 1))


def run(start: np.ndarray, laps: int = 64) -> np.ndarray:
    found = chain(start)
    while found.laps < laps:
        found.run(lambda: None)
    return found.average().spectra


def test_the_end_does_not_hang_on_rounding():
    """The point of the literature next to a transition, where few fixed numbers have no answer."""
    whole, rounded = run(start(0.3)), run(start(0.3) * (1 + 1e-10))
    change = np.abs(lagged(rounded - whole, P)).max()
    assert 0 < change < 1e-10 * lagged(whole, P).max()


def test_the_start_is_forgotten():
    low, high = run(start(0.15), 128), run(start(0.6), 128)
    change = np.abs(lagged(high - low, P)).max()
    assert change < 2e-3 * lagged(low, P).max()


def test_a_drift_is_seen():
    """Small fluctuations grow for long; later laps do not drift beyond their errors."""
    found = chain(start(1e-12))
    for _ in range(4):
        found.run(lambda: None)
    assert found.drift()[1] > 4
    assert not found.settled(None)
    assert follow(found, laps=64, limit=1024, tolerance=None, each_lap=lambda left: None)
    assert found.drift()[1] <= 4


@pytest.mark.slow
def test_deviations_are_responses_of_the_whole_chain():
    """The error of the mean of 64 laps, next to the scatter of chains with other numbers."""
    found = []
    for seed in range(24):
        one = chain(start(0.3), seed)
        while one.laps < 64:
            one.run(lambda: None)
        found.append(one.average().variances(P))
    values = np.array([value[0] for value, _ in found])
    errors = np.array([error[0] for _, error in found])
    ratio = values.std(axis=0, ddof=1) / np.sqrt((errors**2).mean(axis=0))
    # 23 degrees of freedom, and 3 in each of the 24 errors: 15 % and 12 %.
    assert np.all(np.abs(np.log(ratio)) < 3 * np.hypot(0.15, 0.12))


@pytest.mark.slow
@pytest.mark.thorough
def test_seeds_differ_by_their_errors_on_circles_of_either_length():
    """At (a_z, a_r) = (1/2, 2) the first look is content with 64 steps, or asks for 128."""
    weights = {"update.weight_std": 0.5, "reset.weight_std": 2.0, "candidate.weight_std": 3.0}
    p = Parameters.of(gru, input_std=0).with_values(weights)
    runs = [tied_steady_state(gru, p, lags=4, sites=960, seed=seed) for seed in range(4)]
    assert all(run.converged for run in runs)
    assert {run.period for run in runs} == {64, 128}
    values = np.array([run.state_covariances[0, [0, 4]] for run in runs])
    errors = np.array([run.state_errors[0, [0, 4]] for run in runs])
    scatter = values.std(axis=0, ddof=1) / np.sqrt((errors**2).mean(axis=0))
    # The root of chi^2 / 3 with 3 degrees of freedom: outside of 0.09 to 2.5 in 1 of 1000.
    assert np.all((scatter > 0.09) & (scatter < 2.5))
