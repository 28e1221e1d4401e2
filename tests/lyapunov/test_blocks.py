"""The wave of any cell against that of one state, closed equations and sampled networks."""

import math

import numpy as np
import pytest
import sympy as sp
from scipy.optimize import brentq

from rmt_jacobian.cells import (
    Cell,
    Parameters,
    Preactivation,
    StepDerivatives,
    gru,
    gru_reset_after,
    lstm,
    minimalrnn,
    vanilla,
)
from rmt_jacobian.errors import ConvergenceError, ParameterError
from rmt_jacobian.lyapunov import LongChain, largest_exponent, lyapunov_exponents
from rmt_jacobian.lyapunov.blocks import block_exponents
from rmt_jacobian.mean_field import free_step_exponents, site_law, untied_state
from rmt_jacobian.pencils import (
    BlockHistory,
    GaussianWeights,
    LongBlockChain,
    OrthogonalWeights,
    SiteHistory,
    untied_history,
    weight_ensembles,
)
from rmt_jacobian.sampling import sample_lyapunov

QUANTILES = np.array([0.02, 0.3, 0.5, 0.8, 0.95])


@pytest.mark.parametrize("law", [GaussianWeights(1.5), OrthogonalWeights(1.5)], ids=["g", "o"])
def test_one_state_has_the_wave_of_its_own_equations(law):
    # Sites that do not change in time: the wave is stationary to rounding.
    sites, steps, memory = 6, 160, 70
    direct, gate = np.linspace(0.1, 0.7, sites), np.linspace(1.3, 0.4, sites)
    each = StepDerivatives({(0, 0): direct}, {(0, 0): gate}, {(0, 0): 1.0}, {})
    chain = LongBlockChain(BlockHistory.of([each] * steps, minimalrnn), (law,), memory)
    single = LongChain(
        SiteHistory.of(np.tile(direct, (steps, 1)), np.tile(gate, (steps, 1))), law, memory
    )
    for x in (0.05, 0.5, 0.9):
        expected = single.wave(x, np.array([-1.0, -1.0]))
        log_mu, logit_y = expected.unknowns
        found = chain.wave(x, np.array([logit_y + 0.1, log_mu - 0.1, 0.0]))
        assert found.unknowns == pytest.approx([logit_y, log_mu, 0.0], abs=1e-6)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_free_steps_have_the_law_of_newman(weights):
    p = Parameters.of(vanilla)
    found, errors, _ = block_exponents(untied_state(vanilla, p), weights, QUANTILES)
    expected = free_step_exponents(vanilla, p, weights, QUANTILES)
    assert np.all(np.abs(found - expected) < 4 * errors + 1e-7)
    assert np.all(errors < 0.01)


def test_a_silent_lstm_has_one_finite_exponent_for_two():
    """h = tanh(c) / 2 follows c, and c' = (1/2 + W / 4) c with W of candidate.weight_std 3."""
    x = np.array([0.1, 0.45, 0.5, 0.7])
    found = lyapunov_exponents(
        lstm, Parameters.of(lstm, input_std=0), weights="gaussian", quantiles=x
    )
    assert np.all(found.exponents[2:] == -np.inf)
    for share, exponent in zip(2 * x[:2], found.exponents[:2], strict=True):
        mu = brentq(lambda mu, share=share: _constant_wave(mu, 0.5, 0.75) - share, 0.01, 0.81)
        assert exponent == pytest.approx(math.log(mu) / 2, abs=1e-5)


def _constant_wave(mu: float, a: float, sigma: float) -> float:
    """Return x for J = a + sigma W: kappa and rho solve quadratic equations."""

    def cavities(y: float) -> tuple[float, float]:
        b = y * sigma**2
        kappa = np.roots([b, mu - a * a - b, -mu]).max()
        rho = np.roots([mu, mu - a * a - b, -b]).max()
        return kappa, rho

    def gap(y: float) -> float:
        kappa, rho = cavities(y)
        return rho / (1 + kappa * rho) - y

    kappa, rho = cavities(brentq(gap, 1e-9, 1 - 1e-9))
    return kappa * rho / (1 + kappa * rho)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "weights"),
    [
        pytest.param(lstm, "gaussian", marks=pytest.mark.thorough),
        pytest.param(gru, "gaussian", marks=pytest.mark.thorough),
        (gru_reset_after, "orthogonal"),
    ],
)
def test_exponents_are_those_of_sampled_networks(cell: Cell, weights: str):
    p, width = Parameters.of(cell).with_values(input_std=1.0), 96
    sampled = sample_lyapunov(cell, p, weights=weights, steps=200, width=width, samples=3)
    assert sampled.exponents.shape[1] == len(cell.states) * width
    places = (np.array([0.03, 0.4, 0.8]) * sampled.exponents.shape[1]).astype(int)
    found = lyapunov_exponents(cell, p, weights=weights, quantiles=sampled.quantiles[places])
    error = np.hypot(sampled.standard_error[places], found.errors)
    # The exponents of N sites differ from the limit by O(1/N), measured up to 2/N here.
    assert np.all(np.abs(sampled.mean[places] - found.exponents) < 4 * error + 4 / width)


