"""Sources that are multiples of each other are observed as one."""

from typing import Any

import numpy as np
import pytest

from rmt_jacobian.cells import StepDerivatives, gru, lstm
from rmt_jacobian.pencils import BlockChain, BlockHistory, GaussianWeights, solve_chain
from rmt_jacobian.pencils.blocks import history as history_module
from rmt_jacobian.pencils.blocks.bundles import Bundle, bundled
from tests.cells.two_gates import leaky
from tests.pencils.blocks import chain, history

MEASURE = np.array([0.2, 0.3, 0.5]) + 0j
X, RATIO = np.array([0.5, 0.0, -2.0]), np.array([3.0, 7.0, 1e-3])


def groups(rows: list, kinds: str = "aaaa") -> list[tuple[int, ...]]:
    return [bundle.sources for bundle in bundled(rows, kinds[: len(rows)], MEASURE)]


def test_multiples_at_every_site_go_together() -> None:
    """The second vanishes where the first does not, and the other way round."""
    other = np.array([0.0, 1.0, 1.0])
    rows = [[X, RATIO * X], [other, RATIO * other], [None, X]]
    assert groups(rows) == [(0, 1), (2,)]
    first, alone = bundled(rows, "aaa", MEASURE)
    for row, share in zip(rows, first.shares, strict=False):
        assert share * first.row[0] == pytest.approx(row[0])
        assert share * first.row[1] == pytest.approx(row[1])
    assert alone.row == [None, 1.0]


@pytest.mark.parametrize("off", [1e-9, 1.0])
def test_others_do_not(off: float) -> None:
    askew = RATIO * X * (1 + off * np.array([0, 0, 1.0]))
    assert groups([[X, RATIO * X], [X, askew]]) == [(0,), (1,)]
    apart = np.array([0, off, 0])  # no multiple of a row that starts with 0 there
    assert groups([[X, RATIO * X], [X, RATIO * X + apart]]) == [(0,), (1,)]
    assert groups([[X, RATIO * X], [2 * X, 2 * RATIO * X]], kinds="ab") == [(0,), (1,)]


def test_one_of_no_kind_stays_as_it_is() -> None:
    (only,) = bundled([[X, None]], [None], MEASURE)
    assert only.shares == (1.0,)
    assert only.row[0] is X
    assert len(bundled([[X, None], [X, None]], [None, None], MEASURE)) == 2


def test_costs_and_averages_by_hand() -> None:
    shares = (X, np.array([1.0, 2.0, 3.0]))
    bundle = Bundle((1, 2), [1.0], shares, MEASURE)
    costs = np.array([[9.0, 2 - 1j, 3 - 2j]])
    variance = np.array([[1 - 1j, 2 - 2j, 3 - 1j]])
    assert bundle.cost(costs) == pytest.approx(
        (costs[0, 1] * shares[0] ** 2 + costs[0, 2] * shares[1] ** 2)[None, :]
    )
    expected = [np.sum(MEASURE * share**2 * variance[0]) for share in shares]
    assert bundle.averages(variance)[0] == pytest.approx(np.array(expected))
    plain = Bundle((0,), [1.0], (1.0,), MEASURE)
    assert plain.cost(costs) == pytest.approx(costs[:, :1])
    for one, other in ((bundle, plain), (plain, bundle), (bundle, bundle)):
        found = one.squares_with(other, variance)[0]
        for a, share in enumerate(one.shares):
            for b, reader in enumerate(other.shares):
                mean = np.sum(MEASURE * (share * reader * variance[0]) ** 2)
                assert found[a, b] == pytest.approx(mean)


def test_the_memory_of_an_lstm_is_entered_in_one_direction() -> None:
    sites = history(lstm, 3)
    names = [
        [tuple(sites.names[k] for k in bundle.sources) for bundle in step]
        for step in sites.transposed.bundles
    ]
    assert names == 3 * [[("forget", "input", "candidate"), ("output",)]]


@pytest.mark.parametrize("cell", [gru, lstm], ids=lambda cell: cell.name)
@pytest.mark.parametrize("size", [1.0, 1e-3])
def test_a_chain_is_the_same_without_bundles(monkeypatch, cell, size: float) -> None:
    sites = history(cell, 4, sites=30)
    ours, alone = chain(sites), chain(sites)
    s = size * np.array([0.3 + 0.1j, 2j])
    sigma = ours.leading(s) * np.exp(0.3j) / (1 + 1 / np.abs(s))[:, None]
    sigma = np.real(sigma) - 1j * np.abs(np.imag(sigma))
    expected, responses = ours.averages(s, sigma), ours.responses(s, sigma)
    potential = ours.potential(s, sigma, expected)

    def each(rows, kinds, measure):
        return bundled(rows, [None for _ in kinds], measure)

    monkeypatch.setattr(history_module, "bundled", each)
    assert np.allclose(alone.averages(s, sigma), expected, rtol=1e-10, atol=0)
    assert np.allclose(alone.potential(s, sigma, expected), potential, rtol=1e-10, atol=0)
    found = alone.responses(s, sigma)
    for name in ("averages", "matrix", "drift", "cauchy", "cauchy_row", "cauchy_drift"):
        assert np.allclose(getattr(found, name), getattr(responses, name), rtol=1e-9, atol=0), name


@pytest.mark.parametrize("constant", [0.25, 1.0, -2.0])
@pytest.mark.parametrize("place", ["gate", "source_state", "state"])
@pytest.mark.parametrize("steps", [1, 2])
def test_entries_that_are_one_number_count_as_that_at_every_site(
    constant: float, place: str, steps: int
) -> None:
    tables = dict.fromkeys(("state", "gate", "source_state"), np.linspace(0.2, 1.0, 16))

    def solved(number: Any) -> np.ndarray:
        entries = {name: {(0, 0): value} for name, value in {**tables, place: number}.items()}
        if place == "gate" and steps == 1:
            del entries["state"][0, 0]
        step = StepDerivatives(**entries, source_gate={})
        history = BlockHistory.of([step] * steps, leaky("1/2"), np.full(16, 1 / 16))
        one = BlockChain.of(history, [GaussianWeights(1.0)])
        return solve_chain(one, np.array([0.4 + 0.3j, 1.5 + 0.1j])).cauchy

    np.testing.assert_allclose(solved(constant), solved(np.full(16, constant)), rtol=1e-9)
