"""One step of the minimal network, by the package and by simulation."""

import numpy as np

from rmt_jacobian.cells import minimalrnn
from rmt_jacobian.mean_field import trajectory
from tests.ledger.independent import Point, draw_inputs, run_pair
from tests.ledger.verdicts import parameters

SIGMA_12 = 0.5


def one_step(point, start_variance, start_correlation=0.0):
    """(q, c, Q, C) after one step, by the package."""
    path = trajectory(
        minimalrnn,
        parameters(point),
        [SIGMA_12],
        start_variance=start_variance,
        start_correlation=start_correlation,
    )
    return tuple(
        float(column[0])
        for column in (
            path.preactivation_variance,
            path.preactivation_correlation,
            path.state_variance,
            path.state_correlation,
        )
    )


def simulated(point, variance, correlation, *, seed, steps=1, networks=16, width=40_000, **options):
    """(h, e - mu_b) of pairs of networks whose states start with this law, shape (N, 2) each."""
    for rng in np.random.default_rng(seed).spawn(networks):
        start = draw_inputs(Point(1, 1, 0, 0, variance), correlation, width, rng)
        h, e = run_pair(point, SIGMA_12, steps, width, rng, start=start, **options)
        yield h, e - point.bias_mean
