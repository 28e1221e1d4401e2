"""Laws and moments of products of any cell against sampled products on the same sites."""

import math

import numpy as np
import pytest
import sympy as sp

from rmt_jacobian.cells import (
    Cell,
    Preactivation,
    compile_cell,
    gru,
    gru_reset_after,
    lstm,
    lstm_cell,
    lstm_peephole,
    relu,
)
from rmt_jacobian.comparison import finite_size_null, ks_distance
from rmt_jacobian.errors import HypothesisError, ParameterError
from rmt_jacobian.pencils import (
    BlockChain,
    BlockHistory,
    GaussianWeights,
    chain_moments,
    solve_chain,
)
from rmt_jacobian.singular_values import SingularValueLaw, block_singular_value_law
from tests.cells.two_gates import two_states
from tests.in_turn import in_turn
from tests.pencils.blocks import chain, derivatives, history, sampled

CELLS = [gru, gru_reset_after, lstm, lstm_peephole, two_states]
each_cell = pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
either = pytest.mark.parametrize(
    "name", ["gaussian", pytest.param("orthogonal", marks=pytest.mark.thorough)]
)
cells_and_weights = pytest.mark.parametrize(
    ("cell", "name"),
    in_turn(CELLS, ["gaussian", "orthogonal"]),
    ids=lambda value: getattr(value, "name", value),
)


def drawn(cell: Cell, steps: int, width: int, seed: int = 5) -> BlockHistory:
    """Neurons of equal weights: W does not depend on them, so that their law is exact."""
    return BlockHistory.of(derivatives(cell, steps, width, seed), cell)


def distance(ours: BlockChain, found: np.ndarray) -> float:
    """The largest distance of the cdf from sampled shares, at some points.

    The neurons are those of the sample, so that a share of the noise of independent sites is left.
    """
    values = np.sort(found.ravel())
    index = np.linspace(0.02, 0.98, 13) * values.size
    s = values[index.astype(int)]
    solution = solve_chain(ours, s + 0j)
    assert np.all(solution.converged)
    below = 1 - ours.potential(solution.s, solution.sigma, solution.averages).imag / np.pi
    return float(np.max(abs(below - (index.astype(int) + 0.5) / values.size)))


def check(cell: Cell, steps: int, name: str, width: int, samples: int) -> None:
    sites, rng = drawn(cell, steps, width), np.random.default_rng(3)
    ours = chain(sites, name)
    found = np.array([sampled(sites, name, rng) for _ in range(samples)])
    assert distance(ours, found) < finite_size_null(sites.states * width, samples) / 4
    moments = np.array([[np.mean(row ** (2 * k)) for k in (1, 2, 3)] for row in found])
    exact = np.array(chain_moments(ours, 3)[1:])
    error = moments.std(axis=0, ddof=1) / math.sqrt(samples)
    assert np.all(abs(moments.mean(axis=0) - exact) < 5 * error + 3 * exact / width)


@cells_and_weights
def test_sampled_products_of_one_step(cell: Cell, name: str) -> None:
    check(cell, 1, name, 128, 6)


@cells_and_weights
def test_sampled_products_of_three_steps(cell: Cell, name: str) -> None:
    check(cell, 3, name, 96, 8)


