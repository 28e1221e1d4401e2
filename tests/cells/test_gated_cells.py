"""The cells with gates, against equations written by hand and finite differences."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp

from rmt_jacobian.cells import (
    Cell,
    Parameters,
    Preactivation,
    compile_cell,
    gru,
    gru_cell,
    gru_reset_after,
    gru_reset_after_cell,
    lstm,
    lstm_cell,
    lstm_peephole,
    minimalrnn,
    sigmoid,
)
from rmt_jacobian.errors import ParameterError, SpecificationError

SITES = 7
STEP = 1e-5
# Central differences: truncation step^2 f''' / 6 with |f'''| of up to 100, rounding eps / step.
TOLERANCE = 20 * STEP**2 + 10 * np.finfo(float).eps / STEP
Function = Callable[[np.ndarray], np.ndarray]


def logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def error_function(x: np.ndarray) -> np.ndarray:
    """2/sqrt(pi) times the integral of exp(-t^2), by Gauss and Legendre."""
    nodes, weights = np.polynomial.legendre.leggauss(60)
    t = np.multiply.outer(x / 2, nodes + 1)
    return x / np.sqrt(np.pi) * (np.exp(-(t**2)) @ weights)


HAND: dict[str, Function] = {
    "tanh": np.tanh,
    "sigmoid": logistic,
    "hard-tanh": lambda x: np.clip(x, -1, 1),
    "erf": error_function,
    "relu": lambda x: np.maximum(x, 0),
    "identity": lambda x: x,
}


def gru_by_hand(states: list, gates: list, phi: Function, sigma: Function) -> tuple[list, list]:
    (h,), (z, r, y) = states, gates
    z = sigma(z)
    return [h, h, sigma(r) * h], [z * h + (1 - z) * phi(y)]


def gru_after_by_hand(
    states: list, gates: list, phi: Function, sigma: Function
) -> tuple[list, list]:
    (h,), (z, r, y, v) = states, gates
    z = sigma(z)
    return [h, h, h, 0 * h], [z * h + (1 - z) * phi(sigma(r) * y + v)]


def lstm_by_hand(states: list, gates: list, phi: Function, sigma: Function) -> tuple[list, list]:
    (h, c), (f, i, o, y) = states, gates
    new = sigma(f) * c + sigma(i) * phi(y)
    return [h, h, h, h], [sigma(o) * phi(new), new]


def peephole_by_hand(
    states: list, gates: list, phi: Function, sigma: Function
) -> tuple[list, list]:
    (h, c), _ = states, gates
    return [c, c, c, h], lstm_by_hand(states, gates, phi, sigma)[1]


MAKERS = {
    "gru": (gru_cell, gru_by_hand),
    "gru-reset-after": (gru_reset_after_cell, gru_after_by_hand),
    "lstm": (lstm_cell, lstm_by_hand),
    "lstm-peephole": (lambda *a: lstm_cell(*a, peephole=True), peephole_by_hand),
}
CASES = [(name, phi, "sigmoid") for name in MAKERS for phi in HAND]
CASES += [(name, "tanh", sigma) for name in MAKERS for sigma in ("hard-tanh", "erf", "identity")]


def drawn(cell: Cell, seed: int) -> tuple[list, list, np.ndarray]:
    rng = np.random.default_rng(seed)
    states = list(rng.uniform(-0.9, 0.9, (len(cell.states), SITES)))
    gates = list(1.3 * rng.standard_normal((len(cell.gates), SITES)))
    return states, gates, rng.standard_normal(SITES)


def slope(function: Callable[[list], np.ndarray], arguments: list, k: int) -> np.ndarray:
    def shifted(by: float) -> np.ndarray:
        return function([a + by if j == k else a for j, a in enumerate(arguments)])

    return (shifted(STEP) - shifted(-STEP)) / (2 * STEP)


@pytest.mark.parametrize(("name", "phi", "sigma"), CASES, ids=lambda case: str(case))
def test_steps_and_tables_against_equations_by_hand(name: str, phi: str, sigma: str) -> None:
    maker, by_hand = MAKERS[name]
    cell = maker(phi, sigma)
    compiled = compile_cell(cell)
    states, gates, x = drawn(cell, 3)

    def hand(s: list, g: list) -> tuple[list, list]:
        return by_hand(s, g, HAND[phi], HAND[sigma])

    sources, updates = hand(states, gates)
    for k, source in enumerate(sources):
        assert compiled.source(k, states, gates) + 0 * x == pytest.approx(source, abs=1e-14)
    for found, update in zip(compiled.update(states, gates, x), updates, strict=True):
        assert found == pytest.approx(update, abs=1e-13)

    tables = compiled.derivatives(states, gates, x)
    d, K = len(states), len(gates)

    def check(table: Any, key: tuple[int, int], expected: np.ndarray) -> None:
        found = table.get(key, 0.0) + np.zeros(SITES)
        assert found == pytest.approx(expected + np.zeros(SITES), abs=TOLERANCE)
        # What is left out vanishes for all values, not at these only.
        assert (key in table) or not np.any(expected)

    for i in range(d):
        for j in range(d):
            check(tables.state, (i, j), slope(lambda s, i=i: hand(s, gates)[1][i], states, j))
        for k in range(K):
            check(tables.gate, (i, k), slope(lambda g, i=i: hand(states, g)[1][i], gates, k))
    for k in range(K):
        for j in range(d):
            each = slope(lambda s, k=k: hand(s, gates)[0][k], states, j)
            check(tables.source_state, (k, j), each)
        for j in range(K):
            each = slope(lambda g, k=k: hand(states, g)[0][k], gates, j)
            check(tables.source_gate, (k, j), each)


def test_the_cells_by_name_are_those_of_tanh_and_sigmoid() -> None:
    assert (gru, gru_reset_after) == (gru_cell("tanh", "sigmoid"), gru_reset_after_cell())
    assert (lstm, lstm_peephole) == (lstm_cell("tanh", "sigmoid"), lstm_cell(peephole=True))


def test_resetting_before_and_after_are_different_cells() -> None:
    """They agree where the reset gate is open, and where there is nothing to reset."""
    h, z, y = np.array([0.5]), np.array([0.3]), np.array([0.8])
    closed, open_ = np.array([-40.0]), np.array([40.0])
    before, after = compile_cell(gru), compile_cell(gru_reset_after)
    (known,) = before.update([h], [z, open_, y], h)
    assert after.update([h], [z, open_, y, 0 * h], h)[0] == pytest.approx(known)
    # After the product the closed gate removes W h, so that only the input is left.
    assert after.update([h], [z, closed, y, 0 * h], h)[0] == pytest.approx(logistic(z) * h)
    assert before.source(2, [h], [z, closed, y]) == pytest.approx(0, abs=1e-15)
    assert after.source(2, [h], [z, closed, y, h]) == pytest.approx(h)


def test_hyperparameters_that_a_cell_does_not_have() -> None:
    point = Parameters.of(gru_reset_after, weight_std=1, input_std=2, input_variance=1)
    assert set(point.absent) == {"candidate.input_std", "candidate_input.weight_std"}
    named = point.named()
    assert not set(point.absent) & set(named)
    assert (named["candidate.weight_std"], named["candidate_input.input_std"]) == (1, 2)
    assert (point["candidate"].input_std, point["candidate_input"].weight_std) == (0, 0)
    assert Parameters.of(gru_reset_after, named) == point


@pytest.mark.parametrize("name", ["candidate.input_std", "candidate_input.weight_std"])
def test_absent_hyperparameters_cannot_be_given(name: str) -> None:
    values = {"weight_std": 1.0, "input_std": 1.0, "input_variance": 1.0}
    with pytest.raises(ParameterError, match=f"no parameter '{name}': its preactivation"):
        Parameters.of(gru_reset_after, {**values, name: 1.0})


def test_a_value_for_all_passes_over_absent_ones() -> None:
    changed = Parameters.of(gru_reset_after).with_values(weight_std=2.0, input_std=3.0)
    assert (changed["candidate"].input_std, changed["candidate_input"].weight_std) == (0, 0)
    assert (changed["candidate"].weight_std, changed["candidate_input"].input_std) == (2, 3)


@pytest.mark.parametrize(
    ("cell", "expected"), [(gru, "frozen"), (lstm, "frozen"), (minimalrnn, "redrawn")]
)
def test_biases_are_frozen_where_there_are_several_preactivations(
    cell: Cell, expected: str
) -> None:
    assert Parameters.of(cell).bias_kind == expected
    for kind in ("frozen", "redrawn"):
        assert Parameters.of(cell, bias_kind=kind).bias_kind == kind
        assert Parameters.of(cell, bias_kind=kind).with_values(bias_std=1.0).bias_kind == kind


def test_unknown_kinds_of_bias() -> None:
    with pytest.raises(ParameterError, match="unknown bias_kind 'fixed': use one of frozen"):
        Parameters.of(gru, bias_kind="fixed")  # pyright: ignore[reportArgumentType]


h, x, e, g = sp.symbols("h x e g", real=True)
index, other = sp.symbols("i j", integer=True)
GATE = Preactivation("gate", e, h)
NOT_POINTWISE = {
    "sum over sites": sp.Sum(sp.IndexedBase("h")[index], (index, 1, 5)),
    "other site": sp.IndexedBase("h")[other],
    "undefined function": sp.Function("f")(h),
    "integral": sp.Integral(sp.tanh(h), h),
    "derivative": sp.Derivative(sp.Function("f")(h), h),
    "matrix": sp.MatrixSymbol("W", 3, 3)[0, 1],
}


@pytest.mark.parametrize("bad", NOT_POINTWISE.values(), ids=NOT_POINTWISE.keys())
def test_what_is_not_pointwise_is_refused_with_the_reason(bad: sp.Expr) -> None:
    with pytest.raises(SpecificationError, match=r"update of h contains .*not pointwise"):
        Cell("bad", (h,), x, (GATE,), (sigmoid(e) * bad,))
    with pytest.raises(SpecificationError, match=r"source of 'gate' contains .*not pointwise"):
        Cell("bad", (h,), x, (Preactivation("gate", e, h + bad),), (sp.tanh(e),))


def test_cycles_of_sources_are_refused_with_the_reason() -> None:
    cycle = (Preactivation("one", e, h * sp.tanh(g)), Preactivation("two", g, h * sp.tanh(e)))
    with pytest.raises(SpecificationError, match=r"source of 'one' reads g.*form a cycle"):
        Cell("bad", (h,), x, cycle, (sp.tanh(e + g),))
    with pytest.raises(SpecificationError, match=r"source of 'one' reads e.*form a cycle"):
        Cell("bad", (h,), x, (Preactivation("one", e, h + e),), (sp.tanh(e),))
    # Only the order was wrong here.
    late = (Preactivation("one", e, h * sp.tanh(g)), Preactivation("two", g, h))
    with pytest.raises(SpecificationError, match=r"reorder them"):
        Cell("bad", (h,), x, late, (sp.tanh(e + g),))
    assert Cell("good", (h,), x, late[::-1], (sp.tanh(e + g),)).gates == (g, e)
