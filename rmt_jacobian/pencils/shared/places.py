r"""The Dyson equation of a general pencil in which one W may stand at several places.

With rows :math:`r_1, \ldots, r_n` and columns :math:`c_1, \ldots, c_n` of the same W, and B_s at
its places, the self-energies are symmetric n x n matrices,

.. math::
    (\Sigma_i)_{r_s r_t} = B_s B_t (\Sigma_r)_{st}, \quad (\Sigma_i)_{c_s c_t} = (\Sigma_c)_{st},
    \qquad (g_r)_{st} = \langle B_s B_t (G_i)_{r_s r_t} \rangle, \quad
    (g_c)_{st} = \langle (G_i)_{c_s c_t} \rangle,

with :math:`\Sigma_r = \gamma(U)\, g_c`, :math:`\Sigma_c = g_r \gamma(U)` and
:math:`U = \Sigma_r g_r`.  Chains of steps have an engine of their own, :class:`.SharedChain`, which
knows that a site matrix is banded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from rmt_jacobian.arrays import to_numpy
from rmt_jacobian.pencils.ensembles import GaussianWeights, OrthogonalWeights
from rmt_jacobian.pencils.pencil import Pencil, RandomEntry
from rmt_jacobian.pencils.shared.half_space import (
    Found,
    Linearised,
    balanced,
    certified,
    iterated,
)
from rmt_jacobian.pencils.shared.matrices import (
    multiplicities,
    packed,
    packed_count,
    paired,
    sizes,
    symmetric,
    unpacked,
)

__all__ = ["PlacesEquation", "SolvedPoint", "solve_places"]

_ABOVE = (1, 10, 100, 1000)  # heights to begin at; those of Haar matrices may have to be large
_FIRST = 0.1  # of the height, the first step down to a point
_LOWEST = 1e-10  # of it; from there the next step is to the axis
_SMALLEST_STEP = 0.9  # a ratio of heights above which a point is given up
_ROUNDS = 60  # of the way down
_DAMPED = 40  # iterations far above the axis, where Newton's method finds no way
_STALLED = 1e-8  # a step that rounding does not let get shorter
_CHUNK_BYTES = 2**22  # of one array of site matrices


def _places(entry: RandomEntry, blocks: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return rows and columns of every place, those with the coefficient; (sites or 1, blocks)."""
    units = np.eye(blocks)[:, None, :]
    rows = [units[row] for row in entry.rows]
    if entry.coefficient is not None:
        B = to_numpy(entry.coefficient).reshape(entry.places, -1)
        rows = [unit * each[:, None] for unit, each in zip(rows, B, strict=True)]
    return rows, [units[column] for column in entry.columns]