@either
def test_a_state_that_nothing_reads(name: str) -> None:
    """Its dimension, a third of all, is lost; what is kept has the law of the samples."""
    s, e, f = sp.symbols("s_1:4"), sp.Symbol("e"), sp.Symbol("f")
    delayed = Cell(
        "delayed", s, sp.Symbol("x"),
        (Preactivation("one", e, s[2]), Preactivation("two", f, s[2])),
        (e / 4 + sp.exp(-(f**2) / 2), e, s[1]),
    )  # fmt: skip
    sites, rng = drawn(delayed, 1, 128), np.random.default_rng(4)
    law = SingularValueLaw(chain(sites, name), tolerance=1e-3)
    values = np.sort(np.ravel([sampled(sites, name, rng) for _ in range(6)]))
    assert law.atoms()[0] == pytest.approx((0.0, 1 / 3))
    assert np.mean(values < 1e-9) == pytest.approx(1 / 3)
    s_above = np.array([0.3, 0.5, 0.7, 0.9, 1.1])
    below = np.searchsorted(values, s_above) / values.size
    assert law.cdf(s_above) == pytest.approx(below, abs=finite_size_null(3 * 128, 6) / 4 + 2e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "name"),
    [
        (gru, "orthogonal"),
        pytest.param(lstm, "gaussian", marks=pytest.mark.thorough),
        pytest.param(gru, "gaussian", marks=pytest.mark.thorough),
        pytest.param(lstm, "orthogonal", marks=pytest.mark.thorough),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_sampled_products_of_twenty_steps(cell: Cell, name: str) -> None:
    sites, rng = drawn(cell, 20, 128), np.random.default_rng(3)
    found = np.array([sampled(sites, name, rng) for _ in range(4)])
    values = np.sort(found.ravel())
    clear = values[values > 1e-11 * values[-1]]  # rounding of the product hides those below
    assert clear.size > 0.3 * values.size
    ours, s = chain(sites, name), clear[clear.size // 16 :: clear.size // 8]
    solution = solve_chain(ours, s + 0j)
    assert np.all(solution.converged)
    below = 1 - ours.potential(solution.s, solution.sigma, solution.averages).imag / np.pi
    empirical = np.searchsorted(values, s) / values.size
    assert np.max(abs(below - empirical)) < finite_size_null(128 * sites.states, 4) / 2


@each_cell
def test_moments_do_not_depend_on_the_order_asked_for(cell: Cell) -> None:
    ours = chain(history(cell, 3), "orthogonal")
    long = chain_moments(ours, 7)
    assert long[0] == pytest.approx(1, rel=1e-14)
    for order in (0, 1, 2, 4):
        assert chain_moments(ours, order) == pytest.approx(long[: order + 1], rel=1e-11)


@either
def test_moments_are_integrals_of_the_law(name: str) -> None:
    law = SingularValueLaw(chain(history(gru, 2), name), tolerance=1e-5, squared=True)
    for k in (1, 2, 3):
        assert law.roots()._integral(lambda s, k=k: s ** (2 * k)) == pytest.approx(
            law.moment(k), rel=1e-4
        )


def test_the_cauchy_transform_is_that_of_the_moments() -> None:
    law = SingularValueLaw(chain(history(lstm, 2)), squared=True)
    top = law.support()[1]
    z = 12 * top * np.exp(1j * np.array([0.4, 2.0, -1.0]))
    series = sum(m / z ** (k + 1) for k, m in enumerate(chain_moments(law.chain, 8)))
    assert np.allclose(law.cauchy(z), series, rtol=1e-7)


def test_dead_neurons_are_lost() -> None:
    # Without a memory, c' = i tanh(e_y) of a dead input gate passes nothing on.
    cell = lstm_cell(gate="hard-tanh", name="hard")
    sites, rng = drawn(cell, 3, 96), np.random.default_rng(0)
    found = np.array([sampled(sites, "gaussian", rng) for _ in range(2)])
    law = SingularValueLaw(chain(sites), tolerance=1e-4)
    zeros = float(np.mean(found < 1e-9 * found.max()))
    assert zeros > 0.01
    assert law.chain.lost == pytest.approx(zeros, abs=1e-9)
    assert law.cdf(0.0) == law.chain.lost
    assert ks_distance(found * (found > 1e-9 * found.max()), law) < finite_size_null(192, 2) / 4


def test_replicates_and_names() -> None:
    laws = {name: GaussianWeights(1.0) for name in ("update", "reset", "candidate")}
    law = block_singular_value_law(
        drawn(gru, 2, 64), laws, tolerance=1e-4, replicates=[drawn(gru, 2, 64, seed=9)]
    )
    assert 0 < law.error_estimate < 0.3
    with pytest.raises(HypothesisError):
        block_singular_value_law(drawn(gru, 1, 8), [GaussianWeights(0.0)] * 3)
    with pytest.raises(ParameterError, match="order"):
        chain_moments(law.chain, -1)


def test_a_replicate_may_never_see_what_one_w_passes_on() -> None:
    """The rare sites of one draw have another gate open; the other draw has none of them."""
    e, f, state = sp.symbols("e f s", real=True)
    cell = Cell(
        "rare", (state,), sp.Symbol("x", real=True),
        (Preactivation("g1", e, sp.tanh(state)), Preactivation("g2", f, state)),
        (e / 4 + relu(f),),
    )  # fmt: skip
    compiled = compile_cell(cell)

    def sites(open_ones: int) -> BlockHistory:
        s = np.linspace(-1, 1, 64)
        f = np.where(np.arange(64) < open_ones, 1.0, -1.0)
        return BlockHistory.of([compiled.derivatives([s], [s, f], 0 * s)], cell)

    weights = [GaussianWeights(1.0), GaussianWeights(0.5)]
    seen, unseen = sites(1), sites(0)
    law = block_singular_value_law(seen, weights, tolerance=1e-4, replicates=[unseen])
    alone = block_singular_value_law(unseen, weights, tolerance=1e-4)
    x = np.linspace(0.01, 0.99 * alone.support()[1], 200)
    apart = float(np.abs(law.cdf(x) - alone.cdf(x)).max())
    assert law.chain.blocks > alone.chain.blocks
    assert alone.support()[1] < 0.5  # |W| / 4
    assert law.error_estimate == pytest.approx(apart, rel=0.2)
