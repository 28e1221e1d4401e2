"""Quantities of the theory over grids, against closed forms and against sampled networks."""

import math
from dataclasses import replace

import numpy as np
import pytest

from rmt_jacobian.cells import Parameters, cell_named, gru, minimalrnn, vanilla
from rmt_jacobian.mean_field import stationary
from rmt_jacobian.runs import QUANTITIES, Axis, Ensemble, Grid, Point, Run, Sweep, execute, maps
from rmt_jacobian.singular_values import singular_value_law

LINEAR = cell_named("vanilla:identity")
STDS = (0.5, 0.8, 0.9)


def linear(**settings):
    """Linear steps h' = W h + V x: products of T matrices W."""
    parameters = Parameters.of(LINEAR, weight_std=1, input_std=1, input_variance=1)
    work = Sweep(tuple(QUANTITIES), **{"sites": 64, **settings})
    return Run(LINEAR, parameters, work, Grid((Axis("weight_std", STDS),)))


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("steps", [1, 5])
def test_linear_steps(tmp_path, weights, steps):
    """m_1 = s^2T; m_2 / m_1^2 is 1 + T for Gaussian W (Fuss-Catalan), and 1 for orthogonal."""
    store = execute(linear(weights=weights, steps=steps), tmp_path / "store", workers=1)
    found, variance = maps(store), np.array(STDS) ** 2
    spread = steps if weights == "gaussian" else 0
    assert found["chi_1"] == pytest.approx(variance, rel=1e-9)
    assert found["growth_rate"] == pytest.approx(variance, rel=1e-9)
    assert found["relative_variance"] == pytest.approx([spread] * 3, abs=1e-8)
    assert found["variance"] == pytest.approx(spread * variance ** (2 * steps), abs=1e-8)
    assert found["timescale"] == pytest.approx(-1 / np.log(variance), rel=1e-6)
    assert found["spectral_radius"] == pytest.approx(STDS, rel=1e-9)


def test_gated_steps_at_rest():
    """Without input an untied GRU falls silent: J = 1/2 + W / 4, whose parts are free."""
    point = Point(gru, Parameters.of(gru, input_std=0), weights="orthogonal", steps=2, sites=64)
    mean, kept, new = 1 / 4 + 9 / 16, 1 / 2, 3 / 4
    assert point.growth_rate == pytest.approx(mean, rel=1e-9)
    # J J^T = (a + b O)(a + b O)^T = a^2 + b^2 + a b (O + O^T): variance 2 a^2 b^2 a step.
    one = replace(point, steps=1)
    assert one.variance == pytest.approx(2 * kept**2 * new**2, rel=1e-6)
    # Steps that are free of each other: relative variances add up.
    assert point.relative_variance == pytest.approx(2 * one.variance / mean**2, rel=1e-6)
    assert replace(point, weights="gaussian").spectral_radius == pytest.approx(1.25, rel=1e-6)


def test_the_critical_point_of_the_minimalrnn():
    """The value that the literature gives for sigma_w = 6.88, sigma_v = 1.39, R = 0.46."""
    point = Point(minimalrnn, Parameters.of(minimalrnn))
    assert point.chi_1 == pytest.approx(0.99878, abs=2e-5)
    assert point.timescale == pytest.approx(-1 / math.log(point.chi_1), rel=1e-9)


def test_a_fixed_point_has_a_radius_of_its_own():
    """Below 1 the only fixed point of tied vanilla networks without input is 0, where J = W."""
    parameters = Parameters.of(vanilla, weight_std=0.7, input_std=0, input_variance=1)
    point = Point(vanilla, parameters, sites=64, dynamics="fixed-point")
    assert point.spectral_radius == pytest.approx(0.7, rel=1e-6)


@pytest.mark.slow
def test_a_network_that_keeps_its_weights_has_quantities_of_its_own():
    """Those of the laws that a user would ask for one by one; a GRU as PyTorch initialises it."""
    parameters = Parameters.of(gru, weight_std=3**-0.5, input_std=3**-0.5, input_variance=1)
    fresh = Point(gru, parameters, steps=4, sites=1024)
    point = replace(fresh, dynamics="tied")
    law = stationary(gru, parameters, dynamics="tied", sites=1024)
    rate, error = law.growth(4).rate(4)
    assert abs(point.growth_rate - rate) < 3 * error
    assert point.growth_rate > 1.05 * fresh.growth_rate
    assert point.timescale == pytest.approx(-1 / math.log(point._kept.growth_rate))
    spread = singular_value_law(law, weights="gaussian", steps=1, sites=256).squares()
    one = replace(point, steps=1)
    assert one.variance == pytest.approx(spread.moment(2) - spread.moment(1) ** 2, rel=0.1)
    # One step does not tell, nor do its eigenvalues, but for the law of the sites.
    assert one.relative_variance == pytest.approx(
        replace(fresh, steps=1).relative_variance, rel=0.1
    )
    assert point.spectral_radius == pytest.approx(fresh.spectral_radius, rel=0.05)


def test_a_timescale_with_different_inputs_depends_on_their_correlation():
    parameters = Parameters.of(LINEAR, weight_std=0.9, input_std=1, input_variance=1)
    slow = Point(LINEAR, parameters, input_correlation=0.5)
    assert slow.timescale == pytest.approx(-1 / math.log(0.81), rel=1e-6)  # linear: the same
    tanh = Parameters.of(vanilla, weight_std=1.5, input_std=0.5, input_variance=1)
    same, other = (Point(vanilla, tanh, input_correlation=c).timescale for c in (1.0, 0.2))
    assert other != pytest.approx(same, rel=1e-2)


def test_sweep_and_ensemble_agree_over_a_grid(tmp_path):
    """The two kinds of run are each other's check: growth rate and spread over a 2 x 2 grid."""
    parameters = Parameters.of(
        minimalrnn, weight_std=3, input_std=1.5, bias_mean=0, input_variance=0.5
    )
    axes = Grid((Axis("weight_std", (2.0, 5.0)), Axis("bias_mean", (0.0, 2.0))))
    width, samples, steps = 128, 24, 3
    sampled = Run(
        minimalrnn, parameters, Ensemble("orthogonal", steps, width, samples, seed=1), axes
    )
    theory = Run(
        minimalrnn,
        parameters,
        Sweep(("growth_rate", "relative_variance"), weights="orthogonal", steps=steps),
        axes,
    )
    store = execute(sampled, tmp_path / "sampled", workers=1)
    drawn, solved = maps(store), maps(execute(theory, tmp_path / "theory", workers=1))
    squares = store.values("singular_values") ** 2
    means = squares.mean(axis=-1)
    error = means.std(axis=-1, ddof=1) / math.sqrt(samples) / means.mean(axis=-1)
    expected = solved["growth_rate"] ** steps
    assert np.all(np.abs(drawn["growth_rate"] ** steps / expected - 1) < 4 * error + 2 / width)
    ratios = (squares**2).mean(axis=-1)
    spread = ratios.std(axis=-1, ddof=1) / math.sqrt(samples) / ratios.mean(axis=-1)
    m_2 = (drawn["relative_variance"] + 1) / (solved["relative_variance"] + 1)
    assert np.all(np.abs(m_2 - 1) < 4 * (spread + 2 * error) + 4 / width)
    assert np.ptp(solved["growth_rate"]) > 0.1  # the grid is no single point
