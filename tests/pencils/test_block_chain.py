"""The chain of any cell against dense matrices, differences, and the chain of one state."""

from typing import Any

import numpy as np
import pytest

import rmt_jacobian.pencils.blocks.chain as block_module
from rmt_jacobian.arrays import to_numpy
from rmt_jacobian.cells import (
    Cell,
    compile_cell,
    gru,
    gru_reset_after,
    lstm,
    lstm_peephole,
    minimalrnn,
    vanilla,
)
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.pencils import (
    BlockChain,
    BlockHistory,
    GaussianWeights,
    OrthogonalWeights,
    ProductChain,
    SiteHistory,
    chain_moments,
    solve_chain,
)
from rmt_jacobian.pencils.blocks.history import StepDiagonals
from rmt_jacobian.singular_values import block_singular_value_law
from tests.cells.two_gates import two_gates, two_states
from tests.in_turn import in_turn
from tests.pencils.blocks import chain, derivatives, filled, history, site_inverses
from tests.pencils.chains import below_axis, differences_are_derivatives

CELLS = [gru, gru_reset_after, lstm, lstm_peephole, two_gates, two_states]
each_cell = pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
both = pytest.mark.parametrize("name", ["gaussian", "orthogonal"])
cells_and_weights = pytest.mark.parametrize(
    ("cell", "name"),
    in_turn(CELLS, ["gaussian", "orthogonal"]),
    ids=lambda value: getattr(value, "name", value),
)
S = np.array([0.3 + 0.2j, 1.1 + 0.05j])


@each_cell
@pytest.mark.parametrize("steps", [1, 3])
def test_averages_and_responses_are_those_of_the_inverse_matrices(
    cell: Cell, steps: int, xp: Any
) -> None:
    plain, ours = chain(history(cell, steps)), chain(history(cell, steps, xp=xp))
    sigma, p = below_axis(2, plain.blocks), plain.sites.weights
    s, at_sigma = xp.asarray(S), xp.asarray(sigma)
    averages, at = ours.averages(s, at_sigma), ours.responses(s, at_sigma)
    cauchy = ours.cauchy(s, at_sigma, averages)
    for j in range(2):
        G, blocks, starts, ends = site_inverses(plain, S[j], sigma[j])
        mean, squares = np.tensordot(p, G, 1), np.tensordot(p, G**2, 1)
        assert np.allclose(to_numpy(averages)[j], mean.diagonal()[blocks], rtol=1e-11)
        assert np.allclose(to_numpy(at.matrix)[j], squares[np.ix_(blocks, blocks)], rtol=1e-10)
        # d/ds of s at v_0 and of -1/s at v_T
        drift = squares[:, starts].sum(1) + squares[:, ends].sum(1) / S[j] ** 2
        assert np.allclose(to_numpy(at.drift)[j], -drift[blocks], rtol=1e-10)
        # G_{ww} = 1/s + G_{vv} / s^2 where v = w / s ends the chain
        last = np.mean(1 / S[j] + mean.diagonal()[ends] / S[j] ** 2)
        assert to_numpy(cauchy)[j] == pytest.approx(last, rel=1e-11)
    assert np.allclose(to_numpy(at.averages), to_numpy(averages), rtol=1e-13)
    assert np.allclose(to_numpy(at.cauchy), to_numpy(cauchy), rtol=1e-13)


@each_cell
def test_derivatives_of_the_cauchy_transform(cell: Cell) -> None:
    ours, h = chain(history(cell, 2)), 1e-6
    sigma = below_axis(2, ours.blocks)
    at = ours.responses(S, sigma)
    slope = (ours.cauchy(S + h, sigma, None) - ours.cauchy(S - h, sigma, None)) / (2 * h)
    assert np.allclose(at.cauchy_drift, slope, atol=1e-8)
    for b in range(ours.blocks):
        unit = np.eye(ours.blocks)[b] * h
        above, below = (ours.cauchy(S, sigma + sign * unit, None) for sign in (1, -1))
        assert np.allclose(at.cauchy_row[:, b], (above - below) / (2 * h), atol=1e-8)


@both
@each_cell
def test_the_derivatives_of_the_balance(cell: Cell, name: str) -> None:
    ours, s = chain(history(cell, 2), name), 3 * S
    differences_are_derivatives(ours, s, 0.1 * below_axis(2, ours.blocks))