def _merged(
    rows: list[np.ndarray], columns: list[np.ndarray]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the places of which no two have the same column, and no two the same row."""
    for _ in range(2):  # columns, then rows
        alike: dict[bytes, list[int]] = {}
        for place, column in enumerate(columns):
            alike.setdefault(column.tobytes(), []).append(place)
        first = [group[0] for group in alike.values()]
        summed = [np.sum([rows[place] for place in group], axis=0) for group in alike.values()]
        rows, columns = [columns[place] for place in first], summed  # the others' turn
    return rows, columns


@dataclass(frozen=True, eq=False)
class PlacesEquation:
    """The Dyson equation of a pencil, with matrices for what stands at several places.

    Self-energies are held as vectors: for every entry the upper triangles of the matrices of its
    rows and of its columns.

    Attributes
    ----------
    pencil
        The pencil; its constant is real.
    constant
        That of one point, shape (sites, blocks, blocks).
    """

    pencil: Pencil
    constant: Any

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """The places of every group: rows and columns of entry 0, of entry 1, and so on."""
        return tuple(int(each.shape[-1]) for each in self.selections)

    @cached_property
    def _cuts(self) -> list[slice]:
        ends = np.concatenate([[0], np.cumsum([packed_count(n) for n in self.counts])])
        return [slice(int(a), int(b)) for a, b in pairwise(ends)]

    @cached_property
    def selections(self) -> list[Any]:
        """What takes every group out of the blocks, shape (sites or 1, blocks, n).

        Places that differ in their rows alone, or in their columns alone, are one: W multiplies the
        same thing, and what it gives goes to several rows; or a sum.
        """
        xp, found = self.pencil.xp, []
        for entry in self.pencil.entries:
            rows, columns = _merged(*_places(entry, self.pencil.blocks))
            found += [xp.asarray(np.stack(each, axis=-1)) for each in (rows, columns)]
        return found

    def groups(self, sigma: np.ndarray) -> list[np.ndarray]:
        """Return the matrices of a vector, one for each group, shape (n, n)."""
        return [unpacked(sigma[at], n) for at, n in zip(self._cuts, self.counts, strict=True)]

    def joined(self, groups: Sequence[np.ndarray]) -> np.ndarray:
        """Return the vector of such matrices."""
        return np.concatenate([packed(symmetric(each)) for each in groups])

    def start(self) -> np.ndarray:
        """Return self-energies to start from, far above the axis."""
        scales = zip(self.counts, self.pencil.scales, strict=True)
        return self.joined([-1j * size * np.eye(n) for n, size in scales])

    def block_averages(self, z: complex, sigma: np.ndarray) -> np.ndarray:
        """Return the averages of the diagonal blocks of G, shape (blocks,)."""
        xp, total = self.pencil.xp, np.zeros(self.pencil.blocks, dtype=complex)
        for sites, matrix in self.site_matrices(z, sigma):
            G, p = xp.linalg.inv(matrix), self.pencil.site_weights[sites]
            total += np.array([complex(xp.sum(p * G[:, b, b])) for b in range(self.pencil.blocks)])
        return total

    def products(self, z: complex, sigma: np.ndarray) -> list[np.ndarray]:
        r"""Return :math:`U = \Sigma_r g_r` of every entry, shape (n, n)."""
        g, groups = self._averages(z, sigma)[0], self.groups(sigma)
        return [groups[a] @ g[a] for a in range(0, len(groups), 2)]

    def potential(self, z: complex, sigma: np.ndarray) -> float:
        """Return the real logarithmic potential at a solution."""
        xp, total = self.pencil.xp, 0.0
        for entry, u in zip(self.pencil.entries, self.products(z, sigma), strict=True):
            values = entry.ensemble.potential(np.linalg.eigvals(u))
            total += float(np.sum(np.real(to_numpy(values))))
        for sites, matrix in self.site_matrices(z, sigma):
            logarithm = xp.linalg.slogdet(matrix)[1]
            total += float(xp.sum(self.pencil.site_weights[sites] * logarithm))
        return total

    def site_matrices(self, z: complex, sigma: np.ndarray) -> Any:
        r"""Yield :math:`L_{0,i} - \Sigma_i`, a portion of the sites at a time."""
        xp, n, count = self.pencil.xp, self.pencil.blocks, self.pencil.sites
        share = max(1, _CHUNK_BYTES // (16 * n * n))
        linear = xp.asarray(z * self.pencil.slope)[None, :, :]
        groups = [xp.asarray(each) for each in self.groups(sigma)]
        for first in range(0, count, share):
            sites = slice(first, min(first + share, count))
            matrix = linear + self.constant[sites, :, :]
            for E, S in zip(self._selected(sites), groups, strict=True):
                matrix = matrix - E @ S @ xp.matrix_transpose(E)
            yield sites, matrix

    def _selected(self, sites: slice) -> list[Any]:
        xp = self.pencil.xp
        parts = (each[sites, :, :] if each.shape[0] > 1 else each for each in self.selections)
        return [xp.astype(each, xp.complex128) for each in parts]

    def linearised(self, s: complex, sigma: np.ndarray) -> Linearised:
        """Return the equation at one point; nan where a matrix is singular."""
        try:
            return self._linearised(s, sigma)
        except np.linalg.LinAlgError:
            lost = np.full(len(sigma), complex(np.nan))
            return Linearised(lost, np.diag(lost), lost, lost)

    def _linearised(self, z: complex, sigma: np.ndarray) -> Linearised:
        g, matrix, by_z = self._averages(z, sigma)
        groups, rows = self.groups(sigma), np.arange(len(sigma))
        parts = [
            (
                entry.ensemble, rows[self._cuts[2 * k].start : self._cuts[2 * k + 1].stop],
                groups[2 * k : 2 * k + 2], g[2 * k : 2 * k + 2],
            )
            for k, entry in enumerate(self.pencil.entries)
        ]  # fmt: skip
        unit = np.real(np.concatenate([packed(sizes(each)) for each in groups]))
        return Linearised(*balanced(parts, sigma, matrix, by_z), unit)

    def _averages(
        self, z: complex, sigma: np.ndarray
    ) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        """Return g of every group, and the derivatives in the self-energies and in z."""
        xp, counts, slope = self.pencil.xp, self.counts, self.pencil.slope
        g = [np.zeros((n, n), dtype=complex) for n in counts]
        drift = [np.zeros((n, n), dtype=complex) for n in counts]
        table = {
            (a, b): np.zeros((n * m, n * m), dtype=complex)
            for a, n in enumerate(counts)
            for b, m in enumerate(counts)
            if a <= b
        }
        linear = xp.asarray(slope.astype(complex))
        for sites, matrix in self.site_matrices(z, sigma):
            p, selected = self.pencil.site_weights[sites], self._selected(sites)
            G = xp.linalg.inv(matrix)
            arms = [G @ E for E in selected]
            for a, E in enumerate(selected):
                left = xp.matrix_transpose(E)
                g[a] += to_numpy(xp.sum(p[:, None, None] * (left @ arms[a]), axis=0))
                turned = xp.matrix_transpose(arms[a]) @ linear @ arms[a]
                drift[a] -= to_numpy(xp.sum(p[:, None, None] * turned, axis=0))
                for b in range(a, len(counts)):
                    flat = xp.reshape(left @ arms[b], (arms[b].shape[0], counts[a] * counts[b]))
                    table[a, b] += to_numpy(xp.matrix_transpose(p[:, None] * flat) @ flat)
        return [symmetric(each) for each in g], self._slopes(table), self.joined(drift)

    def _slopes(self, table: dict[tuple[int, int], np.ndarray]) -> np.ndarray:
        size = self._cuts[-1].stop
        found = np.zeros((size, size), dtype=complex)
        for (a, b), products in table.items():
            block = paired(products, self.counts[a], self.counts[b])
            found[self._cuts[a], self._cuts[b]] = block * multiplicities(self.counts[b])
            found[self._cuts[b], self._cuts[a]] = block.T * multiplicities(self.counts[a])
        return found


@dataclass(frozen=True, eq=False)
class SolvedPoint:
    """The self-energies at one point, and whether they are an answer.

    Attributes
    ----------
    groups
        The matrices of rows and columns of every entry; nan where the equation was not solved.
    products
        U of every entry, shape (n, n).
    g
        The averages of the diagonal blocks, shape (blocks,).
    residual
        The largest entry of the gap, in units of the self-energies.
    converged
        Whether the solution is certified.
    sweeps
        How often the equation was evaluated.
    """

    groups: list[np.ndarray]
    products: list[np.ndarray]
    g: np.ndarray
    residual: float
    converged: bool
    sweeps: int


def solve_places(pencil: Pencil, z: np.ndarray, *, tolerance: float) -> list[SolvedPoint]:
    """Solve the Dyson equation of a pencil with W at several places, point by point.

    A point is tried from the one before it and else from far above the axis down.

    Parameters
    ----------
    pencil
        The pencil.
    z
        Points in the closed upper half plane, shape (points,).
    tolerance
        Of the last step, in units of the self-energies.
    """
    unique = all(
        isinstance(entry.ensemble, GaussianWeights | OrthogonalWeights) for entry in pencil.entries
    )
    found, before = [], None
    for j, point in enumerate(z):
        constant = pencil.constant if pencil.points is None else pencil.constant[j, ...]
        descent = _Descent(PlacesEquation(pencil, constant), complex(point), tolerance)
        solved = descent.run(before if unique else None)
        found.append(descent.point(solved))
        before = None if solved is None else (complex(point), solved)
    return found


class _Descent:
    """The search for a certified solution at one point."""

    def __init__(self, equation: PlacesEquation, target: complex, tolerance: float) -> None:
        self.equation, self.target, self.tolerance = equation, target, tolerance
        self.sweeps, self.residual = 0, np.inf

    def run(self, before: tuple[complex, Found] | None) -> Found | None:
        """Return the solution; None where there is none."""
        with np.errstate(all="ignore"):  # iterates far off overflow, and are rejected
            if before is not None:
                near, at = before
                found = self._tried(self.target, self._moved(at, self.target - near))
                if found is not None:
                    return found
            return self._from_above()

    def point(self, solved: Found | None) -> SolvedPoint:
        """Return what was found in the form that a user gets."""
        equation = self.equation
        if solved is None:
            empty = np.full(len(equation.start()), complex(np.nan, np.nan))
            groups, g = equation.groups(empty), np.full(equation.pencil.blocks, empty[0])
            return SolvedPoint(groups, groups[::2], g, self.residual, False, self.sweeps)
        groups, g = (
            equation.groups(solved.sigma),
            equation.block_averages(self.target, solved.sigma),
        )
        products = equation.products(self.target, solved.sigma)
        return SolvedPoint(groups, products, g, solved.residual, True, self.sweeps)

    def _tried(self, z: complex, start: np.ndarray) -> Found | None:
        found = iterated(self.equation, z, start, self.tolerance, max_sweeps=25)
        self.sweeps, self.residual = self.sweeps + found.sweeps, found.residual
        if not found.length <= max(self.tolerance, _STALLED):
            return None
        return found if certified(self.equation, z, found)[0] else None

    def _moved(self, at: Found, step: complex) -> np.ndarray:
        """Return self-energies a step further, to first order."""
        drift = at.at.drift()
        return at.sigma + step * drift if np.all(np.isfinite(drift)) else at.sigma

    def _from_above(self) -> Found | None:
        top, z, here = self.equation.pencil.height, self.target, None
        height, ratio = max(z.imag, top), _FIRST
        for above in _ABOVE:
            height = max(z.imag, above * top)
            here = self._begun(complex(z.real, height))
            if here is not None:
                break
        for _ in range(_ROUNDS):
            if here is None or height == z.imag:
                return here
            lower = height * ratio
            lower = max(0.0 if lower < _LOWEST * top else lower, z.imag)
            start = self._moved(here, 1j * (lower - height)) if lower > height / 2 else here.sigma
            found = self._tried(complex(z.real, lower), start)
            if found is None:
                ratio = max(np.sqrt(ratio), 0.1)
                if ratio > _SMALLEST_STEP:
                    return None
            else:
                here, height, ratio = found, lower, ratio**1.5
        return None

    def _begun(self, z: complex) -> Found | None:
        sigma = self.equation.start()
        found = self._tried(z, sigma)
        if found is not None:
            return found
        for _ in range(_DAMPED):
            sigma = sigma + self.equation.linearised(z, sigma).gap / 2
            self.sweeps += 1
        return self._tried(z, sigma) if np.all(np.isfinite(sigma)) else None
