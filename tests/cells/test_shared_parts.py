"""Several expressions as one function, against each of them alone and written out."""

import numpy as np
import pytest
import sympy as sp

from rmt_jacobian.cells import Cell, Preactivation, array_function, relu, sigmoid
from rmt_jacobian.cells.activations import indicator

NAMES = sp.symbols("a b c d", real=True)
A, B, C, D = NAMES
HALF = sp.Rational(1, 2)
RNG = np.random.default_rng(4)


def test_sums_inside_functions_stay_sums() -> None:
    """``sympy.cse`` makes relu(b (c - 1/2)) of the first beside (2 c - 1) / 2 as a product."""
    halved = [sp.Mul(HALF, term, evaluate=False) for term in (2 * B + 2 * C - 1, 2 * C - 1)]
    together = sp.Tuple(
        (1 - sigmoid(A)) * (D - relu(B + C - HALF)) * sigmoid(A),
        (1 - sigmoid(A)) * indicator(halved[0], evaluate=False),
        indicator(halved[1], evaluate=False),
    )
    a, b, c, d = RNG.standard_normal((4, 1000))
    gate = 1 / (1 + np.exp(-a))
    first, second, third = array_function(NAMES, together)(a, b, c, d)
    ramp = np.maximum(b + c - 0.5, 0)
    np.testing.assert_allclose(first, gate * (1 - gate) * (d - ramp), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(second, (1 - gate) * (b + c > 0.5), rtol=1e-12)
    np.testing.assert_array_equal(third, 1.0 * (c > 0.5))


def test_derivatives_of_a_gate_beside_a_ramp_of_a_sum() -> None:
    """All derivatives of a step as one function, against differences of the update."""
    s, t, x = sp.symbols("s t x", real=True)
    reads = tuple(Preactivation(f"g{k}", each, s) for k, each in enumerate((A, B, C)))
    update = s * sigmoid(A) + (1 - sigmoid(A)) * relu(B + C - HALF)
    cell = Cell("ramped", (s, t), x, reads, (update, relu(C - HALF)))
    symbols = cell.site_symbols
    entries = sp.Tuple(*(entry for row in cell.gate_derivatives for entry in row))
    points = RNG.standard_normal((len(symbols), 500))
    found = array_function(symbols, entries)(*points)
    for k, values in enumerate(found):
        row, column = divmod(k, len(reads))
        moved = points.copy()
        at = symbols.index(reads[column].symbol)
        moved[at] += 1e-7
        function = array_function(symbols, cell.updates[row])
        known = (function(*moved) - function(*points)) / 1e-7
        assert np.median(np.abs(np.broadcast_to(values, known.shape) - known)) < 1e-6
        assert np.mean(np.abs(np.broadcast_to(values, known.shape) - known) > 1e-5) < 0.01


def random_expression(rng: np.random.Generator, depth: int) -> sp.Expr:
    """Return sums, products and functions of sums with rational factors."""
    if depth == 0:
        return sp.Rational(int(rng.integers(1, 4)), 2) * NAMES[rng.integers(4)]
    one, other = (random_expression(rng, depth - 1) for _ in range(2))
    forms = (one + other - HALF, one * other, sp.tanh(one + other), relu(one - HALF) + other)
    return forms[rng.integers(len(forms))]


@pytest.mark.parametrize("seed", range(40))
def test_together_is_each_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    parts = [random_expression(rng, 2) for _ in range(3)]
    parts += [parts[0] * parts[1], parts[1] - parts[2], parts[0].diff(B), parts[2].diff(C)]
    points = RNG.uniform(-2, 2, (4, 50))
    found = array_function(NAMES, sp.Tuple(*parts))(*points)
    plain = [{"relu": lambda x: max(x, 0.0), "indicator": lambda x: float(x > 0)}, "math"]
    for part, values in zip(parts, found, strict=True):
        alone = sp.lambdify(NAMES, part, plain)
        known = [alone(*point) for point in points.T]
        np.testing.assert_allclose(np.broadcast_to(values, (50,)), known, rtol=1e-10, atol=1e-12)
