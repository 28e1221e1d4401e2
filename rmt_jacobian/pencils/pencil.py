r"""Hermitian block pencils in diagonal matrices and independent bi-invariant random ones.

A pencil has n blocks.  Its diagonal part is a small n x n matrix at every site; its random part
puts :math:`-D_B W` at one pair of blocks, and the transpose at the mirrored pair.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rmt_jacobian.arrays import array_namespace, to_numpy
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.pencils.ensembles import BiInvariant

__all__ = ["Pencil", "RandomEntry"]

_ROUNDING = 1e-10  # relative; what a Hermitian matrix or a sum of weights may be off


@dataclass(frozen=True, eq=False)
class RandomEntry:
    r"""The entry :math:`-D_B W` of a pencil at (row, column), with its transpose mirrored.

    Attributes
    ----------
    row, column
        Two different blocks, counted from 0; where the same W stands at n places, the n rows and
        the n columns.
    ensemble
        The law of W.
    coefficient
        B at every site, real, shape (sites,), or (n, sites) for n places; by default 1.

    Examples
    --------
    >>> from rmt_jacobian.pencils import GaussianWeights
    >>> RandomEntry((1, 3), (0, 2), GaussianWeights(1.0)).places
    2
    """

    row: int | tuple[int, ...]
    column: int | tuple[int, ...]
    ensemble: BiInvariant
    coefficient: Any = None

    @property
    def rows(self) -> tuple[int, ...]:
        """The row of every place."""
        return (self.row,) if isinstance(self.row, int) else tuple(self.row)

    @property
    def columns(self) -> tuple[int, ...]:
        """The column of every place."""
        return (self.column,) if isinstance(self.column, int) else tuple(self.column)

    @property
    def places(self) -> int:
        """The number of places at which W stands."""
        return len(self.rows)

    @property
    def is_shared(self) -> bool:
        """Whether W stands at several places."""
        return self.places > 1


@dataclass(frozen=True, eq=False)
class Pencil:
    r"""A Hermitian linear pencil: a site matrix in z, and random entries.

    .. math:: L(z) = z S + C - \sum_k \left( E_{r_k c_k} \otimes D_{B_k} W_k
              + E_{c_k r_k} \otimes W_k^T D_{B_k} \right)

    Attributes
    ----------
    constant
        C, shape (sites, n, n), or (points, sites, n, n) where every point of a grid has its own;
        Hermitian at every site.
    slope
        S, shape (n,) for a diagonal matrix or (n, n); positive semidefinite, not zero.
    entries
        The random entries.
    weights
        What each site counts for in an average, shape (sites,), of sum 1; by default all the same.
        Nodes of a quadrature and drawn sites are given alike.

    Notes
    -----
    Assumes that the W of different entries are independent of each other and of the sites.  A W
    that stands at several places, which is one entry, needs a real constant.

    Raises
    ------
    ParameterError
        If a shape, a block or a weight is impossible, or a matrix is not Hermitian.

    Examples
    --------
    >>> import numpy as np
    >>> from rmt_jacobian.pencils import GaussianWeights
    >>> plain = Pencil(np.zeros((1, 2, 2)), [1, 1], [RandomEntry(0, 1, GaussianWeights(1.0))])
    >>> plain.sites, plain.blocks, plain.points
    (1, 2, None)
    """

    constant: Any
    slope: Any
    entries: Any
    weights: Any = None

    def __post_init__(self) -> None:
        slope = to_numpy(self.slope)
        object.__setattr__(self, "slope", np.diag(slope) if slope.ndim == 1 else slope)
        object.__setattr__(self, "entries", tuple(self.entries))
        self._check_constant()
        self._check_slope()
        self._check_weights()
        if not self.entries:
            raise ParameterError("a pencil needs at least one random entry")
        for entry in self.entries:
            self._check_entry(entry)

    @property
    def xp(self) -> Any:
        """The array namespace of the sites."""
        return array_namespace(self.constant)

    @property
    def sites(self) -> int:
        """The number of sites."""
        return self.constant.shape[-3]

    @property
    def blocks(self) -> int:
        """The number n of blocks."""
        return self.constant.shape[-1]

    @property
    def points(self) -> int | None:
        """The number of points that the constant is given for, or None if it is one for all."""
        return self.constant.shape[0] if self.constant.ndim == 4 else None

    @property
    def site_weights(self) -> Any:
        """The weights of the sites, shape (sites,)."""
        if self.weights is not None:
            return self.weights
        return self.xp.full(self.sites, 1 / self.sites, dtype=self.xp.float64)

    @cached_property
    def slots(self) -> tuple[int, ...]:
        r"""The block of every self-energy: row and column of entry 0, of entry 1, and so on."""
        return tuple(b for entry in self.entries for b in (*entry.rows, *entry.columns))

    @property
    def is_shared(self) -> bool:
        """Whether some W stands at several places."""
        return any(entry.is_shared for entry in self.entries)

    @cached_property
    def scales(self) -> np.ndarray:
        """The size of every self-energy near the spectrum, shape (2 * entries,)."""
        sizes = []
        for entry in self.entries:
            size = math.sqrt(entry.ensemble.variance)
            strength = 1.0
            if entry.coefficient is not None:
                square = self.xp.sum(self.site_weights * entry.coefficient**2) / entry.places
                strength = math.sqrt(float(square)) or 1.0
            # The equations are the same for B W and (B / s) (s W); this choice is free of s.
            sizes += [size / strength, size * strength]
        return np.array([size or 1.0 for size in sizes])

    @property
    def height(self) -> float:
        """The imaginary part of z at which L_0 is about as large as the self-energies."""
        return float(np.max(self.scales[1::2]) / np.max(np.real(np.diag(self.slope))))

    def _check_constant(self) -> None:
        xp, shape = self.xp, tuple(self.constant.shape)
        if len(shape) not in (3, 4) or shape[-1] != shape[-2] or 0 in shape:
            raise ParameterError(
                f"constant must have shape (sites, n, n) or (points, sites, n, n), not {shape}"
            )
        mirrored = xp.matrix_transpose(self.constant)
        if xp.isdtype(self.constant.dtype, "complex floating"):
            mirrored = xp.conj(mirrored)
        size = float(xp.max(xp.abs(self.constant)))
        if not float(xp.max(xp.abs(self.constant - mirrored))) <= _ROUNDING * size:
            raise ParameterError("constant must be finite and Hermitian at every site")

    def _check_slope(self) -> None:
        n = self.blocks
        if self.slope.shape != (n, n):
            raise ParameterError(f"slope must have shape ({n},) or ({n}, {n})")
        off = np.max(np.abs(self.slope - self.slope.conj().T))
        size = np.max(np.abs(self.slope))
        if not (off <= _ROUNDING * size and size > 0):
            raise ParameterError("slope must be Hermitian and not zero")
        if np.linalg.eigvalsh(self.slope)[0] < -_ROUNDING * size:
            raise ParameterError("slope must be positive semidefinite: Im z >= 0 must damp")

    def _check_weights(self) -> None:
        if self.weights is None:
            return
        weights = to_numpy(self.weights)
        if weights.shape != (self.sites,):
            raise ParameterError(f"weights must have shape ({self.sites},), not {weights.shape}")
        if not (np.all(weights >= 0) and abs(np.sum(weights) - 1) <= _ROUNDING):
            raise ParameterError("weights must be non-negative and sum to 1: divide by their sum")

    def _check_entry(self, entry: RandomEntry) -> None:
        xp = self.xp
        if not entry.places or len(entry.rows) != len(entry.columns):
            raise ParameterError(
                f"a W needs a row and a column at every place, not {len(entry.rows)} rows and "
                f"{len(entry.columns)} columns"
            )
        for row, column in zip(entry.rows, entry.columns, strict=True):
            if row == column or not {row, column} <= set(range(self.blocks)):
                raise ParameterError(
                    f"a random entry must join two of the blocks 0 to {self.blocks - 1}, "
                    f"not {row} and {column}"
                )
        if entry.is_shared and xp.isdtype(self.constant.dtype, "complex floating"):
            raise ParameterError("the constant must be real where a W stands at several places")
        if entry.coefficient is None:
            return
        wanted = (entry.places, self.sites) if entry.is_shared else (self.sites,)
        if tuple(entry.coefficient.shape) != wanted:
            shape = tuple(entry.coefficient.shape)
            raise ParameterError(f"a coefficient must have shape {wanted}, not {shape}")
        real = xp.isdtype(entry.coefficient.dtype, "real floating")
        if not (real and bool(xp.all(xp.isfinite(entry.coefficient)))):
            raise ParameterError("a coefficient must hold finite real floating-point numbers")
        if entry.is_shared and not bool(xp.all(xp.any(entry.coefficient != 0, axis=-1))):
            raise ParameterError("a coefficient is 0 at all sites: leave that place out")
