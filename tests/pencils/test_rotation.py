"""One step without a gate and with orthogonal W."""

import math

import numpy as np
import pytest
from scipy.special import ndtr

from rmt_jacobian.cells import Parameters, vanilla
from rmt_jacobian.mean_field import site_law
from rmt_jacobian.pencils import singular_value_law

PARAMETERS = Parameters.of(vanilla).with_values(weight_std=1.5, input_std=0.5)


def exact_cdf(s: np.ndarray) -> np.ndarray:
    """The singular values are sigma_w / cosh(e)^2 with e ~ N(0, q)."""
    std = math.sqrt(site_law(vanilla, PARAMETERS).preactivation_variance)
    e = np.arccosh(np.sqrt(1.5 / np.minimum(s, 1.5)))
    return 2 * ndtr(-e / std)


def test_the_law_is_that_of_the_slopes() -> None:
    law = singular_value_law(vanilla, PARAMETERS, weights="orthogonal", steps=1)
    s = np.linspace(0.05, 1.499, 300)
    assert np.max(np.abs(law.cdf(s) - exact_cdf(s))) < 4 / 1024
    assert len(law.support_intervals()) == 1
    assert np.all(np.diff(law.cdf(s)) >= 0)
    assert 0 < law.error_estimate < 4 / 1024


def test_moments_are_those_of_the_equation() -> None:
    law = singular_value_law(vanilla, PARAMETERS, weights="orthogonal", steps=1, squared=True)
    point = site_law(vanilla, PARAMETERS)
    assert law.moment(1) == pytest.approx(point.chi1, rel=1e-8)
    assert law._integral(lambda s: s**2) == pytest.approx(point.chi1, rel=5e-3)
    assert law._integral(lambda s: 1 + 0 * s) == pytest.approx(1, abs=1e-9)


def test_solve_returns_the_smooth_law() -> None:
    law = singular_value_law(vanilla, PARAMETERS, weights="orthogonal", steps=1)
    x = np.array([0.5, 1.0])
    found = law.solve(x)
    assert found.converged.all()
    assert found.density == pytest.approx(law.pdf(x))
