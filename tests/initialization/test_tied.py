"""Critical points of networks that keep their weights, against plain networks and other routes."""

import math
from typing import Any

import numpy as np
import pytest

from rmt_jacobian.arrays import spawn
from rmt_jacobian.cells import Parameters, cell_named, gru, vanilla
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.initialization import critical_initialization, initialization_report
from rmt_jacobian.initialization.common_paths import CommonPaths, _scaled, circle_for
from rmt_jacobian.mean_field import stationary
from rmt_jacobian.pencils.ensembles import GaussianWeights, OrthogonalWeights, TransformWeights
from rmt_jacobian.singular_values import singular_value_law

POINT = Parameters.of(
    gru,
    {"weight_std": 2.0, "update.bias_mean": 1.0, "candidate.weight_std": 3.0},
    input_std=0.6,
    input_variance=1.0,
)


def paths(cell: Any, steps: int, **options: Any) -> CommonPaths:
    options = {"period": 128, "count": 512, "laps": 12, "rngs": spawn(1, 8), **options}
    return CommonPaths.draw(cell, options.pop("weights", "orthogonal"), steps, **options)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gru", pytest.param("lstm", marks=pytest.mark.thorough)])
def test_growth_against_paths_from_the_steady_state(name: str) -> None:
    # Other paths: conditioned on their past, and driven by a steady state that is solved for.
    cell = cell_named(name)
    point = POINT if cell is gru else Parameters.of(cell, input_std=0.6, input_variance=1.0)
    populations, steady = paths(cell, 4).steady_at(point)
    assert steady
    rates = populations.rates([point], spread=False)
    law = stationary(cell, point, dynamics="tied")
    expected, half_width = law.growth(64).rate(64, since=32)
    mean, error = np.mean(np.exp(rates.late)), np.std(np.exp(rates.late), ddof=1) / math.sqrt(8)
    assert abs(mean - expected) < 3 * math.hypot(error, half_width / 2)
    size, error = sum(law.state_squares.values()), np.std(rates.size, ddof=1) / math.sqrt(8)
    assert abs(np.mean(rates.size) - size) < 4 * error + sum(law.errors["state_squares"].values())


@pytest.mark.slow
@pytest.mark.parametrize(
    "weights", ["gaussian", pytest.param("orthogonal", marks=pytest.mark.thorough)]
)
def test_spread_against_the_law_of_singular_values(weights: str) -> None:
    found = paths(gru, 3, weights=weights).steady_at(POINT)[0].rates([POINT])
    law = singular_value_law(
        stationary(gru, POINT, dynamics="tied"), weights=weights, steps=3, sites=1024
    ).squares()
    expected = math.log(law.moment(2) / law.moment(1) ** 2)
    # A quarter as many other paths have about twice the error.
    for values, other in ((found.spread, expected), (found.mean, math.log(law.moment(1)))):
        error = np.std(values, ddof=1) / math.sqrt(8)
        assert abs(np.mean(values) - other) < 4 * math.sqrt(1 + 4) * error


@pytest.mark.slow
@pytest.mark.thorough
def test_a_circle_is_longer_than_what_is_measured() -> None:
    # A long collective memory: on a circle of 64 steps m_1(100) came out as 1.0 here.
    values = {
        "update.weight_std": 3.47, "reset.weight_std": 0.09, "candidate.weight_std": 3.07,
        "update.bias_mean": 1.0, "input_std": 0.57735, "input_variance": 1.0,
    }  # fmt: skip
    cell = cell_named("gru-reset-after")
    point = Parameters.of(cell, values)
    found = initialization_report("", point, cell, weights="orthogonal", steps=2, sites=1024)
    growth = stationary(cell, point, dynamics="tied").growth(100, sites=16384)
    samples = growth.samples[:, 100]
    error = np.std(samples, ddof=1) / math.sqrt(len(samples))
    expected = np.mean(samples)
    mine = found.growth_rate**100
    assert abs(mine - expected) < 4 * math.hypot(error, 100 * found.growth_error * mine)
    assert mine > 1.2


