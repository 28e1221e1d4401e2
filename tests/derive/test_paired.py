"""Theory on drawn sites against dense products of sampled matrices."""

from typing import Any

import numpy as np
import pytest

from rmt_jacobian.derive import PairedMoments
from tests.derive.dense import MATRICES, at_infinite_width

SITES, STEPS, WEIGHT_STD = 32, 3, 1.2
S_1 = {"gaussian": -1.0, "orthogonal": 0.0}
RNG = np.random.default_rng(8)
# Site variables that depend on each other and from step to step.
BASE = RNG.normal(size=SITES)
A = [1 / (1 + np.exp(-BASE - RNG.normal(0, 0.5, SITES))) for _ in range(STEPS)]
B = [0.8 * BASE * a + 0.3 for a in A]
PROBES = np.stack([np.ones(SITES), BASE, (BASE > 0.5).astype(float)])


def paired(weights: str, xp: Any = np) -> PairedMoments:
    result = PairedMoments.identity(xp.asarray(A[0]))
    for a, b in zip(A, B, strict=True):
        result = result.step(
            xp.asarray(a), xp.asarray(b), weight_variance=WEIGHT_STD**2, s_1=S_1[weights]
        )
    return result


@pytest.mark.slow
@pytest.mark.parametrize("weights", MATRICES)
def test_the_diagonal_and_the_map_of_dense_products(weights: str) -> None:
    def sample(copies: int, rng: np.random.Generator) -> np.ndarray:
        M = np.eye(copies * SITES)
        for a, b in zip(A, B, strict=True):
            W = WEIGHT_STD * MATRICES[weights](copies * SITES, rng)
            J = np.diag(np.tile(a, copies)) + np.tile(b, copies)[:, None] * W
            M = J @ M @ J.T
        maps = [np.einsum("ij,j,ji->i", M, np.tile(probe, copies), M) for probe in PROBES]
        rows = np.stack([np.diagonal(M), *maps])
        return rows.reshape(1 + len(PROBES), copies, SITES).mean(axis=1)  # over equal sites

    found, error = at_infinite_width(sample, copies=(2, 4), samples=500, seed=2)
    theory = paired(weights)
    expected = np.stack([theory.diagonal, *(theory.apply(probe) for probe in PROBES)])
    # 4.5 standard errors, and terms of order (T / N)^2 with N = 64, of the largest entries.
    allowed = 4.5 * error + (2 * STEPS / 64) ** 2 * abs(expected).max(axis=1, keepdims=True)
    assert (abs(found - expected) < allowed).all()
    traces = found.mean(axis=1)
    # Averages over the sites: 32 times as many numbers, so compared on their own.
    spread = np.sqrt((error**2).sum(axis=1)) / SITES * np.sqrt(SITES)
    for k, value in enumerate((theory.mean, theory.second_moment)):
        assert abs(traces[k] - value) < 4.5 * spread[k] + (STEPS / 64) ** 2 * value


@pytest.mark.parametrize("weights", MATRICES)
def test_every_namespace(weights: str, xp: Any) -> None:
    found, expected = paired(weights, xp), paired(weights)
    assert found.mean == pytest.approx(expected.mean, rel=1e-13)
    assert found.second_moment == pytest.approx(expected.second_moment, rel=1e-13)


def test_the_map_is_symmetric() -> None:
    # tr(M a M b) = tr(M b M a)
    theory = paired("gaussian")
    a, b = PROBES[1], PROBES[2]
    assert np.mean(theory.apply(a) * b) == pytest.approx(np.mean(theory.apply(b) * a), rel=1e-12)


def test_diagonal_products_need_no_randomness() -> None:
    theory = PairedMoments.identity(A[0])
    product = np.ones(SITES)
    for a in A:
        theory = theory.step(a, np.zeros(SITES), weight_variance=1.0, s_1=-1.0)
        product = product * a
    assert theory.mean == pytest.approx(np.mean(product**2), rel=1e-14)
    assert theory.second_moment == pytest.approx(np.mean(product**4), rel=1e-14)


@pytest.mark.parametrize("T", [1, 2, 5])
def test_products_of_the_weights_alone(T: int) -> None:
    # Gaussian: Fuss-Catalan, m_2 = T + 1.  Orthogonal: every singular value is 1.
    ones, zeros = np.ones(SITES), np.zeros(SITES)
    for s_1, expected in ((-1.0, T + 1), (0.0, 1)):
        theory = PairedMoments.identity(ones)
        for _ in range(T):
            theory = theory.step(zeros, ones, weight_variance=1.0, s_1=s_1)
        assert theory.mean == pytest.approx(1.0, rel=1e-14)
        assert theory.second_moment == pytest.approx(expected, rel=1e-13)
