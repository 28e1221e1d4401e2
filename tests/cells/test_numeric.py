from typing import Any

import numpy as np
import pytest
import sympy as sp

from rmt_jacobian.arrays import to_numpy
from rmt_jacobian.cells import Cell, array_function, compile_cell, minimalrnn, vanilla
from rmt_jacobian.cells.numeric import StepDerivatives
from tests.cells.two_gates import biased_gate, leaky, two_gates, two_states

CELLS = [minimalrnn, vanilla, leaky("1/5"), biased_gate, two_gates, two_states]
WIDTH = 5
STEP = 1e-5
# Central differences: truncation step^2 f''' / 6 with |f'''| of order 3, rounding eps / step.
TOLERANCE = 5 * STEP**2 + 10 * np.finfo(float).eps / STEP


def site_values(cell: Cell, seed: int) -> tuple[list, list, np.ndarray]:
    rng = np.random.default_rng(seed)
    states, gates, (x,) = (
        list(rng.normal(size=(n, WIDTH))) for n in (len(cell.states), len(cell.gates), 1)
    )
    return states, gates, x


def difference(function: Any, arguments: list, k: int) -> Any:
    def shifted(by: float) -> Any:
        return function([a + by if j == k else a for j, a in enumerate(arguments)])

    return (shifted(STEP) - shifted(-STEP)) / (2 * STEP)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_derivatives_against_finite_differences(cell: Cell) -> None:
    compiled = compile_cell(cell)
    states, gates, x = site_values(cell, 3)
    found: StepDerivatives = compiled.derivatives(states, gates, x)
    zeros = np.zeros(WIDTH)
    for i in range(len(cell.states)):
        for j in range(len(cell.states)):
            expected = difference(lambda s, i=i: compiled.update(s, gates, x)[i], states, j)
            assert found.state.get((i, j), 0) + zeros == pytest.approx(expected, abs=TOLERANCE)
        for k in range(len(cell.gates)):
            expected = difference(lambda g, i=i: compiled.update(states, g, x)[i], gates, k)
            assert found.gate.get((i, k), 0) + zeros == pytest.approx(expected, abs=TOLERANCE)
    for k in range(len(cell.gates)):
        for j in range(len(cell.states)):
            expected = difference(lambda s, k=k: compiled.source(k, s, gates), states, j)
            value = found.source_state.get((k, j), 0) + zeros
            assert value == pytest.approx(expected + zeros, abs=TOLERANCE)
        for j in range(len(cell.gates)):
            expected = difference(lambda g, k=k: compiled.source(k, states, g), gates, j)
            value = found.source_gate.get((k, j), 0) + zeros
            assert value == pytest.approx(expected + zeros, abs=TOLERANCE)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_every_namespace_gives_the_values_of_numpy(cell: Cell, xp: Any) -> None:
    compiled = compile_cell(cell)
    states, gates, x = site_values(cell, 4)
    ours = [[xp.asarray(a) for a in states], [xp.asarray(a) for a in gates], xp.asarray(x)]
    expected = compiled.update(states, gates, x)
    for found, value in zip(compiled.update(*ours), expected, strict=True):
        assert type(found) is type(xp.asarray(0.0))
        assert to_numpy(found) == pytest.approx(value, rel=1e-14)
    tables, known = compiled.derivatives(*ours), compiled.derivatives(states, gates, x)
    for name in ("state", "gate", "source_state", "source_gate"):
        table, right = getattr(tables, name), getattr(known, name)
        assert table.keys() == right.keys()
        for key in table:
            left = table[key] if np.ndim(right[key]) == 0 else to_numpy(table[key])
            assert left == pytest.approx(right[key], rel=1e-14, abs=1e-300)
    for k in range(len(cell.gates)):
        source = compiled.source(k, ours[0], ours[1])
        assert to_numpy(source) == pytest.approx(compiled.source(k, states, gates), rel=1e-14)


def test_vanishing_derivatives_are_left_out() -> None:
    found = compile_cell(vanilla).derivatives([np.ones(2)], [np.ones(2)], np.ones(2))
    assert not found.state
    assert set(found.gate) == {(0, 0)}
    assert found.source_state == {(0, 0): 1}


def test_array_function_of_elementary_functions(xp: Any) -> None:
    x, y = sp.symbols("x y", real=True)
    expression = sp.tanh(x) + sp.exp(y) * sp.cos(x) - sp.sqrt(y) / sp.cosh(x) + sp.Abs(x) ** 3
    values = [xp.asarray(each, dtype=xp.float64) for each in ([-0.3, 1.2], [0.5, 2.0])]
    found = array_function((x, y), expression)(*values)
    a, b = np.array([-0.3, 1.2]), np.array([0.5, 2.0])
    expected = np.tanh(a) + np.exp(b) * np.cos(a) - np.sqrt(b) / np.cosh(a) + abs(a) ** 3
    assert to_numpy(found) == pytest.approx(expected, rel=1e-14)


def test_symbols_of_other_assumptions_do_not_share_a_compilation() -> None:
    for symbol in (sp.Symbol("h"), sp.Symbol("h", real=True), sp.Symbol("h", positive=True)):
        assert array_function((symbol,), symbol**2)(np.array([3.0])).tolist() == [9.0]
