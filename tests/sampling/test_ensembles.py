import math
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.linalg import lapack

from rmt_jacobian.arrays import array_generator, to_numpy
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.sampling import (
    DenseMatrix,
    HouseholderMatrix,
    checked_weights,
    draw_image,
    draw_weights,
    ensemble_of,
    is_fast,
)

ENSEMBLES = ("gaussian", "orthogonal")


@pytest.mark.parametrize("width", [1, 2, 3, 50, 301])
def test_orthogonal_weights_are_orthogonal(width: int) -> None:
    W = draw_weights("orthogonal", width, 2.5, np.random.default_rng(width))
    Q = W.matrix() / 2.5
    assert abs(Q @ Q.T - np.eye(width)).max() < 1e-13
    assert abs(Q.T @ Q - np.eye(width)).max() < 1e-13


@pytest.mark.parametrize("weights", ENSEMBLES)
@pytest.mark.parametrize("width", [1, 2, 7, 64])
def test_products_are_those_of_the_matrix(weights: str, width: int) -> None:
    rng = np.random.default_rng(4)
    W = draw_weights(weights, width, 0.7, rng)  # pyright: ignore[reportArgumentType]
    X = rng.standard_normal((width, 3))
    for argument in (X, X[:, 0], np.asfortranarray(X), X[::-1], X[:, ::2], np.eye(width)):
        before = argument.copy()
        found = W.apply(argument)
        assert found.shape == argument.shape
        assert found == pytest.approx(W.matrix() @ argument, abs=1e-13)
        assert np.array_equal(argument, before)


@pytest.mark.parametrize("block", [1, 3, 64])
@pytest.mark.parametrize("width", [1, 2, 7, 64])
def test_reflections_by_matrix_products_are_those_of_lapack(
    xp: Any, width: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rmt_jacobian.sampling.weights.householder._BLOCK", block)
    W = draw_weights("orthogonal", width, 0.7, np.random.default_rng(3))
    assert isinstance(W, HouseholderMatrix)
    moved = HouseholderMatrix(*map(xp.asarray, (W.reflectors, W.factors, W.signs)), W.scale)
    X = np.random.default_rng(5).standard_normal((width, 4))
    for columns in (X, X[:, :1]):
        for transposed in (False, True):
            found = moved.reflected(xp.asarray(columns.copy()), transposed=transposed)
            expected, _, _ = lapack.dormqr(
                "L", "T" if transposed else "N", W.reflectors, W.factors, columns, 32 * width
            )
            assert to_numpy(found) == pytest.approx(expected, abs=1e-13)
    for argument in (X, X[:, 0]):
        kept = xp.asarray(argument)
        assert to_numpy(moved.apply(kept)) == pytest.approx(W.apply(argument), abs=1e-13)
        back = to_numpy(moved.apply_transposed(kept))
        assert back == pytest.approx(W.matrix().T @ argument, abs=1e-13)
        assert np.array_equal(to_numpy(kept), argument)
    assert to_numpy(moved.row_lengths()) == pytest.approx(np.full(width, 0.7))


@pytest.mark.parametrize("weights", ENSEMBLES)
def test_matrices_in_single_precision(xp: Any, weights: Any) -> None:
    single, double = (
        draw_weights(weights, 40, 1.3, array_generator(np.random.default_rng(1), xp, dtype))
        for dtype in ("float32", "float64")
    )
    X = np.random.default_rng(2).standard_normal((40, 3))
    for left, right in (
        (single.apply, double.apply), (single.apply_transposed, double.apply_transposed)
    ):  # fmt: skip
        found = left(xp.asarray(X, dtype=xp.float32))
        assert found.dtype == xp.float32
        assert to_numpy(found) == pytest.approx(to_numpy(right(xp.asarray(X))), abs=3e-5)


def test_the_kind_of_matrix() -> None:
    rng = np.random.default_rng(0)
    assert isinstance(draw_weights("gaussian", 3, 1.0, rng), DenseMatrix)
    assert isinstance(draw_weights("orthogonal", 3, 1.0, rng), HouseholderMatrix)
    with pytest.raises(ParameterError, match="gaussian, orthogonal"):
        draw_weights("haar", 3, 1.0, rng)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ParameterError, match="haar"):
        checked_weights("haar")


def test_every_ensemble_has_a_theory() -> None:
    assert [ensemble_of(f"{kind}{name}") for kind in ("", "fast-") for name in ENSEMBLES] == [  # pyright: ignore
        *ENSEMBLES, *ENSEMBLES
    ]  # fmt: skip
    assert [is_fast(f"{kind}orthogonal") for kind in ("", "fast-")] == [False, True]  # pyright: ignore
    for function in (ensemble_of, is_fast):
        with pytest.raises(ParameterError, match="fast-haar"):
            function("fast-haar")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("N", [2, pytest.param(3, marks=pytest.mark.thorough), 6])
