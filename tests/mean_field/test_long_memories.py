"""States of memories that take very many steps to settle."""

import math

import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermegauss

from rmt_jacobian.arrays import array_generator
from rmt_jacobian.cells import Parameters, minimalrnn
from rmt_jacobian.mean_field import site_law, stationary_states
from rmt_jacobian.mean_field.closed import population


def law_at(bias: float):
    return site_law(minimalrnn, Parameters.of(minimalrnn, bias_mean=bias))


def moments(law, bias: float) -> tuple[float, float]:
    """E[h^2] and E[h^4] of h' = u h + (1 - u) x by a quadrature over the gate."""
    z, w = hermegauss(200)
    w = w / w.sum()
    lost = 1 / (1 + np.exp(bias + math.sqrt(law.preactivation_variance) * z))
    R = law.parameters.input_variance
    u = 1 - lost
    second = R * (w @ lost**2) / (w @ (lost * (2 - lost)))
    fourth = 6 * (w @ (u**2 * lost**2)) * second * R + 3 * R**2 * (w @ lost**4)
    return second, fourth / (w @ (lost * (1 + u + u**2 + u**3)))


@pytest.mark.parametrize("bias", [3.0, 9.0, 11.0])
def test_states_have_the_moments_of_the_law(bias: float) -> None:
    law, count = law_at(bias), 2**16
    h = stationary_states(law, count, np.random.default_rng(0))
    second, fourth = moments(law, bias)
    # Four standard errors of nearly Gaussian values; composed sites are not quite independent.
    assert np.mean(h**2) == pytest.approx(second, rel=8 * math.sqrt(2 / count))
    assert np.mean(h**4) == pytest.approx(fourth, rel=8 * math.sqrt(96 / 9 / count))


def test_few_sites_of_a_long_memory_are_as_independent() -> None:
    law = law_at(13.0)
    squares = np.array([
        np.mean(stationary_states(law, 16, np.random.default_rng(seed)) ** 2) for seed in range(24)
    ]) / law.state_variance  # fmt: skip
    spread = math.sqrt(2 / 16)
    assert np.mean(squares) == pytest.approx(1, abs=4 * spread / math.sqrt(24))
    assert spread / 1.6 < np.std(squares) < 1.6 * spread


def test_no_memory_takes_more_steps_than_are_run(monkeypatch) -> None:
    """A gate bias of 30 forgets 1e-13 a step; the number of steps that are run is bounded."""
    ran, run = [], population._run

    def counted(law, h, width, steps, rng):
        ran.append(steps)
        return run(law, h, width, steps, rng)

    monkeypatch.setattr(population, "_run", counted)
    for bias in (8.0, 12.0, 30.0):
        stationary_states(law_at(bias), 32, array_generator(np.random.default_rng(0)))
    assert max(ran) <= population._MOST_STEPS
