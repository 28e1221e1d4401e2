"""The law of Lyapunov exponents against Newman's law in closed form, and against quadrature."""

import math
import re

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from tqdm import tqdm

import rmt_jacobian as rj
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.lyapunov import blocks as block_lyapunov, exponents as lyapunov
from rmt_jacobian.mean_field import free_step_law
from rmt_jacobian.singular_values import product_moments

CASES = [
    ("vanilla", {"weight_std": 3.0, "input_std": 0.0}, "gaussian"),
    ("vanilla", {"weight_std": 1.5}, "orthogonal"),
    ("vanilla:relu", {"weight_std": 1.2, "input_std": 0.5, "bias_mean": -0.3}, "gaussian"),
    ("vanilla:relu", {"weight_std": 1.2, "input_std": 0.5, "bias_mean": -0.3}, "orthogonal"),
]
SMALL, W = {"input_std": 1.0}, {"weights": "gaussian"}


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]} {case[2]}")
def laws(request):
    name, values, weights = request.param
    cell = rj.cell_named(name)
    newman = free_step_law(cell, rj.Parameters.of(cell, values), weights)
    return rj.lyapunov_law(name, values, weights=weights), newman


def test_quantiles_and_shares(laws) -> None:
    law, newman = laws
    rank = newman._reachable
    assert law.rank == pytest.approx(rank, abs=2e-5)
    x = rank * np.array([1e-7, 1e-3, 0.05, 0.3, 0.61, 0.9])
    exponents = newman.exponents(x)
    assert law.at(x) == pytest.approx(exponents, abs=2e-4)
    assert law.ppf(1 - x[2:]) == pytest.approx(exponents[2:], abs=2e-4)
    assert law.cdf(exponents) == pytest.approx(1 - x, abs=2e-5)
    assert law.pdf(exponents[1:]) == pytest.approx(newman.pdf(exponents[1:]), rel=2e-3)
    assert law.largest == pytest.approx(float(newman.exponents(np.array(0.0))), abs=1e-12)
    assert law.cdf(law.largest + 1) == 1
    assert law.pdf(law.largest + 1) == 0
    assert np.isnan(law.cdf(np.nan))
    assert np.isnan(law.ppf(1.5))
    if rank < 1:
        assert law.atoms() == ((-math.inf, 1 - law.rank),)
        assert law.ppf(0.5 * (1 - rank)) == -math.inf
        assert law.mean() == -math.inf


def test_dimension_entropy_and_mean_by_quadrature(laws) -> None:
    law, newman = laws
    rank = newman._reachable

    def exponent(x: float) -> float:
        return float(newman.exponents(np.array(x)))

    positive = quad(lambda x: max(exponent(x), 0.0), 0, rank, limit=400)[0]
    assert law.entropy_rate() == pytest.approx(positive, rel=1e-3, abs=1e-9)
    if rank == 1:
        assert law.mean() == pytest.approx(quad(exponent, 0, 1, limit=400)[0], rel=1e-5)
    if law.largest > 0:
        x = brentq(lambda d: quad(exponent, 0, d, limit=400)[0], 1e-3, rank)
        assert law.dimension() == pytest.approx(x, rel=1e-3)
    else:
        assert law.dimension() == 0


def test_manners(laws) -> None:
    law, _ = laws
    assert law.sf(law.ppf(0.8)) == pytest.approx(0.2, abs=1e-4)
    low, high = law.interval(0.1)
    if law.rank == 1:
        assert low < law.median() < high
        assert law.expect(lambda e: e) == pytest.approx(law.mean(), rel=1e-6)
    assert law.error_estimate == 0
    assert repr(law).startswith("<Lyapunov exponents of vanilla")
    assert "\n" not in repr(law)


@pytest.mark.thorough
def test_a_gated_cell_against_networks() -> None:
    point = {"input_std": 1.0}
    law = rj.lyapunov_law("minimalrnn", point, weights="gaussian", draws=2**18)
    width = 200
    sampled = rj.sample_lyapunov(
        rj.minimalrnn, rj.Parameters.of(rj.minimalrnn, point), weights="gaussian", steps=300,
        width=width, samples=2, seed=0, workers=1,
    )  # fmt: skip
    places = np.array([20, 60, 100, 140])
    found = law.at(sampled.quantiles[places])
    # Exponents of N sites differ from the limit by O(1/N), measured 1.5/N in the bulk.
    allowed = 4 * sampled.standard_error[places] + 4 * law.error_estimate + 3 / width
    assert np.all(abs(sampled.mean[places] - found) < allowed)


def test_refusals() -> None:
    with pytest.raises(ParameterError, match="weight_std"):
        rj.lyapunov_law("vanilla", {"weight_std": 0.0}, weights="gaussian")


def test_weights_that_state_their_own_scale() -> None:
    """W twice as large: every exponent of a linear step beside nothing grows by log 2."""
    weights = rj.pencils.GaussianWeights(2 * 6.88)
    law = rj.lyapunov_law("minimalrnn", weights=weights, draws=2**14)
    assert abs(law.largest - law.exponents[0]) < 1e-3  # the sites' noise
    assert law.cdf(law.largest) == 1
    free = rj.lyapunov_law("vanilla", {"weight_std": 1.0}, weights=rj.pencils.GaussianWeights(2.0))
    plain = rj.lyapunov_law("vanilla", {"weight_std": 1.0}, weights="gaussian")
    assert free.largest - plain.largest == pytest.approx(math.log(2))
    with pytest.raises(ParameterError, match="scale of its own"):
        rj.lyapunov_law("gru", {"input_std": 1.0}, weights=rj.pencils.GaussianWeights(2.0))


def test_one_exponent_for_all() -> None:
    law = rj.lyapunov_law("vanilla:identity", {"weight_std": 0.8}, weights="orthogonal")
    assert law.atoms() == ((pytest.approx(math.log(0.8)), 1.0),)
    assert law.mean() == pytest.approx(math.log(0.8))
    assert law.cdf(math.log(0.8) - 1e-6) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("module", "ask"),
    [
        (
            block_lyapunov,
            lambda: lyapunov.lyapunov_exponents(
                "gru", SMALL, quantiles=[0.01, 0.02], draws=2**12, progress=True, **W
            ),
        ),
        (lyapunov, lambda: rj.lyapunov_law("minimalrnn", progress=True, draws=2**12, **W)),
        (product_moments, lambda: rj.moments("gru", SMALL, progress=True, steps=2, sites=64, **W)),
    ],
    ids=["gru", "minimalrnn", "moments"],
)
def test_a_bar_counts_to_its_end(module, ask, monkeypatch, capsys) -> None:
    def at_once(*given, **named):
        return tqdm(*given, **{**named, "delay": 0})

    monkeypatch.setattr(module, "tqdm", at_once)
    ask()
    shown = capsys.readouterr().err.rsplit("\r", 1)[-1]
    assert re.search(r"Lyapunov exponents|moments of 2 steps", shown)
    assert re.search(r"100%.* (\d+)/\1 ", shown), shown
