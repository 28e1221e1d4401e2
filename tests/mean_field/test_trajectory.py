import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field import CorrelationMap, site_law, stable_correlation, trajectory
from tests.mean_field.points import POINTS
from tests.mean_field.two_routes import by_map


@pytest.mark.parametrize("name", POINTS)
@pytest.mark.parametrize("input_correlation", [-0.5, 0.7])
def test_trajectories_end_at_the_fixed_points(name: str, input_correlation: float) -> None:
    point = POINTS[name]
    path = trajectory(
        point.cell,
        point.parameters,
        [input_correlation] * 160,
        start_variance=0.4,
        start_correlation=0.1,
    )
    law = site_law(point.cell, point.parameters)
    ours = CorrelationMap(law, input_correlation)
    C = stable_correlation(ours).unwrap()
    # Slopes at these points are below 0.87, and 0.87^160 is 2e-10.
    assert path.state_variance[-1] == pytest.approx(law.state_variance, rel=1e-9)
    assert path.preactivation_variance[-1] == pytest.approx(law.preactivation_variance, rel=1e-9)
    assert path.state_correlation[-1] == pytest.approx(C, abs=1e-9)
    assert path.preactivation_correlation[-1] == pytest.approx(
        ours.preactivation_correlation(C), abs=1e-9
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["figure 1", "random biases", "biased gate", "vanilla"])
def test_a_trajectory_against_independent_sites(name: str) -> None:
    point, sites = POINTS[name], 400_000
    rng, group = np.random.default_rng(5), POINTS[name].parameters.only
    schedule = [1.0, -0.3, 0.5, 0.0]
    path = trajectory(
        point.cell,
        point.parameters,
        schedule,
        start_variance=0.8,
        start_correlation=-0.4,
        start_mean=0.2,
    )

    def correlated(c: float) -> np.ndarray:
        z = rng.standard_normal((2, sites))
        return np.stack([z[0], c * z[0] + math.sqrt(1 - c * c) * z[1]])

    # Second moment 0.8 and product moment -0.32 around a mean of 0.2.
    variance = 0.8 - 0.04
    h = 0.2 + math.sqrt(variance) * correlated((-0.32 - 0.04) / variance)
    for t, sigma_12 in enumerate(schedule):
        x = math.sqrt(point.parameters.input_variance) * correlated(sigma_12)
        gram = h @ h.T / sites
        root = np.linalg.cholesky(
            group.weight_std**2 * gram
            + group.input_std**2
            * point.parameters.input_variance
            * np.array([[1, sigma_12], [sigma_12, 1]])
            + group.bias_std**2
            + 1e-12 * np.eye(2)
        )
        e = root @ rng.standard_normal((2, sites))
        # The Gram matrix of the drawn states carries their noise on: 4.5 standard errors, doubled.
        q_error = 4.5 * math.sqrt(2 / sites) * 2
        assert (e**2).mean() == pytest.approx(path.preactivation_variance[t], rel=q_error)
        assert (e[0] * e[1]).mean() / (e**2).mean() == pytest.approx(
            path.preactivation_correlation[t], abs=q_error
        )
        h = point.update(h, x, group.bias_mean + e)
        spread = (h**2).std() / (h**2).mean()
        assert (h**2).mean() == pytest.approx(
            path.state_variance[t], rel=q_error * max(1.0, spread)
        )
        assert (h[0] * h[1]).mean() / (h**2).mean() == pytest.approx(
            path.state_correlation[t], abs=q_error * max(1.0, spread)
        )


@settings(max_examples=25)
@given(
    start=st.floats(0.01, 5), c=st.floats(-1, 1), schedule=st.lists(st.floats(-1, 1), max_size=4)
)
def test_correlations_stay_in_their_domain(start: float, c: float, schedule: list[float]) -> None:
    point = POINTS["figure 1"]
    path = trajectory(
        point.cell, point.parameters, schedule, start_variance=start, start_correlation=c
    )
    assert path.state_variance.shape == (len(schedule),)
    for correlation in (path.preactivation_correlation, path.state_correlation):
        assert (abs(correlation) <= 1 + 1e-12).all()


@pytest.mark.parametrize(
    ("variance", "correlation"), [(0.0, 0.0), (-1.0, 0.0), (1.0, 1.1), (math.nan, 0.0)]
)
def test_starts_out_of_domain(variance: float, correlation: float) -> None:
    point = POINTS["figure 1"]
    with pytest.raises(ParameterError, match="start"):
        trajectory(
            point.cell,
            point.parameters,
            [1.0],
            start_variance=variance,
            start_correlation=correlation,
        )


def test_input_correlations_out_of_domain() -> None:
    point = POINTS["figure 1"]
    with pytest.raises(ParameterError):
        trajectory(
            point.cell, point.parameters, [1.0, 3.0], start_variance=1.0, start_correlation=0.0
        )


@pytest.mark.parametrize("name", POINTS)
def test_the_record_of_the_mean_field(name: str) -> None:
    point = POINTS[name]
    found = by_map(point.cell, point.parameters, input_correlation=0.3)
    ours = CorrelationMap(found.law, 0.3)
    assert ours.next(found.state_correlation) == pytest.approx(found.state_correlation, abs=1e-13)
    assert found.chi == ours.slope(found.state_correlation) < 1
    assert found.timescale == pytest.approx(-1 / math.log(found.chi), rel=1e-14)
    assert found.chi1 == found.law.chi1
    assert found.state_variance == found.law.state_moment(2)
