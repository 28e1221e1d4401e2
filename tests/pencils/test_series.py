"""Moments from the power series against combinatorics, words, recursions and the solver."""

from typing import Any

import numpy as np
import pytest
import sympy as sp
from scipy.special import comb

from rmt_jacobian.derive import PairedMoments
from rmt_jacobian.errors import ConvergenceError, HypothesisError, ParameterError
from rmt_jacobian.freeprob import (
    Diagonal,
    RDiagonal,
    diagonal_trace,
    power_trace,
    r_diagonal_cumulants as cumulants,
)
from rmt_jacobian.pencils import (
    GaussianWeights,
    OrthogonalWeights,
    Pencil,
    RandomEntry,
    pencil_moments,
    solve,
)
from tests.pencils.examples import ENSEMBLES, PRODUCT, chain, gates, one_step, plain

named = pytest.mark.parametrize("name", ENSEMBLES)
# s_1, s_2, ... of S = s_0 (1 + s_1 u + ...).
S_COEFFICIENTS = {
    "gaussian": [-1, 1, -1, 1],
    "orthogonal": [0, 0, 0, 0],
    "product": [-2, 3, -4, 5],
}


@pytest.mark.parametrize(("law", "s"), [(GaussianWeights(1.3), 1), (PRODUCT, 2)])
def test_fuss_catalan_numbers(law: Any, s: int) -> None:
    found = pencil_moments(plain(law), 0, 12)
    k = np.arange(7)
    expected = law.variance**k * comb((s + 1) * k, k) / (s * k + 1)
    assert np.allclose(found[::2], expected, rtol=1e-12)
    assert np.allclose(found[1::2], 0, atol=1e-12)


def test_orthogonal_weights_have_one_singular_value() -> None:
    assert np.allclose(
        pencil_moments(plain(OrthogonalWeights(1.5)), 0, 40)[::2], 2.25 ** np.arange(21)
    )


@named
def test_one_step_against_words(name: str) -> None:
    (A,), (B,) = gates(5, 1)
    weights = np.array([0.3, 0.1, 0.2, 0.25, 0.15])
    a, b = sp.symbols("a b")

    def average(entry: sp.Expr) -> sp.Expr:
        return sp.Float(float(weights @ sp.lambdify((a, b), entry)(A, B)), 17)

    J = [(Diagonal(a),), (Diagonal(b), RDiagonal("W"))]
    alphas = {"W": cumulants(S_COEFFICIENTS[name], 4)}
    expected = [power_trace(J, k, alphas, diagonal_trace(average)) for k in range(1, 5)]
    pencil = one_step(A, B, ENSEMBLES[name], weights)
    for block in (0, 1):
        found = pencil_moments(pencil, block, 8)
        assert np.allclose(found[2::2], np.array(expected, dtype=float), rtol=1e-10)


@named
@pytest.mark.parametrize("steps", [2, 4])
def test_chains_against_the_recursion_of_the_diagonal(name: str, steps: int) -> None:
    A, B = gates(6, steps)
    law = ENSEMBLES[name]
    product = PairedMoments.identity(A[0])
    for a, b in zip(A, B, strict=True):
        product = product.step(a, b, weight_variance=law.variance, s_1=law.s_1)
    pencil = chain(A, B, [law] * steps)
    for block in (0, 2 * steps - 1):
        moments = pencil_moments(pencil, block, 4)
        assert moments[0] == pytest.approx(1, rel=1e-14)
        assert moments[2] == pytest.approx(product.mean, rel=1e-10)
        assert moments[4] == pytest.approx(product.second_moment, rel=1e-10)


def test_series_sums_to_the_solution_far_away() -> None:
    A, B = gates(4, 3)
    pencil = chain(A, B, list(ENSEMBLES.values()))
    z = np.array([20.0, 15 + 10j, -25 + 1j, 30j])
    moments = pencil_moments(pencil, 0, 24)
    series = np.polyval(moments[::-1], 1 / z) / z
    assert np.allclose(solve(pencil, z).unwrap().g[:, 0], series, rtol=1e-9)


def inner(law: Any, gap: float) -> Pencil:
    """A random entry between two blocks that z does not stand in, a gap away from singular."""
    constant = np.zeros((1, 3, 3))
    constant[0, 1, 1], constant[0, 2, 2] = gap, -gap
    constant[0, 0, 1] = constant[0, 1, 0] = 1
    return Pencil(constant, [1, 0, 0], [RandomEntry(1, 2, law)])


@named
def test_a_random_matrix_at_infinity(name: str) -> None:
    # The self-energies have a constant term, found by iteration; u starts away from 0.
    pencil = inner(ENSEMBLES[name], 4.0)
    z = np.array([30.0, -40 + 3j, 25j])
    series = np.polyval(pencil_moments(pencil, 0, 12)[::-1], 1 / z) / z
    assert np.allclose(solve(pencil, z).unwrap().g[:, 0], series, rtol=1e-10)


def test_the_slope_scales_the_moments() -> None:
    # L = diag(s) z - X is congruent to z - X / s.
    pencil = Pencil(np.zeros((1, 2, 2)), [4, 1], [RandomEntry(0, 1, GaussianWeights(1.0))])
    catalan = np.array([1, 1, 2, 5]) / 4.0 ** np.arange(4)
    assert np.allclose(pencil_moments(pencil, 0, 6)[::2], catalan / 4)
    assert np.allclose(pencil_moments(pencil, 1, 6)[::2], catalan)


def test_every_namespace(xp: Any) -> None:
    A, B = gates(5, 2)
    host = chain(A, B, [ENSEMBLES["gaussian"], ENSEMBLES["orthogonal"]])
    entries = [
        RandomEntry(entry.row, entry.column, entry.ensemble, xp.asarray(entry.coefficient))
        for entry in host.entries
    ]
    there = Pencil(xp.asarray(host.constant), host.slope, entries, xp.asarray(np.full(5, 0.2)))
    assert np.allclose(pencil_moments(there, 0, 8), pencil_moments(host, 0, 8), rtol=1e-12)


def test_errors_name_the_remedy() -> None:
    gaussian = GaussianWeights(1.0)
    two_steps = chain(*gates(2, 2), [gaussian, gaussian])
    for block in (1, -1, 4):
        with pytest.raises(ParameterError, match="no slope"):
            pencil_moments(two_steps, block, 2)
    with pytest.raises(ParameterError, match="order"):
        pencil_moments(two_steps, 0, -1)
    batch = Pencil(np.zeros((3, 1, 2, 2)), [1, 1], [RandomEntry(0, 1, gaussian)])
    with pytest.raises(ParameterError, match="one constant"):
        pencil_moments(batch, 0, 2)
    with pytest.raises(HypothesisError, match="singular at infinity"):
        pencil_moments(inner(gaussian, 0.0), 0, 2)
    with pytest.raises(ConvergenceError, match="did not settle"):
        pencil_moments(inner(gaussian, -0.5), 0, 2)