def test_every_w_may_have_an_ensemble_of_its_own():
    p = Parameters.of(gru).with_values(input_std=1.0)
    x = np.array([0.5])
    both = [
        lyapunov_exponents(gru, p, weights=name, quantiles=x, draws=2**14)
        for name in ("gaussian", "orthogonal")
    ]
    mixed = {"update": "gaussian", "reset": "gaussian", "candidate": "orthogonal"}
    between = lyapunov_exponents(gru, p, weights=mixed, quantiles=x, draws=2**14).exponents[0]
    assert both[0].exponents[0] < between < both[1].exponents[0]


def test_many_quantiles_are_interpolated():
    p, x = Parameters.of(minimalrnn), (np.arange(40) + 0.5) / 40
    found, *_ = block_exponents(untied_state(minimalrnn, p), "gaussian", x, draws=2**13)
    assert np.all(np.diff(found) < 0)
    places = [3, 21, 36]
    direct, *_ = block_exponents(untied_state(minimalrnn, p), "gaussian", x[places], draws=2**13)
    assert found[places] == pytest.approx(direct, abs=3e-3)


@pytest.mark.parametrize("cell", [minimalrnn, gru], ids=lambda cell: cell.name)
def test_the_largest_exponent_is_that_of_the_mean_growth(cell: Cell):
    values = {"weight_std": 1.2, "input_std": 1.0, "bias_mean": 0.1, "bias_std": 0.2,
              "input_variance": 0.8}  # fmt: skip
    p = Parameters.of(cell, values, bias_kind="redrawn")
    largest = largest_exponent(untied_state(cell, p))
    if cell is minimalrnn:
        assert largest == pytest.approx(math.log(site_law(cell, p).chi1) / 2, abs=1e-3)
    found, errors, _ = block_exponents(untied_state(cell, p), "gaussian", np.array([0.0, 2e-4]))
    assert found[0] == largest
    assert errors[0] == 0
    assert found[1] == pytest.approx(largest, abs=4 * errors[1] + 5e-3)


@pytest.mark.thorough
def test_frozen_biases_leave_the_bulk_to_typical_sites():
    """Some sites never forget, so that the largest exponent is 0; real networks have few such."""
    values = {"weight_std": 1.2, "input_std": 1.0, "bias_mean": 0.1, "bias_std": 0.2,
              "input_variance": 0.8}  # fmt: skip
    p = Parameters.of(gru, values, bias_kind="frozen")
    x = np.array([0.1, 0.7])
    found, errors, _ = block_exponents(
        untied_state(gru, p), "gaussian", np.array([0.0, *x]), draws=2**14
    )
    assert found[0] == pytest.approx(0.0, abs=1e-9)
    sampled = sample_lyapunov(gru, p, weights="gaussian", width=128, steps=300, seed=1)
    expected = np.quantile(sampled.exponents, 1 - x)
    assert found[1:] == pytest.approx(expected, abs=4 * np.max(errors) + 4 / math.sqrt(128 * 300))


def test_shares_that_go_in_come_out():
    p = Parameters.of(lstm).with_values(input_std=1.0)
    history = untied_history(untied_state(lstm, p), 64, count=256)
    laws = tuple(weight_ensembles(p, history.names, "orthogonal").values())
    chain = LongBlockChain(history, laws, 16)
    wave = chain.wave(0.05, chain.start(0.05, -0.597))
    shares = chain.shares(*chain._parts(wave.unknowns)).mean(axis=1)
    assert shares[:4].sum() == pytest.approx(shares[4:8].sum(), rel=0.02)
    assert shares[-1] == pytest.approx(0.05, rel=1e-5)
    assert abs(wave.unknowns[-1]) < 0.01


def test_no_weights_and_long_memory_are_refused():
    quiet = Parameters.of(gru).with_values(weight_std=0.0, input_std=1.0)
    with pytest.raises(ParameterError, match="weight_std"):
        lyapunov_exponents(gru, quiet, weights="gaussian", quantiles=[0.5])
    kept = Parameters.of(gru).with_values(weight_std=1e-3, input_std=1.0)
    with pytest.raises(ConvergenceError, match="sample"):
        lyapunov_exponents(gru, kept, weights="gaussian", quantiles=[0.5])
    assert isinstance(untied_history(untied_state(gru, kept), 1, count=16), BlockHistory)


def test_gates_that_move_nothing_are_left_out():
    # At h = 0 a change of the update gate or of the reset gate of a GRU changes no state.
    p = Parameters.of(gru, input_std=0)
    history = untied_history(untied_state(gru, p), 40, count=8, seed=0)
    chain = LongBlockChain(history, tuple(weight_ensembles(p, history.names, "gaussian")), 16)
    assert [history.names[k] for k in chain.alive(math.log(13 / 16))] == ["candidate"]


def test_sources_that_nothing_moves_are_left_out():
    h, x, e, f = sp.symbols("h x e f", real=True)
    cell = Cell(
        "two sources", (h,), x, (Preactivation("a", e, h), Preactivation("b", f, sp.tanh(h))),
        (x * e + f,),
    )  # fmt: skip
    sites = np.linspace(0.1, 0.7, 6)
    still = StepDerivatives(
        {(0, 0): sites}, {(0, 0): 1 - sites, (0, 1): sites}, {(0, 0): 1.0, (1, 0): 0 * sites}, {}
    )
    law = GaussianWeights(1.0)
    chain = LongBlockChain(BlockHistory.of([still] * 40, cell), (law, law), 16)
    assert chain.alive(0.0) == [0]
