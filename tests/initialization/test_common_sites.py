"""Growth and spread on common sites, against quadrature and a plain simulation."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad

from rmt_jacobian.arrays import spawn
from rmt_jacobian.cells import Parameters, lstm, vanilla
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.initialization.common_sites import CommonSites
from rmt_jacobian.initialization.populations import mean_and_error
from rmt_jacobian.initialization.report import initialization_report


def _average(function: Any, mean: float, q: float) -> float:
    def integrand(z: float) -> float:
        return function(mean + math.sqrt(q) * z) * math.exp(-z * z / 2)

    return quad(integrand, -12, 12, limit=200, epsabs=1e-12)[0] / math.sqrt(2 * math.pi)


@pytest.mark.parametrize(("weights", "s_1"), [("gaussian", -1.0), ("orthogonal", 0.0)])
def test_vanilla_by_quadrature(weights: Any, s_1: float) -> None:
    std, input_std, mean, R, steps = 1.4, 0.6, 0.5, 0.8, 6
    q = 1.0
    for _ in range(300):
        q = std**2 * _average(lambda e: math.tanh(e) ** 2, mean, q) + input_std**2 * R
    mu_1 = _average(lambda e: math.cosh(e) ** -4, mean, q)
    mu_2 = _average(lambda e: math.cosh(e) ** -8, mean, q)
    p = Parameters.of(
        vanilla, weight_std=std, input_std=input_std, bias_mean=mean, input_variance=R
    )
    report = initialization_report(
        "vanilla", p, vanilla, weights=weights, steps=steps, dynamics="untied"
    )
    assert abs(report.growth_rate - std**2 * mu_1) < 4 * report.growth_error + 1e-6
    expected = steps * (mu_2 / mu_1**2 - 1 - s_1)
    assert abs(report.relative_variance - expected) < 4 * report.variance_error + 1e-5
    assert report.growth_error < 1e-4


def _lstm_growth(p: Parameters, count: int, steps: int, seed: int) -> float:
    """Run sites of an LSTM in plain NumPy, and the squares of small changes along with them."""
    rng = np.random.default_rng(seed)
    h, c = np.zeros(count), np.zeros(count)
    d_h, d_c = np.ones(count), np.ones(count)
    groups = [group for _, group in p.groups]
    logs = []
    for t in range(steps):
        square, change = np.mean(h**2), np.mean(d_h)
        e = [
            g.bias_mean
            + math.sqrt(g.weight_std**2 * square + g.input_std**2 * p.input_variance)
            * rng.standard_normal(count)
            for g in groups
        ]
        f, i, o = (1 / (1 + np.exp(-x)) for x in e[:3])
        y = np.tanh(e[3])
        v = [g.weight_std**2 * change for g in groups]
        new = f * c + i * y
        d_c = (
            f**2 * d_c
            + v[0] * (f * (1 - f) * c) ** 2
            + v[1] * (i * (1 - i) * y) ** 2
            + v[3] * (i * (1 - y**2)) ** 2
        )
        phi = np.tanh(new)
        d_h = (o * (1 - phi**2)) ** 2 * d_c + v[2] * (o * (1 - o) * phi) ** 2
        h, c = o * phi, new
        size = (np.mean(d_h) + np.mean(d_c)) / 2
        d_h, d_c = d_h / size, d_c / size
        if t > steps // 2:
            logs.append(math.log(size))
    return float(np.mean(logs))


@pytest.mark.parametrize("forget", [0.0, 4.0])
def test_lstm_by_plain_simulation(forget: float) -> None:
    # At a forget bias of 4 a site remembers for dozens of steps: its moments are imposed.
    p = Parameters.of(
        lstm,
        {"weight_std": 1.5, "input_std": 1.0, "input_variance": 0.5, "forget.bias_mean": forget},
    )
    rates = [_lstm_growth(p, 4000, 400, seed) for seed in range(4)]
    expected, noise = mean_and_error(np.array(rates))
    populations = CommonSites.draw(lstm, "orthogonal", 5, settle=16, count=1024, rngs=spawn(0, 8))
    growth, error = mean_and_error(populations.rates([p]).growth)
    assert abs(growth - expected) < 4 * math.hypot(noise, error) + 1e-4
    assert math.hypot(noise, error) < 2e-3


def test_points_together_are_points_alone() -> None:
    points = [
        Parameters.of(lstm, {"weight_std": s, "input_std": 1.0, "input_variance": 0.5})
        for s in (1.0, 1.5, 2.0)
    ]
    sites = CommonSites.draw(lstm, "gaussian", 3, settle=16, count=64, rngs=spawn(1, 1))
    together = sites.rates(points)
    alone = [sites.rates([p]) for p in points]
    for name in ("growth", "mean", "spread", "kept", "size"):
        single = np.concatenate([getattr(each, name) for each in alone])
        assert getattr(together, name) == pytest.approx(single, rel=1e-12)


@pytest.mark.parametrize("count", [64, 8192])  # in one part, and in one for each population
@pytest.mark.parametrize("bias_std", [0.0, 0.5])
def test_populations_beside_each_other_are_populations_alone(count: int, bias_std: float) -> None:
    p = Parameters.of(
        lstm, {"weight_std": 1.5, "input_std": 1.0, "bias_std": bias_std, "input_variance": 0.5}
    )

    def drawn(rngs: list[np.random.Generator]) -> CommonSites:
        return CommonSites.draw(lstm, "gaussian", 3, settle=16, count=count, rngs=rngs)

    populations = drawn(spawn(0, 3))
    together = populations.rates([p])
    alone = [drawn([rng]).rates([p]) for rng in spawn(0, 3)]
    for name in ("growth", "mean", "spread", "kept", "size"):
        single = np.concatenate([getattr(each, name) for each in alone])
        assert getattr(together, name) == pytest.approx(single, rel=1e-12)
    assert len(set(together.growth)) == 3
    growth = populations.rates([p], spread=False)
    assert growth.growth == pytest.approx(together.growth, rel=1e-12)
    assert np.all(np.isnan(growth.spread))


def test_unknown_weights() -> None:
    with pytest.raises(ParameterError, match="unknown weights"):
        CommonSites.draw(lstm, "unitary", 3, settle=16, count=64, rngs=spawn(1, 2))


@pytest.mark.parametrize(("forget", "moved"), [(1.0, 0.0), (3.0, 0.0), (3.0, 0.5)])
def test_a_memory_that_has_settled_begins_where_it_was(forget: float, moved: float) -> None:
    """Sites that settled at one point measure what whole ones do there, and nearby."""
    one, other = (
        Parameters.of(
            lstm,
            {"weight_std": 1.5, "forget.bias_mean": bias, "input_std": 0.6, "input_variance": 1.0},
        )
        for bias in (forget, forget + moved)
    )
    whole = CommonSites.draw(
        lstm, "orthogonal", 10, settle=256, lead=64, count=1024, rngs=spawn(0, 1)
    )
    short = whole.settled_at(one)
    assert len(whole.normals) - len(short.normals) == 192
    a, b = whole.rates([other]), short.rates([other])
    # What is left of the start of the lead, and its moments imposed once more.
    left = np.sqrt(a.kept) ** 64 + 2e-3
    assert abs(a.growth - b.growth) < left * 0.1
    assert abs(a.spread - b.spread) < left


def test_a_memory_that_is_not_imposed_settles_at_every_point() -> None:
    point = Parameters.of(vanilla, weight_std=1.0, input_std=0.5, input_variance=1.0)
    whole = CommonSites.draw(
        vanilla, "gaussian", 3, settle=128, lead=64, count=64, rngs=spawn(0, 1)
    )
    assert whole.settled_at(point) is whole
