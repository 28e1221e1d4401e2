"""Haar orthogonal matrices as products of reflections."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.linalg import get_blas_funcs

from rmt_jacobian.arrays import ArrayGenerator, array_namespace
from rmt_jacobian.sampling.weights.dense import squared_lengths

__all__ = ["HouseholderMatrix", "draw_haar"]

_BLOCK = 128  # reflections that are applied at a time


@dataclass(frozen=True)
class HouseholderMatrix:
    r"""A scaled orthogonal matrix stored as a product of reflections and signs.

    .. math:: W = \sigma H_1 H_2 \cdots H_N \, \mathrm{diag}(\pm 1), \qquad
              H_j = 1 - \tau_j v_j v_j^{\mathsf T}

    Blocks of reflections are applied as

    .. math:: H_j \cdots H_{j + b} = 1 - V T V^{\mathsf T}, \qquad
              T^{-1} = \mathrm{diag}(\tau)^{-1} + \mathrm{striu}(V^{\mathsf T} V) ,

    which takes matrix products alone: three times as fast as forming W by QR and multiplying, and
    1.6 times as fast as LAPACK's ormqr at N = 2048.

    Attributes
    ----------
    reflectors, factors
        The v_j, of which the first entry 1 is not stored, below the diagonal, shape (N, N), and
        the tau_j, shape (N,), in LAPACK's format.
    signs
        The signs, shape (N,).
    scale
        sigma.

    References
    ----------
    Schreiber & Van Loan (1989); Puglisi (1992) for the inverse of T.

    Examples
    --------
    >>> from rmt_jacobian.sampling import draw_weights
    >>> W = draw_weights("orthogonal", 3, 2.0, np.random.default_rng(0))
    >>> bool(np.allclose(W.apply_transposed(W.apply(np.ones(3))), 4.0))
    True
    """

    reflectors: Any
    factors: Any
    signs: Any
    scale: float

    def apply(self, X: Any) -> Any:
        """Return W X."""
        signed = self.scale * self.signs[:, None] * _columns(X)
        return _shaped(self.reflected(signed, transposed=False), X)

    def apply_transposed(self, X: Any) -> Any:
        """Return W^T X."""
        reflected = self.reflected(1.0 * _columns(X), transposed=True)
        return _shaped(self.scale * self.signs[:, None] * reflected, X)

    def matrix(self) -> Any:
        """Return W itself."""
        xp = array_namespace(self.signs)
        return self.apply(xp.eye(self.signs.shape[0], dtype=self.signs.dtype))

    def row_lengths(self) -> Any:
        """Return the length of every row, which is sigma."""
        return 0 * self.signs + self.scale

    def reflected(self, columns: Any, *, transposed: bool) -> Any:
        """Return the reflections, or their transposed product, applied to columns.

        Parameters
        ----------
        columns
            Shape (N, m); may be overwritten.
        transposed
            Whether to apply H_N ... H_1 instead of H_1 ... H_N.
        """
        if isinstance(columns, np.ndarray):
            columns = np.ascontiguousarray(columns)
        blocks = self._blocks if transposed else reversed(self._blocks)
        for start, V, T in blocks:
            rest = columns[start:, :]
            _subtract_product(rest, V, (T.T if transposed else T) @ (V.T @ rest))
        return columns

    @cached_property
    def _blocks(self) -> list[tuple[int, Any, Any]]:
        """The blocks of reflections: the row they start at, V and T."""
        xp, N = array_namespace(self.reflectors), self.reflectors.shape[0]
        blocks = []
        for start in range(0, N - 1, _BLOCK):  # the last reflection is the identity
            end = min(start + _BLOCK, N - 1)
            V = xp.tril(self.reflectors[start:, start:end], k=-1)
            V = V + xp.eye(N - start, end - start, dtype=V.dtype)
            inverse = xp.triu(V.T @ V, k=1)
            diagonal = xp.eye(end - start, dtype=V.dtype) / self.factors[start:end]
            blocks.append((start, V, xp.linalg.inv(inverse + diagonal)))
        return blocks


def _subtract_product(rest: Any, V: Any, images: Any) -> None:
    """Subtract V times images in place."""
    if isinstance(rest, np.ndarray):  # one call of BLAS, which takes the transposes as they are
        gemm = get_blas_funcs("gemm", (V, images, rest))
        gemm(-1.0, images.T, V.T, beta=1.0, c=rest.T, overwrite_c=True)
    else:
        rest[...] = rest - V @ images


def _columns(X: Any) -> Any:
    return X[:, None] if X.ndim == 1 else X


def _shaped(columns: Any, X: Any) -> Any:
    return columns[:, 0] if X.ndim == 1 else columns


def draw_haar(width: int, scale: float, rng: ArrayGenerator) -> HouseholderMatrix:
    """Draw sigma times a Haar orthogonal matrix.

    Notes
    -----
    The reflections of the QR decomposition of a Gaussian matrix come from independent Gaussian
    vectors of falling length, so the decomposition itself need not be computed; the signs of the
    diagonal of R make the law invariant.

    References
    ----------
    :cite:t:`Stewart1980`; :cite:t:`Mezzadri2007`, section 5.

    Examples
    --------
    >>> from rmt_jacobian.arrays import array_generator
    >>> W = draw_haar(4, 2.0, array_generator(np.random.default_rng(0)))
    >>> bool(np.allclose(W.matrix() @ W.matrix().T, 4 * np.eye(4)))
    True
    """
    xp = rng.xp
    gaussian = xp.tril(rng.standard_normal((width, width)))
    lead = xp.linalg.diagonal(gaussian)
    norms = xp.sqrt(squared_lengths(gaussian, axis=0))
    signs = xp.where(lead < 0, xp.asarray(-1.0, dtype=rng.dtype), xp.asarray(1.0, dtype=rng.dtype))
    # H maps the k-th vector to -sign(lead) |vector| e_1, which is the k-th diagonal entry of R.
    reflectors = gaussian / (lead + signs * norms)
    # The last vector has one entry: no reflection is left, and R keeps its sign.
    reflected = xp.arange(width) < width - 1
    factors = xp.where(reflected, 1 + signs * lead / norms, 0 * lead)
    return HouseholderMatrix(reflectors, factors, xp.where(reflected, -signs, signs), scale)