@both
@each_cell
def test_the_leading_order_is_that_of_large_s(cell: Cell, name: str) -> None:
    ours = chain(history(cell, 3), name)
    s = np.array([1e5 + 0j, 1e5j])
    leading = ours.leading(s)
    image = ours.self_energies(leading, ours.averages(s, leading))
    assert np.allclose(image, leading, rtol=1e-7)


def scalar(cell: Cell, steps: int, ensemble: Any) -> tuple[ProductChain, BlockChain]:
    """The same sites written both ways."""
    sites = history(cell, steps, 6)
    A, B = (
        np.array([filled(getattr(step, name)[0][0], 6) for step in sites.diagonals])
        for name in ("state", "gate")
    )
    plain = ProductChain(SiteHistory.of(A, B, sites.weights), ensemble)
    return plain, BlockChain.of(sites, [ensemble])


@pytest.mark.parametrize("cell", [vanilla, minimalrnn], ids=lambda cell: cell.name)
@pytest.mark.parametrize("ensemble", [GaussianWeights(1.2), OrthogonalWeights(1.2)])
@pytest.mark.parametrize("steps", [1, 4])
def test_one_state_and_one_preactivation(cell: Cell, ensemble: Any, steps: int) -> None:
    plain, ours = scalar(cell, steps, ensemble)
    sigma = below_axis(2, 2 * steps)
    one, other = plain.responses(S, sigma), ours.responses(S, sigma)
    for name in ("averages", "matrix", "drift"):
        assert np.allclose(getattr(one, name), getattr(other, name), rtol=1e-12, atol=1e-13)
    g = one.averages
    assert np.allclose(ours.leading(S), plain.leading(S), rtol=1e-12)
    assert np.allclose(ours.potential(S, sigma, g), plain.potential(S, sigma, g), rtol=1e-12)
    s = np.array([0.2 + 0j, 0.5 + 0.1j])
    assert np.allclose(solve_chain(ours, s).cauchy, solve_chain(plain, s).cauchy, rtol=1e-9)
    assert chain_moments(ours, 5) == pytest.approx(chain_moments(plain, 5), rel=1e-12)
    law = block_singular_value_law(ours.sites, [ensemble])
    assert isinstance(law.chain, ProductChain)
    assert np.array_equal(law.chain.sites.gate, plain.sites.gate)


@cells_and_weights
def test_the_potential_has_the_derivative_twice_g_and_is_stationary(cell: Cell, name: str) -> None:
    ours, h = chain(history(cell, 2), name), 1e-4
    s = np.array([0.3 + 0.2j, 0.9 + 0.05j, 1.5 + 0.4j, 0.2j, 9.0 + 0j])

    def potential(shift: complex) -> np.ndarray:
        found = solve_chain(ours, s + shift)
        assert np.all(found.converged)
        return ours.potential(s + shift, found.sigma, found.averages)

    slope = (potential(h) - potential(-h)) / (2 * h)
    found = solve_chain(ours, s)
    assert np.allclose(slope, 2 * found.cauchy, atol=1e-6)
    other = found.sigma[1:2] * (1 + h * below_axis(1, ours.blocks))
    moved = ours.potential(s[1:2], other, ours.averages(s[1:2], other))
    assert abs(moved[0] - potential(0)[1]) < 100 * h**2


@cells_and_weights
def test_the_distribution_is_the_integral_of_the_density(cell: Cell, name: str) -> None:
    ours, (nodes, weights) = chain(history(cell, 2), name), np.polynomial.legendre.leggauss(12)
    s = np.concatenate([[0.11, 0.13], 0.12 + 0.01 * nodes]) + 0j
    found = solve_chain(ours, s)
    assert np.all(found.converged)
    below = 1 - ours.potential(s, found.sigma, found.averages).imag / np.pi
    density = -2 / np.pi * found.cauchy.imag[2:]
    assert below[1] - below[0] == pytest.approx(0.01 * float(weights @ density), abs=1e-6)
    assert -1e-9 < below[0] < below[1] + 1e-9 < 1 + 2e-9


def test_small_points_do_not_drown_in_rounding() -> None:
    # The two states of the LSTM share most of their variance there; both ends of the chain agree.
    ours, s = chain(history(lstm, 1, 64)), np.array([1e-9j])
    found = solve_chain(ours, s)
    assert found.converged[0]
    assert found.residual[0] < 1e-9
    u = found.sigma * found.averages
    K = ours.sites.gates
    assert np.allclose(u[:, :K], u[:, K:], rtol=1e-6, atol=1e-12)


