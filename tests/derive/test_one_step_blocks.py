"""One-step moments of cells with several states and preactivations, by routes without words."""

import numpy as np
import pytest
import sympy as sp

from rmt_jacobian.cells import (
    Cell,
    Parameters,
    Preactivation,
    gru,
    gru_reset_after,
    lstm,
    lstm_peephole,
    minimalrnn,
)
from rmt_jacobian.derive import (
    jacobian_polynomial,
    one_step_moment,
    one_step_variance,
    s_transform_moment,
)
from rmt_jacobian.derive.closed_paths import closed_words
from rmt_jacobian.derive.jacobian import weight_cumulants
from rmt_jacobian.derive.quantities import AverageBook
from rmt_jacobian.errors import HypothesisError
from rmt_jacobian.freeprob import adjoint, diagonal_trace, mixed_moment, multiply, power_trace
from rmt_jacobian.mean_field import Sites, untied_state
from rmt_jacobian.pencils import BlockChain, BlockHistory, chain_moments, weight_ensembles
from tests.cells.two_gates import two_gates, two_states
from tests.derive.dense import MATRICES, at_infinite_width
from tests.pencils.blocks import filled

CELLS = [gru, gru_reset_after, lstm, lstm_peephole, two_gates, two_states]
SITES = 40


def parameters(cell: Cell) -> Parameters:
    """A weight_std of its own for every W."""
    values = {"input_std": 1.0, "bias_mean": 0.2, "bias_std": 0.3, "input_variance": 0.8}
    names = [each.name for each in cell.preactivations if each.reads_state]
    stds = {f"{name}.weight_std": 1.2 + 0.4 * k for k, name in enumerate(names)}
    return Parameters.of(cell, {**values, **stds})


def sites(cell: Cell) -> Sites:
    rng = np.random.default_rng(8)
    variables = rng.normal(0.3, 0.8, (len(cell.site_symbols), SITES))
    d = len(cell.states)
    return Sites.of(cell, parameters(cell), variables[:d], variables[d:-1], variables[-1])


def on_chain(at: Sites, weights: str, order: int) -> list[float]:
    history = BlockHistory.of([at.derivatives], at.cell, at.weights)
    laws = weight_ensembles(at.parameters, history.names, weights)
    return chain_moments(BlockChain.of(history, laws), order)[1:]


