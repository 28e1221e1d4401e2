"""Moments of a chain of any cell against products of matrices, at sites that used to be 0 / 0."""

from dataclasses import replace
from math import comb

import numpy as np
import pytest
import sympy as sp

from rmt_jacobian.cells import (
    Cell,
    Parameters,
    Preactivation,
    StepDerivatives,
    compile_cell,
    gru,
    gru_reset_after,
    hard_tanh,
    lstm,
    lstm_cell,
    lstm_peephole,
)
from rmt_jacobian.comparison import verify
from rmt_jacobian.pencils import (
    BlockChain,
    BlockHistory,
    GaussianWeights,
    OrthogonalWeights,
    chain_moments,
)
from tests.cells.two_gates import two_states
from tests.pencils.blocks import chain, derivatives, filled, history, sampled

HARD = lstm_cell("relu", lambda z: (1 + hard_tanh(z)) / 2)
both = pytest.mark.parametrize("name", ["gaussian", "orthogonal"])


def dead(step: StepDerivatives, state: int, sites: np.ndarray) -> StepDerivatives:
    """Return the same step where a state of some sites depends on nothing."""

    def off(table: dict) -> dict:
        return {
            (i, j): np.where(sites & (i == state), 0.0, value) for (i, j), value in table.items()
        }

    return replace(step, state=off(dict(step.state)), gate=off(dict(step.gate)))


def agrees_with_products(sites: BlockHistory, name: str, samples: int = 12) -> None:
    """Compare three moments with those of sampled products, on the same sites."""
    rng, exact = np.random.default_rng(5), chain_moments(chain(sites, name), 3)
    drawn = np.array([sampled(sites, name, rng) ** 2 for _ in range(samples)])
    for k in (1, 2, 3):
        moments = (drawn**k).mean(axis=1)
        error = moments.std(ddof=1) / samples**0.5
        assert abs(moments.mean() - exact[k]) < 4 * error + exact[k] * 4 * k / sites.count
        assert error < 0.12 * exact[k]  # so that the comparison means something


@both
@pytest.mark.parametrize("cell", [lstm, lstm_peephole, two_states], ids=lambda cell: cell.name)
def test_sites_whose_first_state_is_dead(cell: Cell, name: str) -> None:
    n = 200
    steps = [dead(step, 0, np.arange(n) < n // 3) for step in derivatives(cell, 2, n)]
    agrees_with_products(BlockHistory.of(steps, cell), name)


@both
def test_saturated_gates_of_relu_cells(name: str) -> None:
    # Hard gates are 0 or 1 with vanishing slope at many sites, relu candidates are often off.
    sites = BlockHistory.of(derivatives(HARD, 2, 240), HARD)
    for step in sites.diagonals:
        output = step.state[-1] + step.gate[-1]  # the memory stands before it
        dead = np.all([filled(entry, 240) == 0 for entry in output], axis=0)
        assert np.mean(dead) > 0.3
    agrees_with_products(sites, name)


@pytest.mark.parametrize("cell", [gru, gru_reset_after, lstm_peephole], ids=lambda cell: cell.name)
def test_ordinary_sites(cell: Cell) -> None:
    agrees_with_products(BlockHistory.of(derivatives(cell, 3, 150), cell), "gaussian", samples=20)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_three_states_that_are_multiples_of_each_other(steps: int) -> None:
    # J = (1, 2, 3)^T W (1, 0, 0), so that J J^T is 14 (W ... W)(W ... W)^T on a third of the space.
    a, b, c, e, x = sp.symbols("a b c e x", real=True)
    cell = Cell(
        "multiples",
        (a, b, c),
        x,
        (Preactivation("all", e, a),),
        tuple(k * sp.tanh(e) for k in (1, 2, 3)),
    )
    zero = np.zeros(2)
    step = compile_cell(cell).derivatives([zero] * 3, [zero], zero)
    ours = BlockChain.of(BlockHistory.of([step] * steps, cell), [GaussianWeights(1.0)])
    exact = [1.0] + [
        14**k * comb((steps + 1) * k, k) / (steps * k + 1) / 3 for k in range(1, 5)
    ]  # Fuss-Catalan
    assert chain_moments(ours, 4) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("cell", [lstm, gru], ids=lambda cell: cell.name)
def test_without_any_matrix_every_site_is_a_product_of_its_own(cell: Cell) -> None:
    sites = history(cell, 3, sites=7)
    ours = BlockChain.of(sites, [GaussianWeights(0.0)] * sites.gates)
    assert ours.deterministic
    d, product = sites.states, np.eye(sites.states)
    for step in sites.diagonals:
        A = np.array([[filled(entry, 7) for entry in row] for row in step.state])
        product = np.moveaxis(A, -1, 0) @ product
    squares = np.linalg.svd(product, compute_uv=False).reshape(7, d) ** 2
    exact = [sites.weights @ (squares**k).mean(axis=1) for k in range(5)]
    assert chain_moments(ours, 4) == pytest.approx(exact, rel=1e-12)


def test_a_cell_that_never_reads_its_state_through_a_matrix() -> None:
    h, x, e = sp.symbols("h x e", real=True)
    cell = Cell(
        "filter", (h,), x, (Preactivation("gate", e, sp.S.Zero),), (h * (1 + sp.tanh(e)) / 2,)
    )
    step = compile_cell(cell).derivatives([np.ones(3)], [np.array([-1.0, 0.0, 2.0])], np.zeros(3))
    ours = BlockChain.of(BlockHistory.of([step, step], cell), [])
    A = (1 + np.tanh([-1.0, 0.0, 2.0])) / 2
    expected = [np.mean(A ** (4 * k)) for k in range(4)]
    assert chain_moments(ours, 3) == pytest.approx(expected, rel=1e-12, abs=0)


@pytest.mark.parametrize("ensemble", [GaussianWeights(1.3), OrthogonalWeights(1.3)])
def test_a_negligible_state_changes_nothing(ensemble: GaussianWeights | OrthogonalWeights) -> None:
    # The moments are continuous where a state dies: no term is divided by its variance.
    steps, sites = derivatives(lstm, 2, 6), np.arange(6) < 3

    def moments(scale: float) -> list[float]:
        changed = [
            replace(
                step,
                state={k: np.where(sites & (k[0] == 0), scale, 1) * v
                       for k, v in step.state.items()},
                gate={k: np.where(sites & (k[0] == 0), scale, 1) * v for k, v in step.gate.items()},
            )
            for step in steps
        ]  # fmt: skip
        return chain_moments(BlockChain.of(BlockHistory.of(changed, lstm), [ensemble] * 4), 4)

    assert moments(1e-170) == pytest.approx(moments(0.0), rel=1e-13)
    assert moments(1e-9) == pytest.approx(moments(0.0), rel=1e-13)


@pytest.mark.slow
def test_verify_knows_the_moments_of_saturated_cells() -> None:
    parameters = Parameters.of(HARD, weight_std=0.8, input_std=2.0, input_variance=1.0)
    found = verify(
        HARD, parameters, weights=["gaussian"], steps=[1, 2],
        width=96, samples=8, spectra=False, workers=1,
    )  # fmt: skip
    assert all("unknown" not in row.verdict for row in found.rows)
    assert all("exact agrees" in row.verdict for row in found.rows)