def test_growth_over_a_horizon() -> None:
    whole = paths(gru, 2, horizon=40, rngs=spawn(1, 1)).rates([POINT], spread=False)
    late = paths(gru, 2, rngs=spawn(1, 1)).rates([POINT], spread=False)
    far = paths(gru, 2, horizon=10**6, rngs=spawn(1, 1)).rates([POINT], spread=False)
    assert late.growth == late.late == whole.late
    assert far.growth == pytest.approx(late.late, abs=1e-4)
    assert whole.growth < late.late  # the first steps lose what is not in the directions that last


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_without_memory_shared_weights_are_as_fresh_ones(weights: str) -> None:
    # The paths differ, and the law of a site at one time does not.
    point = Parameters.of(vanilla, weight_std=1.4, input_std=0.6, bias_mean=0.5)
    tied, untied = (
        initialization_report("vanilla", point, vanilla, weights=weights, steps=5, dynamics=kind)
        for kind in ("tied", "untied")
    )
    assert abs(tied.growth_rate - untied.growth_rate) < 4 * tied.growth_error + 1e-4
    assert abs(tied.relative_variance - untied.relative_variance) < 4 * tied.variance_error + 1e-2
    assert tied.late_growth_rate == pytest.approx(untied.late_growth_rate, abs=0.01)


def test_few_sites_leave_no_bias_in_a_hundred_steps() -> None:
    """The logarithm of each population's growth is too low; pooled by the jackknife it is not."""
    point = Parameters.of(vanilla, weight_std=1.86, input_std=1.0)
    exact = stationary(vanilla, point).growth_rate
    reports = [
        initialization_report(
            "", point, vanilla, weights="gaussian", steps=2, sites=1024, seed=seed
        )
        for seed in range(6)
    ]
    rates = np.array([each.growth_rate for each in reports])
    error = np.std(rates, ddof=1) / math.sqrt(len(rates))
    assert abs(np.mean(rates) - exact) < 4 * error
    assert error < 0.001
    claimed = np.mean([each.growth_error for each in reports])
    assert np.std(rates, ddof=1) < 2.5 * claimed


def test_weights_of_nothing_and_gradients_that_vanish() -> None:
    point = Parameters.of(vanilla, weight_std=0.02, input_std=1.0)
    options = {"weights": "orthogonal", "steps": 40, "sites": 64}
    tied, untied = (
        initialization_report("", point, vanilla, dynamics=kind, **options)
        for kind in ("tied", "untied")
    )
    assert tied.growth_rate == pytest.approx(untied.growth_rate, rel=0.05)
    assert _scaled(
        {"update": OrthogonalWeights(1.0)}, POINT.with_values({"update.weight_std": 0})
    ) == {"update": GaussianWeights(0.0)}
    with pytest.raises(ParameterError, match="horizon"):
        initialization_report("", point, vanilla, horizon=-3, **options)


def test_ensembles_at_the_scale_of_the_point() -> None:
    (own,) = _scaled({"update": OrthogonalWeights(0.5)}, POINT).values()
    assert isinstance(own, TransformWeights)
    assert own.variance == pytest.approx(POINT["update"].weight_std ** 2)
    assert own.s_1 == pytest.approx(0.0, abs=1e-9)
    given = GaussianWeights(POINT["update"].weight_std)
    assert _scaled({"update": given}, POINT) == {"update": given}


def test_circles() -> None:
    assert circle_for(0.0, 80, 20) == 256  # twice the steps, a power of 2
    assert circle_for(0.0, 20, 100) == 256


