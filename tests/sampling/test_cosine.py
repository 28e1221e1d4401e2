from typing import Any

import numpy as np
import pytest

from rmt_jacobian.arrays import to_numpy
from rmt_jacobian.sampling.weights.cosine import cosine_transform, inverse_cosine_transform


def cosine_matrix(N: int) -> np.ndarray:
    """The transform by its definition, in exact reduction of the angles."""
    k, n = np.arange(N)[:, None], np.arange(N)[None, :]
    entries = np.cos(np.pi / (2 * N) * (k * (2 * n + 1) % (4 * N))) * np.sqrt(2 / N)
    entries[0] /= np.sqrt(2)
    return entries


@pytest.mark.parametrize("N", [1, 2, 3, 4, 7, 8, 30, 101])
def test_the_transform_is_its_definition(xp: Any, N: int) -> None:
    C, X = cosine_matrix(N), np.random.default_rng(N).standard_normal((3, N))
    for rows in (X, X[0]):
        found = cosine_transform(xp.asarray(rows))
        assert found.dtype == xp.float64
        assert to_numpy(found) == pytest.approx(rows @ C.T, abs=1e-13)
        back = inverse_cosine_transform(xp.asarray(rows))
        assert back.dtype == xp.float64
        assert to_numpy(back) == pytest.approx(rows @ C, abs=1e-13)


@pytest.mark.parametrize("N", [5, 64])
def test_single_precision_is_kept(xp: Any, N: int) -> None:
    x = np.random.default_rng(N).standard_normal(N)
    single = xp.asarray(x.astype(np.float32))
    for transform, matrix in (
        (cosine_transform, cosine_matrix(N)),
        (inverse_cosine_transform, cosine_matrix(N).T),
    ):
        found = transform(single)
        assert found.dtype == xp.float32
        assert to_numpy(found) == pytest.approx(matrix @ x, abs=3e-6)


def test_arguments_are_kept_unless_they_may_be_lost(xp: Any) -> None:
    x = np.random.default_rng(0).standard_normal(9)
    kept = xp.asarray(x)
    for transform in (cosine_transform, inverse_cosine_transform):
        transform(kept)
        assert np.array_equal(to_numpy(kept), x)


@pytest.mark.gpu
def test_cupys_own_transform_agrees() -> None:
    cupy = pytest.importorskip("cupy", exc_type=ImportError)
    import cupyx.scipy.fft

    x = cupy.random.default_rng(0).standard_normal((3, 1000))
    own = cupyx.scipy.fft.dct(x, axis=-1, norm="ortho")
    assert to_numpy(cosine_transform(x)) == pytest.approx(to_numpy(own), abs=1e-12)
    own = cupyx.scipy.fft.idct(x, axis=-1, norm="ortho")
    assert to_numpy(inverse_cosine_transform(x)) == pytest.approx(to_numpy(own), abs=1e-12)
