"""One-step moments against sampled matrices whose diagonals are the ones that are averaged."""

from collections.abc import Callable

import numpy as np
import pytest
import sympy as sp
from scipy.special import expit

from rmt_jacobian.cells import Cell, minimalrnn, vanilla
from rmt_jacobian.derive import Derivation, jacobian_polynomial, one_step_moment, one_step_variance
from rmt_jacobian.errors import ParameterError
from tests.cells.two_gates import g_r, g_y, h, two_gates, x
from tests.derive.dense import MATRICES, at_infinite_width
from tests.derive.site_values import on_sites

SITES = 48
# Terms of order 1 / N^2 that are left after the extrapolation, relative: at 2 and 4 copies of the
# sites about (k^2 / N)^2 for moment k; tested with N = 96.
RNG = np.random.default_rng(3)
H, X, E, E2 = RNG.normal(0.4, 1.0, (4, SITES))


def powers(J: np.ndarray) -> np.ndarray:
    M = J @ J.T
    square = M @ M
    return np.array(
        [np.trace(M), np.sum(M * M), np.sum(M * square), np.sum(square * square)]
    ) / len(M)


def assert_moments(
    derivations: list[Derivation],
    sites: dict,
    weights: str,
    weight_std: float,
    sample: Callable[[int, np.random.Generator], np.ndarray],
    samples: int,
) -> None:
    found, error = at_infinite_width(sample, copies=(2, 4), samples=samples, seed=1)
    for k, derivation in enumerate(derivations, start=1):
        expected = on_sites(derivation, sites, weights, weight_std)
        left_over = abs(expected) * (k * k / (2 * SITES)) ** 2
        # 5 standard errors: less than one in a million by chance.
        assert abs(found[k - 1] - expected) < 5 * error[k - 1] + left_over
        assert error[k - 1] < 0.03 * abs(expected)  # a weak comparison would prove nothing


@pytest.mark.slow
@pytest.mark.parametrize("weights", MATRICES)
@pytest.mark.parametrize("cell", [minimalrnn, vanilla], ids=lambda cell: cell.name)
def test_moments_of_sampled_matrices(cell: Cell, weights: str) -> None:
    weight_std = 1.6
    if cell is vanilla:
        A, B = np.zeros(SITES), 1 / np.cosh(E) ** 2
    else:  # dependent: both read e
        A, B = expit(E), expit(E) * expit(-E) * (H - X)

    def sample(copies: int, rng: np.random.Generator) -> np.ndarray:
        W = weight_std * MATRICES[weights](copies * SITES, rng)
        return powers(np.diag(np.tile(A, copies)) + np.tile(B, copies)[:, None] * W)

    sites = dict(zip((*cell.states, cell.input, *cell.gates), (H, X, E), strict=True))
    derivations = [one_step_moment(cell, k) for k in (1, 2, 3, 4)]
    assert_moments(derivations, sites, weights, weight_std, sample, 400)


@pytest.mark.slow
@pytest.mark.parametrize("weights", MATRICES)
def test_moments_of_a_cell_with_two_gates(weights: str) -> None:
    weight_std, r = 1.3, expit(E)
    A = r + X / 10
    B_r, B_y = r * (1 - r) * (H - np.tanh(E2)), (1 - r) / np.cosh(E2) ** 2
    C, D = r, r * (1 - r) * H  # the second source is r h

    def sample(copies: int, rng: np.random.Generator) -> np.ndarray:
        W_r, W_y = (weight_std * MATRICES[weights](copies * SITES, rng) for _ in range(2))
        a, b_r, b_y, c, d = (np.tile(v, copies) for v in (A, B_r, B_y, C, D))
        source = np.diag(c) + d[:, None] * W_r
        return powers(np.diag(a) + b_r[:, None] * W_r + b_y[:, None] * (W_y @ source))

    sites = {h: H, x: X, g_r: E, g_y: E2}
    derivations = [one_step_moment(two_gates, k) for k in (1, 2, 3)]
    assert_moments(derivations, sites, weights, weight_std, sample, 100)


@pytest.mark.parametrize("weights", MATRICES)
@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_independent_letters_are_those_of_a_product_of_sites(weights: str, k: int) -> None:
    # Every A is paired with every B: averages over the pairs factorise.  On them the general
    # formula, evaluated by hand, is the one for independent letters on the sites themselves.
    A, B = (one_step_moment(minimalrnn, k, independent=flag) for flag in (False, True))
    letters = dict(jacobian_polynomial(minimalrnn).letters)
    a, b = letters
    pairs = {a: np.repeat(expit(E), SITES), b: np.tile(expit(E) * expit(-E) * (H - X), SITES)}

    def by_hand(derivation: Derivation) -> float:
        values = {}
        for symbol, quantity in derivation.symbols.items():
            if symbol.name.startswith("E_"):
                f = sp.lambdify([a, b], quantity.product)  # pyright: ignore
                values[symbol] = float(np.mean(f(pairs[a], pairs[b]) + 0 * pairs[a]))
            elif symbol.name.startswith("s_"):
                order = int(symbol.name[2:])
                values[symbol] = (-1) ** order if weights == "gaussian" else 0
            else:
                values[symbol] = 1.7
        return float(derivation.expression.subs(values))

    assert by_hand(A) == pytest.approx(by_hand(B), rel=1e-11)
    names = {symbol.name for symbol in B.symbols}
    assert not any("A" in name and "B" in name for name in names)


def test_the_variance_is_that_of_the_theory() -> None:
    # Var(A^2) + Var(s B^2) + 2 s E[A^2 B^2] - s_1 (s E[B^2])^2 with s = sigma_w^2.
    A2, A4, B2, B4, AB = sp.symbols("E_A2 E_A4 E_B2 E_B4 E_A2_B2", real=True)
    s, s_1 = sp.Symbol("sigma_w", positive=True) ** 2, sp.Symbol("s_1", real=True)
    expected = A4 - A2**2 + s**2 * (B4 - B2**2) + 2 * s * AB - s_1 * (s * B2) ** 2
    found = one_step_variance(minimalrnn)
    assert sp.expand(found.expression - expected) == 0
    independent = one_step_variance(minimalrnn, independent=True)
    assert sp.expand(independent.expression - expected.subs(AB, A2 * B2)) == 0


@pytest.mark.parametrize("k", [0, -1])
def test_orders_out_of_domain(k: int) -> None:
    with pytest.raises(ParameterError, match="above 0"):
        one_step_moment(vanilla, k)
