"""Fixed points of maps that are known from samples."""

import numpy as np

from rmt_jacobian.mean_field.replicated.solver import solve_replicated


def test_an_orbit_that_escapes_ends_soon():
    def image(x):
        return np.stack([6.0 * x + 1.0, 6.1 * x + 1.0])

    found = solve_replicated(image, np.array([1.0]))
    assert not found.converged
    assert found.residual == np.inf
    assert found.iterations < 60
