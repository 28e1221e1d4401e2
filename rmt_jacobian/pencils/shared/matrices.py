r"""Self-energies that are symmetric matrices, and the half space that they live in.

Where one W stands at T places, its self-energies are symmetric T x T matrices whose imaginary parts
are negative semidefinite; their negative inverses, and all Schur complements of these, are in
Siegel's upper half space of symmetric matrices with a positive definite imaginary part.  There the
logarithm of a determinant has one branch: the eigenvalues lie in the upper half plane.
"""

import math
from functools import lru_cache

import numpy as np

__all__ = [
    "depths",
    "determinant_above",
    "inverse",
    "multiplicities",
    "packed",
    "packed_count",
    "paired",
    "relative_size",
    "reunited",
    "sizes",
    "symmetric",
    "unpacked",
]


def packed_count(steps: int) -> int:
    """Return how many numbers a symmetric T x T matrix has."""
    return steps * (steps + 1) // 2


@lru_cache(maxsize=64)
def _triangle(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and columns of the upper triangle, found once for each size."""
    rows, columns = np.triu_indices(steps)
    rows.setflags(write=False)
    columns.setflags(write=False)
    return rows, columns


def packed(matrices: np.ndarray) -> np.ndarray:
    """Return the upper triangles of symmetric matrices, shape (..., T (T + 1) / 2)."""
    rows, columns = _triangle(matrices.shape[-1])
    return matrices[..., rows, columns]


def unpacked(entries: np.ndarray, steps: int) -> np.ndarray:
    """Return the symmetric matrices of upper triangles, shape (..., T, T).

    Examples
    --------
    >>> unpacked(np.array([1.0, 2.0, 3.0]), 2)
    array([[1., 2.],
           [2., 3.]])
    """
    rows, columns = _triangle(steps)
    found = np.empty((*entries.shape[:-1], steps, steps), dtype=entries.dtype)
    found[..., rows, columns] = entries
    found[..., columns, rows] = entries
    return found


def multiplicities(steps: int) -> np.ndarray:
    """Return how often each entry of an upper triangle stands in the whole matrix.

    Examples
    --------
    >>> multiplicities(2)
    array([1., 2., 1.])
    """
    rows, columns = _triangle(steps)
    return np.where(rows == columns, 1.0, 2.0)


def paired(products: np.ndarray, steps: int, other: int | None = None) -> np.ndarray:
    r"""Return :math:`\langle G_{ac} G_{bd} \rangle` for packed (a, b) and packed (c, d).

    Parameters
    ----------
    products
        The same for (a, c) and (b, d), shape (T T', T T').
    steps, other
        T, and T' where it is another.
    """
    other = steps if other is None else other
    rows, columns = (each[:, None] for each in _triangle(steps))
    first, second = (each[None, :] for each in _triangle(other))
    table = products.reshape(steps, other, steps, other)  # a, c, b, d
    straight, crossed = table[rows, first, columns, second], table[rows, second, columns, first]
    return (straight + crossed) / 2


def symmetric(matrices: np.ndarray) -> np.ndarray:
    """Return the symmetric parts."""
    return (matrices + np.swapaxes(matrices, -1, -2)) / 2


def _scales(matrices: np.ndarray) -> np.ndarray:
    """Return the roots of the diagonals, shape (..., T); 1 where one vanishes."""
    found = np.sqrt(np.abs(np.diagonal(matrices, axis1=-2, axis2=-1)))
    return np.where(found > 0, found, 1.0)


def inverse(matrices: np.ndarray) -> np.ndarray:
    """Return the inverses of symmetric matrices, scaled to a unit diagonal on the way.

    Entries may fall by orders of magnitude from step to step, and lose no digits by that.
    """
    outer = sizes(matrices)
    return symmetric(np.linalg.inv(matrices / outer) / outer)


def sizes(matrices: np.ndarray) -> np.ndarray:
    """Return the size of every entry, the geometric mean of those on the diagonal: (..., T, T)."""
    scale = _scales(matrices)
    return scale[..., :, None] * scale[..., None, :]


def relative_size(changes: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Return the largest entry of changes in units of the diagonals of matrices, shape (...)."""
    return np.max(np.abs(changes) / sizes(matrices), axis=(-2, -1))


def depths(matrices: np.ndarray, along: np.ndarray | None = None) -> np.ndarray:
    r"""Return the eigenvalues of -Im X, X scaled to a unit diagonal, increasing; (..., T).

    Parameters
    ----------
    matrices
        X.
    along
        A direction d: then of -Im(X + i d).
    """
    inward = -np.imag(matrices) if along is None else -np.imag(matrices) - np.real(along)
    return np.linalg.eigvalsh(inward / sizes(matrices))


def reunited(matrices: np.ndarray) -> np.ndarray:
    """Return matrices with what lies on the wrong side of the real ones taken off."""
    outer = sizes(matrices)
    values, vectors = np.linalg.eigh(np.imag(matrices) / outer)
    below = np.minimum(values, 0.0)[..., None, :]
    return np.real(matrices) + 1j * outer * ((vectors * below) @ np.swapaxes(vectors, -1, -2))


def determinant_above(matrices: np.ndarray) -> np.ndarray:
    r"""Return log det of matrices in the closed upper half space, on its branch; shape (...).

    Examples
    --------
    >>> complex(determinant_above(np.array([[-1.0 + 0j, 0.0], [0.0, 1j]])).round(6))
    4.712389j
    """
    values = np.linalg.eigvals(matrices / sizes(matrices))
    height = np.maximum(np.imag(values), 0.0)
    angle = np.where(height > 0, np.arctan2(height, np.real(values)),
                     math.pi * (np.real(values) < 0))  # fmt: skip
    return np.sum(np.log(np.abs(values)) + 1j * angle + 2 * np.log(_scales(matrices)), axis=-1)