def test_entries_have_the_moments_of_haar(N: int) -> None:
    # Exact integrals over O(N) (Collins and Sniady 2006); N (N - 1) (N + 2) from 2 on.
    rng, samples = np.random.default_rng(10 + N), 20_000
    Q = np.stack([draw_weights("orthogonal", N, 1.0, rng).matrix() for _ in range(samples)])
    norm = N * (N - 1) * (N + 2)
    expected = {
        "mean": (Q[:, 0, 0], 0.0),
        "first square": (Q[:, 0, 0] ** 2, 1 / N),
        "last square": (Q[:, -1, -1] ** 2, 1 / N),
        "corner square": (Q[:, -1, 0] ** 2, 1 / N),
        "fourth": (Q[:, 0, 0] ** 4, 3 / (N * (N + 2))),
        "last fourth": (Q[:, -1, -1] ** 4, 3 / (N * (N + 2))),
        "one row": (Q[:, 0, 0] ** 2 * Q[:, 0, 1] ** 2, 1 / (N * (N + 2))),
        "one column": (Q[:, 0, 0] ** 2 * Q[:, 1, 0] ** 2, 1 / (N * (N + 2))),
        "two places": (Q[:, 0, 0] ** 2 * Q[:, 1, 1] ** 2, (N + 1) / norm),
        "square": (Q[:, 0, 0] * Q[:, 1, 1] * Q[:, 0, 1] * Q[:, 1, 0], -1 / norm),
        "last square of four": (
            Q[:, -1, -1] * Q[:, -2, -2] * Q[:, -1, -2] * Q[:, -2, -1],
            -1 / norm,
        ),
        "trace": (np.trace(Q, axis1=1, axis2=2) ** 2, 1.0),
        "trace, fourth": (np.trace(Q, axis1=1, axis2=2) ** 4, 3.0),
        "determinant": (np.linalg.det(Q), 0.0),
    }
    for name, (values, value) in expected.items():
        if name == "trace, fourth" and N < 4:
            continue  # 3 from N = 4 on
        error = values.std() / math.sqrt(samples)
        assert abs(values.mean() - value) < 4.5 * error, name


def test_one_by_one_is_a_fair_sign() -> None:
    rng = np.random.default_rng(2)
    signs = [float(draw_weights("orthogonal", 1, 3.0, rng).matrix()[0, 0]) for _ in range(2000)]
    assert set(signs) == {-3.0, 3.0}
    assert abs(np.mean(signs)) < 4.5 * 3 / math.sqrt(2000)


def test_angles_of_two_by_two_are_uniform() -> None:
    rng = np.random.default_rng(3)
    angles, determinants = [], []
    for _ in range(4000):
        Q = draw_weights("orthogonal", 2, 1.0, rng).matrix()
        angles.append(math.atan2(Q[1, 0], Q[0, 0]) / (2 * math.pi) + 0.5)
        determinants.append(np.linalg.det(Q))
    assert stats.kstest(angles, "uniform").pvalue > 1e-4
    assert {round(d) for d in determinants} == {-1, 1}


@pytest.mark.slow
def test_the_law_does_not_change_under_rotations() -> None:
    # A row and a column of R Q S with fixed rotations have the law of a uniform direction.
    rng, N, samples = np.random.default_rng(5), 5, 8000
    R, S = (np.linalg.qr(rng.standard_normal((N, N)))[0] for _ in range(2))
    Q = np.stack([draw_weights("orthogonal", N, 1.0, rng).matrix() for _ in range(samples)])
    rotated = R @ Q @ S
    for entries in (rotated[:, 0, 0], rotated[:, -1, 2], Q[:, 0, -1], Q[:, -1, 0]):
        # The square of an entry is Beta(1/2, (N - 1)/2).
        assert stats.kstest(entries**2, stats.beta(0.5, (N - 1) / 2).cdf).pvalue > 1e-4
        assert abs(np.mean(entries > 0) - 0.5) < 4.5 * 0.5 / math.sqrt(samples)


def test_gaussian_entries() -> None:
    W = draw_weights("gaussian", 400, 1.5, np.random.default_rng(6)).matrix()
    assert stats.kstest(W.ravel(), stats.norm(0, 1.5 / 20).cdf).pvalue > 1e-4


@pytest.mark.parametrize("weights", ENSEMBLES)
def test_weights_of_size_zero(weights: str) -> None:
    W = draw_weights(weights, 4, 0.0, np.random.default_rng(0))  # pyright: ignore
    assert not W.matrix().any()


@pytest.mark.parametrize("weights", ENSEMBLES)
@pytest.mark.parametrize("N", [1, 2, 5])
def test_images_have_the_law_of_a_drawn_matrix(weights: str, N: int) -> None:
    rng, samples = np.random.default_rng(7), 6000
    y = rng.standard_normal(N) + 1
    drawn, quick = (
        np.stack([image(rng) for _ in range(samples)])
        for image in (
            lambda rng: draw_weights(weights, N, 1.3, rng).apply(y),  # pyright: ignore
            lambda rng: draw_image(weights, 1.3, y, rng),  # pyright: ignore
        )
    )
    direction = np.arange(1, N + 1) / N
    for f in (lambda v: v[:, 0], lambda v: v @ direction, lambda v: np.sum(v**4, axis=1)):
        if weights == "orthogonal" and N == 1:
            assert sorted(set(np.round(f(drawn), 12))) == sorted(set(np.round(f(quick), 12)))
        else:
            assert stats.ks_2samp(f(drawn), f(quick)).pvalue > 1e-4
    if weights == "orthogonal":
        norms = np.linalg.norm(quick, axis=1)
        assert norms == pytest.approx(1.3 * np.linalg.norm(y), rel=1e-13)


@pytest.mark.parametrize("weights", ENSEMBLES)
def test_the_image_of_nothing_is_nothing(weights: str) -> None:
    image = draw_image(weights, 2.0, np.zeros(3), np.random.default_rng(0))  # pyright: ignore
    assert not image.any()
