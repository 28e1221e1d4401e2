r"""The limiting law of the eigenvalues of the Jacobian of one step, for any cell."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rmt_jacobian.arrays import array_namespace, to_numpy
from rmt_jacobian.counts import check_counts
from rmt_jacobian.eigenvalues.level import zero_crossings
from rmt_jacobian.eigenvalues.sites import Block, SiteProblem, TermValues
from rmt_jacobian.eigenvalues.solver import response, solve_block
from rmt_jacobian.eigenvalues.support import Support, chunks
from rmt_jacobian.errors import ConvergenceError, ParameterError
from rmt_jacobian.laws.manners import Drawn, html_table

__all__ = ["EigenvalueLaw", "EigenvalueSolution"]

_ATOM_RADII = (1e-5, 1e-6)  # relative, of the circles on which the mass of an atom is read off
_LIGHTEST = 1e-3  # mass of an atom that is looked for
_SAME = 1e-9  # distance of eigenvalues of sites that are one
_ARC, _LONGEST_ARC = 64, 8192  # points of contours


@dataclass(frozen=True, eq=False)
class EigenvalueSolution:
    r"""The law at points, with the record of the solver.

    Attributes
    ----------
    lam
        The points, shape (points,).
    inside
        Whether each lies in the support.
    converged, residual, iterations
        Of Newton's method; points outside need none.
    resolvent
        :math:`\tau((\lambda - J)^{-1})`; nan where not converged.
    density
        Of eigenvalues, without atoms; nan where not converged.
    """

    lam: np.ndarray
    inside: np.ndarray
    converged: np.ndarray
    residual: np.ndarray
    iterations: np.ndarray
    resolvent: np.ndarray
    density: np.ndarray

    def unwrap(self) -> "EigenvalueSolution":
        """Return the solution, or raise :class:`ConvergenceError` if some points have none."""
        if not self.converged.all():
            bad = np.flatnonzero(~self.converged)
            raise ConvergenceError(
                f"no solution at {len(bad)} of {len(self.lam)} points, the first of them "
                f"{self.lam[bad[0]]:.6g} (residual {self.residual[bad[0]]:.2g}): use more sites, "
                "or solve() for the points that have one"
            )
        return self


@dataclass(frozen=True, eq=False, repr=False)
class EigenvalueLaw(Drawn):
    r"""The law of the dN eigenvalues of :math:`J`, of total mass 1 (the Brown measure).

    Parameters
    ----------
    problem
        The eigenvalue problem on given sites.
    grain
        Least number of sites in a component of the support that is a trait of the law: smaller
        ones are left out of :meth:`boundary` and of the spectral radius, though not of the density.
    title
        Of what, in a few words.

    Notes
    -----
    Assumes bi-invariant W, independent of one another and free from the diagonals; N -> infinity.
    The law is symmetric about the real axis.
    """

    problem: SiteProblem
    grain: int = 8
    title: str = ""

    @cached_property
    def _support(self) -> Support:
        """The support and the phases outside of it."""
        return Support(self.problem, self.grain)

    def support(self) -> list[np.ndarray]:
        """Return the closed curves that bound the support, those of :meth:`boundary`."""
        return self.boundary()

    def solve(self, lam: ArrayLike) -> EigenvalueSolution:
        """Solve at points of the plane, of any shape; the result is flat."""
        points = np.asarray(lam, dtype=complex).ravel()
        below = np.imag(points) < 0
        upper = np.where(below, np.conj(points), points)
        pieces = [self._solve(piece) for piece in chunks(upper, 2 * self.problem.weights.shape[0])]
        names = ("inside", "converged", "residual", "iterations", "resolvent", "density")
        found = {name: _joined([piece[name] for piece in pieces]) for name in names}
        found["resolvent"] = np.where(below, np.conj(found["resolvent"]), found["resolvent"])
        return EigenvalueSolution(points, **found)

    def resolvent(self, lam: ArrayLike) -> Any:
        r"""Return :math:`\tau((\lambda - J)^{-1})`, normalised to :math:`1 / \lambda` at infinity.

        It is infinite at an atom.

        Raises
        ------
        ConvergenceError
            If some point has no solution.
        """
        return self.solve(lam).unwrap().resolvent.reshape(np.shape(lam))[()]

    def density(self, lam: ArrayLike) -> Any:
        r"""Return the density, :math:`\pi^{-1} \, d \tau((\lambda - J)^{-1}) / d \bar \lambda`.

        Raises
        ------
        ConvergenceError
            If some point has no solution.
        """
        return self.solve(lam).unwrap().density.reshape(np.shape(lam))[()]

    def density_map(self, re: ArrayLike, im: ArrayLike) -> np.ndarray:
        """Return the density on a grid, shape (re, im); nan where the solver did not converge.

        Points that are mirror images in the real axis are solved once.
        """
        x, y = np.asarray(re, dtype=float), np.asarray(im, dtype=float)
        heights, places = np.unique(np.abs(y), return_inverse=True)
        density = self.solve(x[:, None] + 1j * heights[None, :]).density
        return density.reshape(len(x), len(heights))[:, places]

    def boundary(self, points: int = 200, *, detail: float = 1.0) -> list[np.ndarray]:
        """Return the closed curves that bound the support.

        Outer curves run counterclockwise and come first, the largest in front; those around holes
        run clockwise.  The first point is repeated at the end.

        Parameters
        ----------
        points
            About how many points each curve has.
        detail
            Of the grid on which curves are looked for.  Parts of the support away from the real
            axis that are thinner than a thirtieth of its radius need more than 1.
        """
        check_counts(points=points)
        return self._support.curves(points, detail)

    @cached_property
    def spectral_radius(self) -> float:
        """The largest modulus of the support and of the atoms."""
        curves = self._support.curves()
        furthest = max((abs(complex(x, y)) for x, y, _ in self.atoms()), default=0.0)
        if not curves:
            return furthest
        ends = [curve[np.argmax(np.abs(curve))] for curve in curves]
        return max(furthest, self._furthest(max(ends, key=abs)))

    def atoms(self) -> tuple[tuple[float, float, float], ...]:
        r"""Return the eigenvalues of positive mass, as (re, im, mass).

        Candidates are 0 and the eigenvalues that many site matrices A share.  The mass of one is
        :math:`\lim (\lambda - \lambda_0) \, \tau((\lambda - J)^{-1})`, averaged over a small
        circle; it counts where a ten times larger circle agrees.
        """
        return self._atoms

    @cached_property
    def _atoms(self) -> tuple[tuple[float, float, float], ...]:
        candidates = np.array(_shared(self.problem))
        scale = self._support.radius if self.problem.blocks else 1.0
        outer, inner = (self._masses(candidates, scale * share) for share in _ATOM_RADII)
        heavy = (inner > _LIGHTEST) & (np.abs(outer - inner) < 0.01 * inner)
        return tuple(
            (float(location.real), float(location.imag), float(mass))
            for location, mass in zip(candidates[heavy], inner[heavy], strict=True)
        )

    def __repr__(self) -> str:
        """Say in one line of what the law is."""
        of = f" of {self.title}" if self.title else ""
        return f"<eigenvalues of one step{of} on {self.problem.weights.shape[0]} sites>"

    def _repr_html_(self) -> str:
        if "spectral_radius" not in self.__dict__:  # showing a law is no reason to solve for it
            return f"<pre>{escape(repr(self))}</pre>"
        rows = [("spectral radius", f"{self.spectral_radius:.6g}")]
        rows += [(f"atom at {complex(re, im):.6g}", f"mass {mass:.6g}")
                 for re, im, mass in self.atoms()]  # fmt: skip
        return html_table(repr(self), rows)

    def inside(
        self, disks: Sequence[tuple[float, float, float]], *, tolerance: float = 1e-4
    ) -> np.ndarray:
        r"""Return the fraction of eigenvalues within disks, atoms included.

        .. math:: \frac{1}{2 \pi i} \oint \tau((\lambda - J)^{-1}) \, d\lambda

        Parameters
        ----------
        disks
            Centre and radius of each, as (re, im, r).
        tolerance
            Change at which the number of points on a contour is no longer doubled.

        Raises
        ------
        ConvergenceError
            If a contour would need too many points, as one through an atom does.
        """
        return np.array([self._within(complex(x, y), r, tolerance) for x, y, r in disks])

    def _within(self, centre: complex, radius: float, tolerance: float) -> float:
        if not radius > 0:
            raise ParameterError(f"the radius of a disk must be positive, not {radius}")
        # Half of a circle about a real centre is enough.
        full = 1.0 if centre.imag else 0.5
        count, last = _ARC, np.inf
        while count <= _LONGEST_ARC:
            angles = 2 * np.pi * full * (np.arange(count) + 0.5) / count
            arrow = radius * np.exp(1j * angles)
            total = float(np.real(self.resolvent(centre + arrow) * arrow).mean())
            if abs(total - last) < tolerance:
                return total
            last, count = total, 2 * count
        raise ConvergenceError(
            f"the contour around {centre:.4g} of radius {radius:g} needs more than {_LONGEST_ARC} "
            "points: move it off atoms, or allow a larger tolerance"
        )

    def _masses(self, locations: np.ndarray, radius: float) -> np.ndarray:
        arrow = radius * np.exp(2j * np.pi * (np.arange(12) + 0.5) / 12)
        return np.real(self.resolvent(locations[:, None] + arrow) * arrow).mean(axis=1)

    def _furthest(self, point: complex) -> float:
        """Return the largest modulus of the boundary near one of its points, by a fan of rays."""
        best, angle, width = float(abs(point)), float(np.angle(point)), 0.05
        for _ in range(4):
            rays = np.exp(1j * (angle + width * np.linspace(-1, 1, 9)))
            low, high = 0.98 * best * rays, 1.02 * best * rays
            crossed = (self._outer(low) > 0) & (self._outer(high) < 0)
            if not crossed.any():
                break
            ends = zero_crossings(self._outer, low[crossed], high[crossed])
            furthest = int(np.argmax(np.abs(ends)))
            best = max(best, float(np.abs(ends[furthest])))
            angle, width = float(np.angle(ends[furthest])), width / 4
        return best

    def _outer(self, lam: np.ndarray) -> np.ndarray:
        """Return a function that is negative where all W are small, as it is far away."""
        each = [self._support.log_radius(k, 0, lam) for k in range(len(self.problem.blocks))]
        return np.max(each, axis=0)

    def _solve(self, lam: np.ndarray) -> dict[str, np.ndarray]:
        weights, d = self.problem.weights, self.problem.states
        points = len(lam)
        found = {
            "inside": np.zeros(points, dtype=bool),
            "converged": np.ones(points, dtype=bool),
            "residual": np.zeros(points),
            "iterations": np.zeros(points, dtype=int),
        }
        resolvent, density = np.zeros(points, dtype=complex), np.zeros(points)
        levels = self._support.levels(lam) if self.problem.blocks else []
        for k, (block, (least, which)) in enumerate(zip(self.problem.blocks, levels, strict=True)):
            within = least > 0
            for n, phase in enumerate(self._support.phases[k]):
                ruled = np.flatnonzero(~within & (which == n))
                resolvent[ruled] += _ruled(block, phase.ruling, lam[ruled], weights)
            (held,) = np.nonzero(within)
            if held.size:
                each, slope = self._inside(k, lam[held], which[held], found, held)
                resolvent[held] += each
                density[held] += slope
            found["inside"] |= within
            with np.errstate(divide="ignore", invalid="ignore"):
                resolvent += block.common_power / lam if block.common_power else 0.0
        # Each block but the first has det(lambda - A) once too often.
        surplus = len(self.problem.blocks) - 1
        if surplus:
            resolvent -= surplus * _logarithmic_slope(self.problem, lam)
        # At an atom the resolvent has a pole.
        finite = np.isfinite(resolvent)
        resolvent = np.where(finite, np.where(finite, resolvent, 0) / d, np.inf)
        bad = ~found["converged"]
        found["resolvent"] = np.where(bad, np.nan, resolvent)
        found["density"] = np.where(bad, np.nan, density / (np.pi * d))
        return found

    def _inside(
        self,
        k: int,
        lam: np.ndarray,
        nearest: np.ndarray,
        found: dict[str, np.ndarray],
        held: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        block, weights = self.problem.blocks[k], self.problem.weights
        on_device = array_namespace(weights).asarray(lam)
        terms = block.terms(on_device)
        starts = self._starts(k, TermValues(block, on_device), nearest)
        solution = solve_block(block, terms, weights, starts)
        found["converged"][held] &= solution.converged
        found["residual"][held] = np.maximum(found["residual"][held], solution.residual)
        found["iterations"][held] += solution.iterations
        with np.errstate(all="ignore"):
            return response(block, on_device, terms, weights, solution.logs)

    def _starts(self, k: int, values: TermValues, nearest: np.ndarray) -> Iterator[np.ndarray]:
        """Yield first guesses: from the phase that is least unstable, then from each of them."""
        block, weights = self.problem.blocks[k], self.problem.weights
        guesses = {
            n: self._support.phases[k][n].start(block, values, weights)
            for n in np.unique(nearest).tolist()
        }
        first = np.empty_like(next(iter(guesses.values())))
        for n, guess in guesses.items():
            first[nearest == n] = guess[nearest == n]
        yield first
        for phase in self._support.phases[k]:
            yield phase.start(block, values, weights)


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays) if arrays else np.zeros(0)


def _ruled(block: Block, ruling: int, lam: np.ndarray, weights: Any) -> np.ndarray:
    r"""Return the mean of :math:`q' / q` where one monomial rules."""
    if not lam.size:
        return np.zeros(0, dtype=complex)
    xp = array_namespace(weights)
    column = xp.asarray(lam)[:, None]
    (square,) = block.monomials[ruling]
    first, _ = square.slope(column)
    with np.errstate(divide="ignore", invalid="ignore"):
        return to_numpy(xp.sum(weights * first / square.value(column), axis=1)) + 0j


def _logarithmic_slope(problem: SiteProblem, lam: np.ndarray) -> np.ndarray:
    xp = array_namespace(problem.weights)
    column = xp.asarray(lam)[:, None]
    first, _ = problem.determinant.slope(column)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = problem.weights / problem.determinant.value(column)
        return to_numpy(xp.sum(first * share, axis=1))


def _shared(problem: SiteProblem) -> list[complex]:
    """Return 0 and the eigenvalues that the matrices A of many sites share."""
    own = problem.own_eigenvalues
    flat = np.round(own.ravel() / _SAME) * _SAME + 0.0
    shares = np.repeat(to_numpy(problem.weights), own.shape[1]) / own.shape[1]
    values, places = np.unique(flat.astype(complex), return_inverse=True)
    mass, sharing = np.bincount(places, shares), np.bincount(places)
    # One of many sites is no atom: it stands for a law that is spread out.
    kept = values[(mass > _LIGHTEST) & (sharing > 0.02 * len(own))]
    return [*kept.tolist()] if (np.abs(kept) < _SAME).any() else [0j, *kept.tolist()]
