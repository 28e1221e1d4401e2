"""Orbits of noisy maps that leave a fixed point, or reach one, by little a step."""

import numpy as np
import pytest

from rmt_jacobian.mean_field.replicated.orbits import followed


class Noisy:
    """Eight estimates of a map, with the same relative errors at every point."""

    def __init__(self, function, size: float, noise: float = 3e-5) -> None:
        self.function, self.calls = function, 0
        self.errors = noise * np.random.default_rng(0).standard_normal((8, round(size)))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        self.calls += 1
        return self.function(x) * (1 + self.errors)


def test_an_orbit_that_creeps_from_0_is_led_to_its_end() -> None:
    """x -> x (1.004 - x / 50) ends at 0.2; from 1e-3 the orbit itself takes 1,700 steps."""
    image = Noisy(lambda x: x * (1.004 - x / 50), 1)
    found = followed(image, np.array([1e-3]), "", slow=True)
    assert found.converged
    # an error of 1e-5 of a step is one of 1e-5 / 0.004 of the end
    assert found.value == pytest.approx([0.2], rel=3e-2)
    assert image.calls < 100


def test_two_sources_that_feed_each_other_with_a_delay() -> None:
    """(u, v) -> (g(v), u): the slopes are 1.002 and -1.002, and steps go to and fro."""
    image = Noisy(lambda x: np.array([x[1] * (1.004 - x[1] / 50), x[0]]), 2)
    found = followed(image, np.array([1e-3, 1e-3]), "", slow=True)
    assert found.converged
    assert found.value == pytest.approx([0.2, 0.2], rel=3e-2)
    assert image.calls < 150


def test_an_orbit_ends_at_the_first_of_two_ends_far_apart() -> None:
    """x -> x + x (a - x)(b - x)(c - x) / 10 has ends at a and c: from below b it is a."""
    image = Noisy(lambda x: x + x * (0.3 - x) * (0.45 - x) * (0.6 - x) / 3, 1, noise=1e-6)
    found = followed(image, np.array([0.02]), "", slow=True)
    assert found.value == pytest.approx([0.3], rel=1e-2)
    assert image.calls < 100
