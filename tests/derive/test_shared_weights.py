"""Expressions with shared weights, against the numerical recursion on drawn paths."""

import numpy as np
import pytest
import sympy as sp

from rmt_jacobian.cells import StepDerivatives, cell_named
from rmt_jacobian.derive.shared_weights import average, tied_mean
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field.tied.growth import Paths, tied_mean_squares


def stationary_paths(cell, steps, rng):
    """Return diagonals on a circle of times, of which all rotations are sites."""
    sites, d, K = 5, len(cell.states), len(cell.gates)
    shapes = {"state": (d, d), "gate": (d, K), "source_state": (K, d), "source_gate": (K, K)}
    tables = {
        "state": cell.state_derivatives, "gate": cell.gate_derivatives,
        "source_state": cell.source_state_derivatives,
        "source_gate": cell.source_gate_derivatives,
    }  # fmt: skip
    found = []
    period = steps + 3
    drawn = {name: rng.uniform(-1, 1, (*shapes[name], sites, period)) for name in shapes}
    for t in range(steps):
        step = {}
        for name, table in tables.items():
            step[name] = {}
            for i, row in enumerate(table):
                for j, entry in enumerate(row):
                    if entry != 0:
                        turned = [np.roll(drawn[name][i, j], -r - t, axis=-1)[:, 0]
                                  for r in range(period)]  # fmt: skip
                        values = np.concatenate(turned)
                        number = not entry.free_symbols & set(cell.site_symbols)
                        step[name][i, j] = np.full_like(values, float(entry)) if number else values
        found.append(StepDerivatives(**step))
    return found


def value_of(found, paths, variances):
    """Evaluate averages over the sites of the paths."""
    cell = found.cell
    states = [str(each) if len(cell.states) > 1 else "" for each in cell.states]
    gates = [p.name if len(cell.preactivations) > 1 else "" for p in cell.preactivations]
    labels = {"A": (states, states), "B": (states, gates), "C": (gates, states),
              "D": (gates, gates)}  # fmt: skip
    values = {}
    for t, step in enumerate(paths, 1):
        tables = (step.state, step.gate, step.source_state, step.source_gate)
        for letter, table in zip("ABCD", tables, strict=True):
            rows, columns = labels[letter]
            for (i, j), entry in table.items():
                name = "_".join([letter, *(p for p in (rows[i], columns[j]) if p), str(t)])
                values[name] = entry
    several = len(cell.preactivations) > 1
    names = [f"sigma_{p.name}" if several else "sigma_w" for p in cell.preactivations]
    numbers = dict(zip(names, np.sqrt(variances), strict=True))

    def averaged(product):
        symbols = sorted(product.free_symbols, key=str)
        function = sp.lambdify(symbols, product, "numpy")
        return sp.Float(float(np.mean(function(*(values[str(each)] for each in symbols)))))

    number = found.expression.replace(average, averaged)
    return float(number.subs({each: numbers[str(each)] for each in number.free_symbols}))


@pytest.mark.parametrize(
    ("name", "steps"),
    [("minimalrnn", 1), ("minimalrnn", 2), ("minimalrnn", 3), ("minimalrnn", 4), ("gru", 2),
     ("gru", 3), ("lstm", 2), ("vanilla", 3)],
)  # fmt: skip
def test_expressions_are_the_recursion(name, steps):
    cell = cell_named(name)
    paths = stationary_paths(cell, steps, np.random.default_rng(steps))
    variances = np.linspace(0.5, 2.0, len(cell.gates))
    count = len(next(iter(paths[0].gate.values())))
    right = tied_mean_squares(
        Paths.of(paths, np.full(count, 1 / count), len(cell.states), len(cell.gates)), variances
    )[-1]
    assert value_of(tied_mean(cell, steps), paths, variances) == pytest.approx(right, rel=1e-10)


def test_what_sharing_adds_to_two_steps():
    """By hand: twice sigma^2 <A> <A B B>, nothing for one step and without a memory."""
    A_1, A_2, B_1, B_2 = sp.symbols("A_1 A_2 B_1 B_2", real=True)
    sigma = sp.Symbol("sigma_w", positive=True)
    extra = tied_mean("minimalrnn", 2).extra
    assert extra == 2 * sigma**2 * average(A_1) * average(A_2 * B_1 * B_2)
    assert tied_mean("gru", 1).extra == 0
    assert tied_mean("vanilla", 3).extra == 0
    assert set(map(str, tied_mean("minimalrnn", 2).symbols)) == {"A", "B"}


def test_too_many_steps_are_refused():
    with pytest.raises(ParameterError, match="1 to 4 steps, not 5"):
        tied_mean("minimalrnn", 5)