def test_averages_do_not_cancel_where_the_memory_is_long() -> None:
    # Many later steps determine a source to a share of 1e-6 of its variance without them.
    rng, compiled, found = np.random.default_rng(0), compile_cell(lstm), []
    states, nothing = [0.5 * rng.normal(size=8) for _ in lstm.states], np.zeros(8)
    for _ in range(20):
        gates = [shift + 0.5 * rng.normal(size=8) for shift in (3.0, 1.0, 1.0, 1.0)]
        found.append(compiled.derivatives(states, gates, nothing))
        states = compiled.update(states, gates, nothing)
    ours = BlockChain.of(BlockHistory.of(found, lstm), [GaussianWeights(0.5)] * 4)
    s, sigma = np.array([1e-3j]), np.full((1, ours.blocks), -1e-3j)
    signs = (-1.0) ** np.arange(ours.blocks)
    few_bits_away = ours.averages(s, sigma * (1 + 4 * np.finfo(float).eps * signs))
    assert np.allclose(ours.averages(s, sigma), few_bits_away, rtol=1e-13)


def test_portions_of_the_sites_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    sites = history(gru, 3, sites=150)
    whole, cut = chain(sites), chain(sites)
    sigma = below_axis(2, whole.blocks)
    expected, potential = whole.responses(S, sigma), whole.potential(S, sigma, 0.1 * sigma)
    monkeypatch.setattr(block_module, "_SWEEP", 1)
    monkeypatch.setattr(block_module, "_HELD", 1)
    assert len(cut.parts(1)) == 2
    assert np.allclose(cut.responses(S, sigma).matrix, expected.matrix, rtol=1e-12)
    assert np.allclose(cut.averages(S, sigma), expected.averages, rtol=1e-12)
    assert np.allclose(cut.potential(S, sigma, 0.1 * sigma), potential, rtol=1e-12)


def test_preactivations_without_a_matrix_drop_out() -> None:
    assert history(gru_reset_after, 1).names == ("update", "reset", "candidate")
    sites = history(gru, 2)
    ours = BlockChain.of(sites, [GaussianWeights(x) for x in (1.0, 0.0, 1.0)])
    assert ours.sites.names == ("update", "candidate")
    assert ours.blocks == 8
    idle = BlockChain.of(sites, [GaussianWeights(x) for x in (1.0, 1e-12, 1.0)])
    s = np.array([0.2 + 0.1j])
    assert np.allclose(solve_chain(ours, s).cauchy, solve_chain(idle, s).cauchy, rtol=1e-9)
    assert BlockChain.of(sites, [GaussianWeights(0.0)] * 3).deterministic


def test_ensembles_by_name() -> None:
    laws = {"update": GaussianWeights(1.0), "reset": GaussianWeights(2.0)}
    with pytest.raises(ParameterError, match="candidate"):
        BlockChain.of(history(gru, 1), laws)
    with pytest.raises(ParameterError, match="3 preactivations"):
        BlockChain.of(history(gru, 1), [GaussianWeights(1.0)])


def test_histories_are_checked() -> None:
    steps = derivatives(gru, 2, 4)
    with pytest.raises(ParameterError, match="add up to 1"):
        BlockHistory.of(steps, gru, np.full(4, 0.5))
    with pytest.raises(ParameterError, match="same shape"):
        BlockHistory.of([steps[0], *derivatives(gru, 1, 5)], gru)
    with pytest.raises(ParameterError, match="at least one step"):
        BlockHistory.of([], gru)


@pytest.mark.parametrize("other", [None, 0.0])
def test_what_reaches_no_state_drops_out(other: float | None) -> None:
    B, weights = np.array([0.5, 1.0, 1.5]), np.ones(3) / 3
    unread = other if other is None else other * B
    step = StepDiagonals([[0.3]], [[B, unread]], [[1.0]], [[None, None]])
    alone = StepDiagonals([[0.3]], [[B]], [[1.0]], [[None]])
    ensembles = [OrthogonalWeights(1.1), OrthogonalWeights(0.7)]
    ours = BlockChain.of(BlockHistory((step,), weights, ("a", "b"), (0, 0)), ensembles)
    plain = BlockChain.of(BlockHistory((alone,), weights, ("a",), (0,)), ensembles[:1])
    assert ours.sites.names == ("a",)
    s = np.array([0.4, 0.9, 5.0]) + 0j
    found = solve_chain(ours, s)
    assert np.all(found.converged)
    assert np.allclose(found.cauchy, solve_chain(plain, s).cauchy, rtol=1e-10)
