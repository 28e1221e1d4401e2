"""The orthonormal cosine transform along the last axis, in any array namespace."""

import math
from typing import Any

import numpy as np
import scipy.fft

from rmt_jacobian.arrays import array_namespace

__all__ = ["cosine_transform", "inverse_cosine_transform"]


def cosine_transform(x: Any, *, overwrite: bool = False) -> Any:
    r"""Return the orthonormal cosine transform (DCT-II) along the last axis.

    .. math::
        (C x)_k = c_k \sum_{n=0}^{N-1} x_n \cos \frac{\pi k (2 n + 1)}{2 N}, \qquad
        c_0 = N^{-1/2}, \quad c_k = (2 / N)^{1/2}

    C is orthogonal.  The cost is O(N log N) for each row, for every N.

    Parameters
    ----------
    x
        Real, shape (..., N), in single or double precision, which the result keeps.
    overwrite
        Whether x may be destroyed.

    Notes
    -----
    SciPy's transform is used on NumPy arrays.  Elsewhere it is a real Fourier transform of the
    entries in the order 0, 2, 4, ..., 5, 3, 1.

    References
    ----------
    Makhoul (1980), *A fast cosine transform in one and two dimensions*.

    Examples
    --------
    >>> cosine_transform(np.ones(4))
    array([2., 0., 0., 0.])
    """
    if isinstance(x, np.ndarray):
        return scipy.fft.dct(x, axis=-1, norm="ortho", overwrite_x=overwrite, workers=1)
    return _by_fourier(x)


def inverse_cosine_transform(x: Any, *, overwrite: bool = False) -> Any:
    """Return the transposed, and so inverse, of :func:`cosine_transform` along the last axis.

    Examples
    --------
    >>> inverse_cosine_transform(np.array([2.0, 0.0, 0.0, 0.0]))
    array([1., 1., 1., 1.])
    """
    if isinstance(x, np.ndarray):
        return scipy.fft.idct(x, axis=-1, norm="ortho", overwrite_x=overwrite, workers=1)
    return _inverse_by_fourier(x)


def _by_fourier(x: Any) -> Any:
    xp, N = array_namespace(x), x.shape[-1]
    reordered = xp.concat([x[..., ::2], xp.flip(x[..., 1::2], axis=-1)], axis=-1)
    spectrum = xp.fft.rfft(reordered, axis=-1)
    real, imaginary = xp.real(spectrum), xp.imag(spectrum)
    cosine, sine = _twiddles(N, xp, x.dtype)
    # exp(-i pi k / 2 N) times the spectrum; its real part is the transform at k, minus its
    # imaginary part that at N - k.
    low = cosine * real + sine * imaginary
    high = sine * real - cosine * imaginary
    whole = xp.concat([low, xp.flip(high[..., 1 : (N + 1) // 2], axis=-1)], axis=-1)
    return _scales(N, xp, x.dtype) * whole


def _inverse_by_fourier(x: Any) -> Any:
    xp, N = array_namespace(x), x.shape[-1]
    unscaled = x / _scales(N, xp, x.dtype)
    low = unscaled[..., : N // 2 + 1]
    high = xp.flip(unscaled[..., N - N // 2 :], axis=-1)  # at N - k; 0 at k = 0
    high = xp.concat([xp.zeros_like(x[..., :1]), high], axis=-1)
    cosine, sine = _twiddles(N, xp, x.dtype)
    complex_type = xp.complex64 if x.dtype == xp.float32 else xp.complex128
    spectrum = xp.astype(cosine * low + sine * high, complex_type)
    spectrum = spectrum + 1j * xp.astype(sine * low - cosine * high, complex_type)
    reordered = xp.fft.irfft(spectrum, n=N, axis=-1)
    result = xp.empty_like(x)
    result[..., ::2] = reordered[..., : (N + 1) // 2]
    result[..., 1::2] = xp.flip(reordered[..., (N + 1) // 2 :], axis=-1)
    return result


def _twiddles(N: int, xp: Any, dtype: Any) -> tuple[Any, Any]:
    """Return the cosine and the sine of pi k / 2 N for k = 0, ..., N / 2."""
    angle = math.pi / (2 * N) * xp.arange(N // 2 + 1, dtype=xp.float64)
    return xp.astype(xp.cos(angle), dtype), xp.astype(xp.sin(angle), dtype)


def _scales(N: int, xp: Any, dtype: Any) -> Any:
    """Return what makes the rows of length 1."""
    k = xp.arange(N, dtype=dtype)
    return xp.where(k > 0, 0 * k + math.sqrt(2 / N), 0 * k + math.sqrt(1 / N))