@pytest.mark.parametrize("weights", MATRICES)
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_moments_are_those_of_the_dyson_equation(cell: Cell, weights: str) -> None:
    at, order = sites(cell), 2 if len(cell.gates) > 3 else 3
    found = [one_step_moment(cell, k).evaluate(at, weights=weights) for k in range(1, order + 1)]
    assert found == pytest.approx(on_chain(at, weights, order), rel=1e-11)
    variance = one_step_variance(cell).evaluate(at, weights=weights)
    assert variance == pytest.approx(found[1] - found[0] ** 2, rel=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("weights", MATRICES)
def test_the_third_moment_of_the_lstm(weights: str) -> None:
    at = sites(lstm)
    found = one_step_moment(lstm, 3).evaluate(at, weights=weights)
    assert found == pytest.approx(on_chain(at, weights, 3)[2], rel=1e-11)


@pytest.mark.parametrize("weights", MATRICES)
@pytest.mark.parametrize("cell", [lstm_peephole, two_states], ids=lambda cell: cell.name)
def test_moments_of_sampled_blocks(cell: Cell, weights: str) -> None:
    at = sites(cell)
    history = BlockHistory.of([at.derivatives], cell, at.weights)
    (step,) = history.diagonals
    stds = [at.parameters[name].weight_std for name in history.names]

    def sample(copies: int, rng: np.random.Generator) -> np.ndarray:
        n, d = copies * SITES, history.states
        start = list(np.eye(d * n).reshape(d, n, d * n))

        def through(row: list, blocks: list) -> np.ndarray:
            terms = [
                np.tile(filled(entry, SITES), copies)[:, None] * block
                for entry, block in zip(row, blocks, strict=False)
                if entry is not None
            ]
            return sum(terms, np.zeros((n, d * n)))

        E: list[np.ndarray] = []
        for std, source in zip(stds, history.sources, strict=True):
            y = through(step.source_state[source], start) + through(step.source_gate[source], E)
            E.append(std * MATRICES[weights](n, rng) @ y)
        rows = zip(step.state, step.gate, strict=True)
        J = np.concatenate([through(a, start) + through(b, E) for a, b in rows])
        M = J @ J.T
        return np.array([np.trace(M), np.sum(M * M)]) / len(M)

    found, error = at_infinite_width(sample, copies=(1, 2), samples=200, seed=2)
    expected = [one_step_moment(cell, k).evaluate(at, weights=weights) for k in (1, 2)]
    left_over = np.abs(expected) * (4 / SITES) ** 2
    assert np.all(np.abs(found - expected) < 5 * error + left_over)
    assert np.all(error < 0.03 * np.abs(expected))


@pytest.mark.parametrize(("cell", "k"), [(minimalrnn, 3), (gru, 1), (gru, 2), (two_gates, 2)])
def test_one_state_has_the_words_of_the_power(cell: Cell, k: int) -> None:
    J, (cumulants, _) = jacobian_polynomial(cell), weight_cumulants(cell, k)
    average = AverageBook(dict(J.letters))
    whole = power_trace(J.words, k, cumulants, diagonal_trace(average))
    assert sp.expand(whole - one_step_moment(cell, k).expression) == 0


def test_closed_words_are_those_of_the_product_of_blocks() -> None:
    J, (cumulants, _) = jacobian_polynomial(two_states), weight_cumulants(two_states, 2)
    average = diagonal_trace(AverageBook(dict(J.letters)))
    adjoints = [[adjoint(entry) for entry in row] for row in J.blocks]
    total, states = sp.S.Zero, range(2)
    for a in states:
        for b in states:
            for c in states:
                for d in states:
                    product = multiply(
                        J.blocks[a][b], adjoints[c][b], J.blocks[c][d], adjoints[a][d]
                    )
                    for word, count in product.items():
                        total += count * mixed_moment(word, cumulants, average)
    assert sp.expand(total / 2 - one_step_moment(two_states, 2).expression) == 0
    assert all(count > 0 for count in closed_words(J.blocks, 2).values())


def test_names_of_averages_do_not_meet() -> None:
    c, c2, x, e = sp.symbols("c c2 x e", real=True)
    cell = Cell(
        "names", (c, c2), x, (Preactivation("candidate", e, c),),
        (c * c2 + sp.tanh(e), c2**2 / 2 + c / 3),
    )  # fmt: skip
    at = sites(cell)
    found = [one_step_moment(cell, k).evaluate(at) for k in (1, 2)]
    assert found == pytest.approx(on_chain(at, "gaussian", 2), rel=1e-11)


@pytest.mark.parametrize(
    "cell",
    [pytest.param(gru_reset_after, marks=pytest.mark.thorough), lstm],
    ids=lambda cell: cell.name,
)
def test_moments_at_the_stationary_state(cell: Cell) -> None:
    p = parameters(cell)
    at = untied_state(cell, p).sites
    moment = one_step_moment(cell, 2)
    expected = on_chain(at, "orthogonal", 2)[1]
    assert moment.evaluate(p, weights="orthogonal") == pytest.approx(expected, rel=1e-10)


def test_frozen_biases_are_averaged_over_sites() -> None:
    p = Parameters.of(minimalrnn).with_values(bias_std=0.5)
    frozen = Parameters.of(minimalrnn, dict(p.named()), bias_kind="frozen")
    mean = one_step_moment(minimalrnn, 1)
    at = untied_state(minimalrnn, frozen).sites
    assert mean.evaluate(frozen) == pytest.approx(on_chain(at, "gaussian", 1)[0], rel=1e-10)


def test_letters_without_weights_are_left_out() -> None:
    letters = [str(letter) for letter, _ in jacobian_polynomial(gru_reset_after).letters]
    assert not any("candidate_input" in letter for letter in letters)


def test_products_of_blocks_are_not_free() -> None:
    with pytest.raises(HypothesisError, match=r"rmt_jacobian\.moments"):
        s_transform_moment(lstm, 2)
    with pytest.raises(HypothesisError, match="blocks"):
        _ = jacobian_polynomial(lstm).words
