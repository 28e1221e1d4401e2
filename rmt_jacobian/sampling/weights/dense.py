"""Matrices that are stored whole."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rmt_jacobian.arrays import array_namespace

__all__ = ["DenseMatrix", "squared_lengths"]


@dataclass(frozen=True)
class DenseMatrix:
    """A matrix that is stored whole.

    Examples
    --------
    >>> W = DenseMatrix(np.array([[3.0, 4.0], [0.0, 1.0]]))
    >>> W.row_lengths()
    array([5., 1.])
    """

    entries: Any

    def apply(self, X: Any) -> Any:
        """Return W X."""
        return self.entries @ X

    def apply_transposed(self, X: Any) -> Any:
        """Return W^T X."""
        return self.entries.T @ X

    def matrix(self) -> Any:
        """Return W itself."""
        return self.entries

    def row_lengths(self) -> Any:
        """Return the length of every row."""
        return array_namespace(self.entries).sqrt(squared_lengths(self.entries, axis=1))


def squared_lengths(entries: Any, *, axis: int) -> Any:
    """Return the sums of squares along an axis of a matrix.

    Examples
    --------
    >>> squared_lengths(np.array([[3.0, 4.0], [0.0, 1.0]]), axis=0)
    array([ 9., 17.])
    """
    if isinstance(entries, np.ndarray):  # without another array of that size
        return np.einsum("ij,ij->j" if axis == 0 else "ij,ij->i", entries, entries)
    return array_namespace(entries).sum(entries * entries, axis=axis)
