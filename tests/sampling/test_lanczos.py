"""Lanczos recurrences and their quadrature, against dense eigenvalues and measures known whole."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from rmt_jacobian.arrays import to_numpy
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.sampling.matrix_free.lanczos import lanczos_recurrences
from rmt_jacobian.sampling.matrix_free.quadrature import GaussQuadrature


def symmetric(n: int, seed: int) -> np.ndarray:
    half = np.random.default_rng(seed).standard_normal((n, n)) / np.sqrt(n)
    return half @ half.T


def measures(M: np.ndarray, v: np.ndarray, steps: int, **options: Any) -> list[GaussQuadrature]:
    return [GaussQuadrature(c) for c in lanczos_recurrences(lambda q: M @ q, v, steps, **options)]


def exact_measure(M: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, vectors = np.linalg.eigh(M)
    return values, (vectors.T @ v) ** 2 / (v @ v)


def test_as_many_steps_as_rows_are_the_eigenvalues() -> None:
    M, v = symmetric(40, 0), np.random.default_rng(1).standard_normal((40, 3))
    for j, measure in enumerate(measures(M, v, 60)):
        values, weights = exact_measure(M, v[:, j])
        assert measure.coefficients.exhausted
        # eigh and 40 orthogonal steps: a few rounding errors of |M| < 4 each
        assert measure.nodes == pytest.approx(values, abs=1e-12)
        assert measure.weights == pytest.approx(weights, abs=1e-9)
        assert measure.coefficients.squared_length == pytest.approx(v[:, j] @ v[:, j])


@pytest.mark.parametrize("steps", [1, 2, 5, 12])
def test_moments_are_exact_up_to_twice_the_steps(steps: int) -> None:
    M, v = symmetric(60, 2), np.random.default_rng(3).choice([-1.0, 1.0], 60)
    (measure,) = measures(M, v, steps)
    values, weights = exact_measure(M, v)
    expected = [weights @ values**j for j in range(2 * steps + 1)]
    assert measure.moments(2 * steps) == pytest.approx(np.array(expected), rel=1e-11)
    if steps <= 2:  # of more, the next one is dominated by an end of the spectrum that is known
        beyond = weights @ values ** (2 * steps + 1)
        assert abs(measure.weights @ measure.nodes ** (2 * steps + 1) / beyond - 1) > 1e-3
    with pytest.raises(ValueError, match="moments only"):
        measure.moments(2 * steps + 1)


def test_columns_are_independent_of_each_other() -> None:
    M, v = symmetric(50, 4), np.random.default_rng(5).standard_normal((50, 4))
    together = lanczos_recurrences(lambda q: M @ q, v, 10)
    for j, found in enumerate(together):
        (alone,) = lanczos_recurrences(lambda q: M @ q, v[:, j].copy(), 10)
        assert alone.diagonal == pytest.approx(found.diagonal, rel=1e-10)
        assert alone.off_diagonal == pytest.approx(found.off_diagonal, rel=1e-10)


def test_an_exhausted_column_does_not_stop_the_others() -> None:
    M = np.diag(np.arange(1.0, 31.0))
    v = np.ones((30, 3))
    v[5:, 1] = 0  # 5 eigenvectors
    v[:, 2] = np.eye(30)[7]  # one
    found = measures(M, v, 12)
    assert [m.steps for m in found] == [12, 5, 1]
    assert [m.coefficients.exhausted for m in found] == [False, True, True]
    assert found[1].nodes == pytest.approx(np.arange(1.0, 6.0), abs=1e-12)
    assert found[2].nodes == pytest.approx([8.0])


def test_eigenvalues_over_many_orders_of_magnitude() -> None:
    values = 10.0 ** -np.arange(0, 40, 0.5)
    found = lanczos_recurrences(lambda q: values * q, np.ones(len(values)), 200)[0]
    measure = GaussQuadrature(found)
    assert measure.weights.sum() == pytest.approx(1)
    assert measure.nodes[-1] == pytest.approx(1.0, rel=1e-13)
    # what lies below the rounding of the largest is one lump at 0
    small = measure.nodes < 1e-13
    assert measure.weights[small].sum() == pytest.approx((values < 1e-13).mean(), abs=0.03)


def test_without_reorthogonalisation_sums_stay_right() -> None:
    values = np.concatenate([np.linspace(0, 1, 500), [2.0, 3.0]])
    v = np.ones(len(values))
    (lost,) = measures(np.diag(values), v, 120, reorthogonalize=False)
    (kept,) = measures(np.diag(values), v, 120)
    # the outliers converge at once: copies of them come, which share one weight
    assert (lost.nodes > 1.5).sum() > (kept.nodes > 1.5).sum() == 2
    assert lost.weights[lost.nodes > 1.5].sum() == pytest.approx(2 / 502, rel=1e-8)
    for f in (np.sqrt, np.exp, np.cos):
        exact = f(values).mean()
        assert lost.weights @ f(np.abs(lost.nodes)) == pytest.approx(exact, abs=1e-3)


@given(
    st.lists(st.integers(0, 400).map(lambda i: i / 100), min_size=12, max_size=60),
    st.integers(1, 9),
    st.integers(0, 2**32 - 1),
)
def test_bounds_hold_for_any_measure(values: list[float], steps: int, seed: int) -> None:
    points = np.sort(np.array(values))
    v = np.random.default_rng(seed).standard_normal(len(points)) + 0.01
    (measure,) = measures(np.diag(points), v, steps)
    x = np.linspace(-0.5, 4.5, 301)
    weights = v * v / (v @ v)
    up_to = np.array([weights[points <= at].sum() for at in x])
    before = np.array([weights[points < at].sum() for at in x])
    lower, upper = measure.bounds(x)
    assert (lower <= before + 1e-9).all()
    assert (up_to <= upper + 1e-9).all()
    assert (lower <= measure.middle(x) + 1e-12).all()
    assert (measure.middle(x) <= upper + 1e-12).all()


def test_bounds_are_those_of_christoffel() -> None:
    # The distance of sharp bounds at x is 1 / sum_j p_j(x)^2: Legendre polynomials on [-1, 1],
    # moved to [0, 2], by the nodes and weights of a fine Gauss-Legendre rule.
    nodes, weights = np.polynomial.legendre.leggauss(400)
    steps = 12
    measure = GaussQuadrature(
        lanczos_recurrences(lambda q: (nodes + 1) * q, np.sqrt(weights / 2), steps)[0]
    )
    x, lower, upper = measure._sharp
    inside = (x > 0.05) & (x < 1.95)
    p = np.array([np.polynomial.legendre.Legendre.basis(j)(x[inside] - 1) * np.sqrt(2 * j + 1)
                  for j in range(steps + 1)])  # fmt: skip
    assert (upper - lower)[inside] == pytest.approx(1 / (p**2).sum(axis=0), rel=1e-9)
    assert np.abs(measure.middle(x) - x / 2)[inside].max() < 0.2 * (upper - lower)[inside].max()


def test_the_bounds_of_an_exhausted_measure_are_its_steps() -> None:
    (measure,) = measures(np.diag([0.0, 1.0, 2.0]), np.ones(3), 5)
    lower, upper = measure.bounds(np.array([-0.1, 0.0, 0.5, 1.0, 2.0, 3.0]))
    assert lower == pytest.approx(np.array([0, 0, 1, 1, 2, 3]) / 3)
    assert upper == pytest.approx(np.array([0, 1, 1, 2, 3, 3]) / 3)


def test_an_eigenvalue_lies_within_the_residual_of_every_node() -> None:
    M, v = symmetric(80, 6), np.random.default_rng(7).standard_normal(80)
    values = np.linalg.eigvalsh(M)
    (measure,) = measures(M, v, 15)
    distance = np.abs(measure.nodes[:, None] - values).min(axis=1)
    assert (distance <= measure.residuals + 1e-12).all()


@pytest.mark.parametrize("steps", [10, 20, 40])
def test_the_bound_of_the_largest_eigenvalue(steps: int) -> None:
    # 200 starts at risk 0.2: more than 70 failures has a probability below 1e-5.
    values, failures = np.linspace(0, 1, 300) ** 0.25, 0
    starts = np.random.default_rng(8).standard_normal((300, 200))
    for measure in measures(np.diag(values), starts, steps):
        low, high = measure.largest(300, 0.2)
        assert low <= 1 + 1e-12
        failures += high < 1
    assert failures <= 70
    few = measures(np.diag(values), starts[:, :1], 2)[0]
    assert few.largest(300, 1e-3)[1] == np.inf
    # Where the inequality says P(theta < 0) <= risk and no more, epsilon = 1.
    assert few.largest(1, 1.648 * math.exp(-3))[1] == np.inf


def test_a_basis_in_several_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    M, v = symmetric(60, 15), np.random.default_rng(16).standard_normal((60, 2))
    whole = lanczos_recurrences(lambda q: M @ q, v, 60)
    monkeypatch.setattr("rmt_jacobian.sampling.matrix_free.lanczos._AT_ONCE", 60 * 7)
    for ours, theirs in zip(lanczos_recurrences(lambda q: M @ q, v, 60), whole, strict=True):
        ours, theirs = GaussQuadrature(ours), GaussQuadrature(theirs)
        assert ours.nodes == pytest.approx(theirs.nodes, abs=1e-12)
        assert ours.weights == pytest.approx(theirs.weights, abs=1e-9)


def test_any_namespace(xp: Any) -> None:
    M = symmetric(30, 9)
    v = np.random.default_rng(10).choice([-1.0, 1.0], (30, 2))
    on_device = xp.asarray(M)
    for start in (v, v[:, 0].copy()):
        found = lanczos_recurrences(lambda q: on_device @ q, xp.asarray(start), 8)
        for ours, theirs in zip(found, lanczos_recurrences(lambda q: M @ q, start, 8), strict=True):
            assert isinstance(ours.diagonal, np.ndarray)
            assert ours.diagonal == pytest.approx(theirs.diagonal, rel=1e-10)
    assert to_numpy(on_device).shape == (30, 30)


def test_single_precision() -> None:
    M = symmetric(200, 11)
    v = np.random.default_rng(12).choice([-1.0, 1.0], 200)
    single = lanczos_recurrences(lambda q: M.astype(np.float32) @ q, v.astype(np.float32), 20)[0]
    (double,) = lanczos_recurrences(lambda q: M @ q, v, 20)
    found, expected = GaussQuadrature(single).moments(6), GaussQuadrature(double).moments(6)
    assert found == pytest.approx(expected, rel=2e-5)


def test_wrong_arguments() -> None:
    with pytest.raises(ParameterError, match="above 0"):
        lanczos_recurrences(lambda q: q, np.ones(3), 0)
    for bad in (np.zeros(3), np.array([1.0, np.nan, 0.0])):
        with pytest.raises(ParameterError, match="not 0"):
            lanczos_recurrences(lambda q: q, bad, 2)


def test_cosine_moments() -> None:
    M, v = symmetric(50, 13) / 4.5, np.random.default_rng(14).standard_normal(50)
    (measure,) = measures(M, v, 10)
    values, weights = exact_measure(M, v)
    expected = [weights @ np.cos(j * np.arccos(2 * values - 1)) for j in range(20)]
    assert measure.cosine_moments(1.0, 19) == pytest.approx(np.array(expected), abs=1e-10)
    with pytest.raises(ValueError, match="above the scale"):
        measure.cosine_moments(0.1, 3)
