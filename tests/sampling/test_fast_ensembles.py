import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.fft import dct

from rmt_jacobian.arrays import array_generator
from rmt_jacobian.cells import Cell, Parameters, gru, lstm, minimalrnn
from rmt_jacobian.derive import diagonal_valued_recursion
from rmt_jacobian.mean_field import site_law
from rmt_jacobian.sampling import (
    FastGaussianMatrix,
    FastOrthogonalMatrix,
    NetworkStep,
    draw_image,
    draw_weights,
    jacobian_products,
    run_network,
    singular_values,
)
from rmt_jacobian.sampling.weights.fast_ensembles import SignedPermutation, quarter_circle_values

FAST: tuple[Any, ...] = ("fast-gaussian", "fast-orthogonal")
WIDTHS = [1, 2, 3, 8, 50, 101]


def permutation_matrix(found: SignedPermutation) -> np.ndarray:
    """Signs times P, written out: row i has its entry in column source_i."""
    N = found.source.size
    whole = np.zeros((N, N))
    whole[np.arange(N), found.source] = found.factors
    return whole


def written_out(W: Any) -> np.ndarray:
    """Multiply the factors out as matrices."""
    left, right = permutation_matrix(W.left), permutation_matrix(W.right)
    C = dct(np.eye(W.left.source.size), axis=0, norm="ortho")
    if isinstance(W, FastOrthogonalMatrix):
        return W.scale * left @ C @ right
    return W.scale * left @ C @ permutation_matrix(W.middle) @ C @ right


@pytest.mark.parametrize("weights", FAST)
@pytest.mark.parametrize("N", WIDTHS)
def test_products_are_those_of_the_factors(weights: Any, N: int) -> None:
    rng = np.random.default_rng(N)
    W = draw_weights(weights, N, 1.7, rng)
    whole, X = written_out(W), rng.standard_normal((N, 5))
    assert W.matrix() == pytest.approx(whole, abs=1e-13)
    for argument in (X, X[:, 0], np.asfortranarray(X), X[::-1], X[:, ::2], np.eye(N)):
        before = argument.copy()
        for found, expected in (
            (W.apply(argument), whole @ argument),
            (W.apply_transposed(argument), whole.T @ argument),
        ):
            assert found.shape == argument.shape
            assert found == pytest.approx(expected, abs=1e-13)
        assert np.array_equal(argument, before)