def _grows(p: Parameters, width: int, steps: int, seed: int, vectors: int = 32) -> float:
    """Return m_1 of a plain orthogonal GRU, from random vectors carried along."""
    rng = np.random.default_rng(seed)

    def haar() -> np.ndarray:
        q, r = np.linalg.qr(rng.standard_normal((width, width)))
        return q * np.sign(np.diag(r))

    groups = [group for _, group in p.groups]
    W = [group.weight_std * haar() for group in groups]
    V = [g.input_std / math.sqrt(width) * rng.standard_normal((width, width)) for g in groups]
    h, D = 0.1 * rng.standard_normal(width), np.zeros((width, vectors))
    for t in range(100 + steps):
        if t == 100:
            D = rng.standard_normal((width, vectors))
            D /= np.linalg.norm(D, axis=0)
        x = math.sqrt(p.input_variance) * rng.standard_normal(width)
        drive = [v @ x + g.bias_mean for v, g in zip(V, groups, strict=True)]
        z = 1 / (1 + np.exp(-(W[0] @ h + drive[0])))
        r = 1 / (1 + np.exp(-(W[1] @ h + drive[1])))
        c = np.tanh(W[2] @ (r * h) + drive[2])
        d_r = (r * (1 - r))[:, None] * (W[1] @ D)
        d_c = (1 - c**2)[:, None] * (W[2] @ (r[:, None] * D + h[:, None] * d_r))
        d_z = (z * (1 - z) * (h - c))[:, None] * (W[0] @ D)
        D = z[:, None] * D + d_z + (1 - z)[:, None] * d_c
        h = z * h + (1 - z) * c
    return float(np.mean(np.sum(D**2, axis=0)))


def _minimalrnn_grows(p: Parameters, width: int, steps: int, seed: int) -> float:
    """Return m_1 of a plain minimalRNN with Gaussian weights, its Jacobians multiplied."""
    rng, group = np.random.default_rng(seed), p.only
    W, V = (
        std / math.sqrt(width) * rng.standard_normal((width, width))
        for std in (group.weight_std, group.input_std)
    )
    h, J = 0.1 * rng.standard_normal(width), np.eye(width)
    for t in range(100 + steps):
        x = math.sqrt(p.input_variance) * rng.standard_normal(width)
        u = 1 / (1 + np.exp(-(W @ h + V @ x + group.bias_mean)))
        if t >= 100:
            J = u[:, None] * J + (u * (1 - u) * (h - x))[:, None] * (W @ J)
        h = u * h + (1 - u) * x
    return float(np.sum(J**2)) / width


def _check_against_networks(found: Any, grows: Any, width: int, steps: int, count: int) -> None:
    """Compare what was found, and what is critical for fresh weights, with real networks."""
    assert found.fresh is not None
    for report in (found.report, found.fresh):
        values = np.log([grows(report.parameters, width, steps, seed) for seed in range(count)])
        variance = np.var(values, ddof=1)
        mean = np.mean(values) + variance / 2  # the logarithm of the mean of log-normal samples
        error = math.hypot(math.sqrt(variance / count), steps * report.growth_error)
        assert abs(mean - steps * math.log(report.growth_rate)) < 4 * error + steps / width


@pytest.mark.slow
def test_a_real_minimalrnn_keeps_the_norm_of_its_gradients() -> None:
    fixed = {"input_variance": 0.46, "input_std": 2.0, "bias_mean": 2.0}
    found = critical_initialization("minimalrnn", fixed, weights="gaussian", steps=2, horizon=20)
    assert found.free == ("weight_std",)
    assert found.report.growth_rate == pytest.approx(1, abs=1e-4)
    _check_against_networks(found, _minimalrnn_grows, 300, 20, 12)


@pytest.mark.slow
@pytest.mark.thorough
def test_a_real_gru_keeps_the_norm_of_its_gradients() -> None:
    fixed = {"input_variance": 1.0, "input_std": 0.6, "update.bias_mean": 1.0}
    held = {"update.weight_std": 0.5, "reset.weight_std": 0.5}
    found = critical_initialization(gru, {**fixed, **held}, steps=2, horizon=30)
    assert found.free == ("candidate.weight_std",)
    assert found.report.horizon == 30
    _check_against_networks(found, _grows, 250, 30, 16)


def test_what_is_refused() -> None:
    fixed = {"input_variance": 1.0}
    with pytest.raises(ParameterError, match="unknown dynamics 'frozen': use 'tied' or 'untied'"):
        critical_initialization(gru, fixed, dynamics="frozen")
    with pytest.raises(ParameterError, match="a horizon belongs to shared weights"):
        critical_initialization(gru, fixed, dynamics="untied", horizon=10)
    with pytest.raises(ParameterError, match="horizon"):
        critical_initialization(gru, fixed, horizon=0)
    with pytest.raises(ParameterError, match="at most, not 61: take fewer"):
        critical_initialization(gru, fixed, steps=61)