@pytest.mark.parametrize("weights", FAST)
def test_columns_in_parts_are_the_columns_together(
    weights: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    W, X = draw_weights(weights, 40, 1.0, rng), rng.standard_normal((40, 7))
    together = W.apply(X), W.apply_transposed(X)
    for at_once in (1, 40, 80, 120):
        monkeypatch.setattr("rmt_jacobian.sampling.weights.fast_ensembles._IN_CACHE", at_once)
        for found, expected in zip((W.apply(X), W.apply_transposed(X)), together, strict=True):
            assert found == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("weights", FAST)
def test_single_precision_is_kept(weights: Any) -> None:
    rng = np.random.default_rng(1)
    W, X = draw_weights(weights, 60, 1.0, rng), rng.standard_normal((60, 3))
    for found, expected in (
        (W.apply(X.astype(np.float32)), W.apply(X)),
        (W.apply_transposed(X.astype(np.float32)), W.apply_transposed(X)),
    ):
        assert found.dtype == np.float32
        assert found == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("N", WIDTHS)
def test_fast_orthogonal_is_orthogonal(N: int) -> None:
    W = draw_weights("fast-orthogonal", N, 2.5, np.random.default_rng(N))
    Q = W.matrix() / 2.5
    assert abs(Q @ Q.T - np.eye(N)).max() < 1e-14 * N + 1e-14
    assert abs(Q).max() <= math.sqrt(2 / N) + 1e-12 or N == 1


@pytest.mark.parametrize("N", WIDTHS)
def test_fast_gaussian_has_the_singular_values_of_the_quarter_circle(N: int) -> None:
    W = draw_weights("fast-gaussian", N, 2.5, np.random.default_rng(N))
    found = np.linalg.svd(W.matrix(), compute_uv=False)
    assert found[::-1] == pytest.approx(2.5 * quarter_circle_values(N), abs=1e-12)


@pytest.mark.parametrize("weights", FAST)
@pytest.mark.parametrize("N", WIDTHS)
def test_row_lengths_are_those_of_the_rows(weights: Any, N: int) -> None:
    W = draw_weights(weights, N, 0.7, np.random.default_rng(N))
    rows = np.linalg.norm(written_out(W), axis=1)
    assert W.row_lengths() == pytest.approx(rows, abs=1e-13)


def test_quantiles_are_those_of_the_quarter_circle() -> None:
    # The distribution function in closed form: (2 asin(x/2) + x sqrt(1 - x^2/4)) / pi.
    x = quarter_circle_values(4000)
    mass = (2 * np.arcsin(x / 2) + x * np.sqrt(1 - x**2 / 4)) / np.pi
    assert mass == pytest.approx((np.arange(4000) + 0.5) / 4000, abs=1e-6)
    assert np.mean(x**2) == pytest.approx(1.0, abs=1e-14)
    assert np.mean(x**4) == pytest.approx(2.0, abs=1e-4)


def test_permutations_and_signs_are_fair() -> None:
    rng, N, samples = array_generator(np.random.default_rng(3)), 5, 6000
    images = np.stack([rng.permutation(N) for _ in range(samples)])
    counts = np.stack([np.bincount(images[:, i], minlength=N) for i in range(N)])
    expected = samples / N
    # Each count is binomial; 25 of them beyond 4.5 sigma once in 6000.
    assert (abs(counts - expected) < 4.5 * math.sqrt(expected * (1 - 1 / N))).all()
    signs = rng.signs(samples)
    assert set(np.unique(signs)) == {-1, 1}
    assert abs(signs.mean(dtype=float)) < 4.5 / math.sqrt(samples)


@pytest.mark.parametrize("weights", FAST)
def test_entries_have_mean_zero_and_the_variance_of_the_ensemble(weights: Any) -> None:
    rng, N, samples = np.random.default_rng(4), 6, 4000
    W = np.stack([draw_weights(weights, N, 1.5, rng).matrix() for _ in range(samples)])
    flat = W.reshape(samples, -1)
    assert (abs(flat.mean(axis=0)) < 4.7 * flat.std(axis=0) / math.sqrt(samples)).all()
    squares = flat**2
    error = squares.std(axis=0) / math.sqrt(samples)
    assert (abs(squares.mean(axis=0) - 1.5**2 / N) < 4.7 * error).all()
    covariance = flat.T @ flat / samples - np.diag(squares.mean(axis=0))
    assert abs(covariance).max() < 5.5 * 1.5**2 / N / math.sqrt(samples)


@pytest.mark.parametrize("weights", FAST)
def test_images_have_the_law_of_a_drawn_matrix(weights: Any) -> None:
    rng, samples, N = np.random.default_rng(7), 3000, 5
    y = rng.standard_normal(N) + 1
    drawn = np.stack([draw_weights(weights, N, 1.3, rng).matrix() @ y for _ in range(samples)])
    quick = np.stack([draw_image(weights, 1.3, y, rng) for _ in range(samples)])
    for f in (lambda v: v[:, 0], lambda v: v @ np.arange(N), lambda v: np.sum(v**4, axis=1)):
        assert stats.ks_2samp(f(drawn), f(quick)).pvalue > 1e-4


def test_diagonals_are_free_from_fast_orthogonal_weights() -> None:
    # tau(A W B W^T A W B W^T) of centred diagonals A, B is 0 for free W (and 0 on average for Haar
    # W up to 1/N); a cosine transform without signs and permutations is far from it.
    N, rng = 4096, np.random.default_rng(2)
    wave = np.cos(2 * np.pi * np.arange(N) / N)  # what the bare transform would see
    found = []
    for _ in range(20):
        W = draw_weights("fast-orthogonal", N, 1.0, rng)
        v = rng.choice([-1.0, 1.0], N)
        half = wave * W.apply(wave * W.apply_transposed(v))
        found.append(np.mean(v * wave * W.apply(wave * W.apply_transposed(half))))
    assert abs(np.mean(found)) < 4.5 * np.std(found) / math.sqrt(20) + 2 / N
    assert np.std(found) < 10 / math.sqrt(N)


@pytest.mark.parametrize("weights", FAST)
def test_weights_of_size_zero(weights: Any) -> None:
    W = draw_weights(weights, 4, 0.0, np.random.default_rng(0))
    assert not W.matrix().any()
    assert not W.row_lengths().any()


def test_the_kind_of_matrix() -> None:
    rng = np.random.default_rng(0)
    assert isinstance(draw_weights("fast-gaussian", 3, 1.0, rng), FastGaussianMatrix)
    assert isinstance(draw_weights("fast-orthogonal", 3, 1.0, rng), FastOrthogonalMatrix)


@pytest.mark.parametrize("weights", FAST)
def test_a_large_matrix_takes_little_memory(weights: Any) -> None:
    N = 1 << 16
    W = draw_weights(weights, N, 1.0, np.random.default_rng(0))
    parts = [W.left, W.right, *([W.middle] if weights == "fast-gaussian" else [])]
    held = sum(part.source.nbytes + part.factors.nbytes for part in parts)
    assert held <= (10 if weights == "fast-orthogonal" else 22) * N


@pytest.mark.parametrize("weights", FAST)
def test_tied_networks_keep_a_fast_input_matrix(weights: Any) -> None:
    width, values = 30, {"weight_std": 0.0, "input_std": 1.2, "input_variance": 0.5}
    run = run_network(
        minimalrnn, Parameters.of(minimalrnn, values), weights=weights, width=width,
        steps=2 * width, rng=np.random.default_rng(1), tied=True, burn_in=0,
    )  # fmt: skip
    x, e = zip(*((step.x, step.gates[0]) for step in run), strict=True)
    V = np.linalg.lstsq(np.stack(x), np.stack(e), rcond=None)[0].T
    assert np.stack(e) == pytest.approx(np.stack(x) @ V.T, abs=1e-10)
    found = np.linalg.svd(V, compute_uv=False)
    assert found[::-1] == pytest.approx(1.2 * quarter_circle_values(width), abs=1e-9)


def spectrum(steps: list[NetworkStep], p: Parameters, weights: Any, seed: int) -> np.ndarray:
    """Singular values of the product with the sites of the steps and other W."""
    rng = np.random.default_rng(seed)
    width = steps[0].x.shape[0]
    others = [
        replace(step, weights=tuple(draw_weights(weights, width, g.weight_std, rng)
                                    for _, g in p.groups))
        for step in steps
    ]  # fmt: skip
    *_, (_, _, J) = jacobian_products(iter(others), [len(steps)])
    return singular_values(J)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "values"),
    [
        (minimalrnn, {}),
        (gru, {"input_std": 1.0}),
        (lstm, {"input_std": 0.7, "forget.bias_mean": 1.0}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_spectra_on_the_same_sites_are_those_of_exact_ensembles(
    cell: Cell, values: dict[str, float]
) -> None:
    # On the same sites spectra of free W differ by O(1/N): far less than those of other sites, so
    # that Haar and Gaussian W, or W that is not free from the sites, stand out.
    p = Parameters.of(cell, {**dict(cell.typical_parameters), **values})
    rng = np.random.default_rng(0)
    steps = list(run_network(cell, p, weights="orthogonal", width=128, steps=5, rng=rng))
    drawn = {
        weights: [spectrum(steps, p, weights, 10 * k + i) for k in range(6)]
        for i, weights in enumerate(("gaussian", "orthogonal", *FAST))
    }

    def distance(left: str, right: str) -> float:
        pairs = [(a, b) for a in drawn[left] for b in drawn[right] if a is not b]
        return float(np.mean([stats.ks_2samp(a, b, method="asymp").statistic for a, b in pairs]))

    for exact, fast, other in (
        ("orthogonal", "fast-orthogonal", "gaussian"), ("gaussian", "fast-gaussian", "orthogonal"),
    ):  # fmt: skip
        bound = 1.25 * distance(exact, exact)  # parts what is alike from what is not
        assert distance(exact, fast) < bound
        assert distance(fast, fast) < bound
        assert distance(exact, other) > bound


@pytest.mark.slow
@pytest.mark.parametrize("weights", FAST)
def test_moments_of_many_steps_of_wide_networks(weights: Any) -> None:
    # m_1 and m_2 of 20 steps by random vectors, J^T v and J J^T v, against the closed recursion.
    N, T, vectors = 1 << 14, 20, 2
    p = Parameters.of(
        minimalrnn, weight_std=6.086, input_std=4.7986, input_variance=0.46, bias_mean=4.0
    )
    rows = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        steps = list(run_network(minimalrnn, p, weights=weights, width=N, steps=T, rng=rng))
        blocks = [rng.choice([-1.0, 1.0], size=(N, vectors))]
        for step in reversed(steps):
            blocks = step.adjoint(blocks)
        first = np.sum(blocks[0] ** 2) / (N * vectors)
        for step in steps:
            blocks = step.times(blocks)
        rows.append([first, np.sum(blocks[0] ** 2) / (N * vectors)])
    found, error = np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1) / math.sqrt(len(rows))
    law = site_law(minimalrnn, p)
    theory = weights.removeprefix("fast-")
    exact = diagonal_valued_recursion(minimalrnn).evaluate(law, weights=theory, steps=T)
    assert abs(found[0] - law.chi1**T) < 4.5 * error[0]
    assert abs(found[1] - exact) < 4.5 * error[1]
    assert error[1] < 0.08 * exact
