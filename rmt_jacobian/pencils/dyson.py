r"""The Dyson equation of a pencil, solved over a grid of points.

Newton's method with the exact derivative, kept in the half plane where every self-energy
dissipates, follows the solution from far above the real axis down to the point asked for.  A
solution is accepted by what it is, not by the way it was reached.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rmt_jacobian.arrays import to_numpy
from rmt_jacobian.errors import ConvergenceError, ParameterError
from rmt_jacobian.pencils.pencil import Pencil
from rmt_jacobian.pencils.search import Search
from rmt_jacobian.pencils.self_energy import DysonEquation
from rmt_jacobian.pencils.shared.places import PlacesEquation, solve_places

__all__ = ["PencilSolution", "log_potential", "solve"]


@dataclass(frozen=True, eq=False)
class PencilSolution:
    r"""Self-energies and block averages of a pencil over a grid.

    All arrays are of the namespace of the pencil's sites.  Where the equation was not solved g,
    sigma and u are nan.

    Attributes
    ----------
    z
        The points, shape (points,).
    g
        :math:`g_b = \tau(G_{bb})`, shape (points, n); the imaginary part is not positive.
    sigma
        :math:`(\Sigma_r, \Sigma_c)` of every random entry, shape (points, entries, 2); where some W
        stands at n > 1 places one array for each entry, shape (points, 2, n, n); places that share
        their row, or their column, are one.
    u
        :math:`\Sigma_r g_r = \Sigma_c g_c`, shape (points, entries), or one array for each entry,
        shape (points, n, n).
    residual
        The largest residual, in units of the self-energy, shape (points,); that of the last
        attempt where the equation was not solved.
    converged
        Whether the solution is certified, shape (points,).
    iterations
        How often the equation was evaluated, shape (points,).
    """

    z: Any
    g: Any
    sigma: Any
    u: Any
    residual: Any
    converged: Any
    iterations: Any

    def unwrap(self) -> "PencilSolution":
        """Return the solution itself, or raise if some point is not solved.

        Raises
        ------
        ConvergenceError
            If any point is not certified.
        """
        converged = to_numpy(self.converged)
        if not np.all(converged):
            missing = to_numpy(self.z)[~converged]
            raise ConvergenceError(
                f"{len(missing)} of {len(converged)} points were not solved, the first at "
                f"z = {missing[0]:.6g}; raise Im z, or leave out points at atoms and edges"
            )
        return self


def solve(
    pencil: Pencil,
    z: Any,
    start: Any = None,
    *,
    tolerance: float = 1e-10,
    max_iterations: int = 30,
) -> PencilSolution:
    r"""Solve the Dyson equation of a pencil on the closed upper half plane.

    .. math::
        g_b = \Bigl\langle \bigl[ (L_0(z) - \Sigma)^{-1} \bigr]_{bb} \Bigr\rangle, \qquad
        \Sigma_{r_k} = \gamma_k(u_k) \, g_{c_k}, \qquad \Sigma_{c_k} = \gamma_k(u_k) \, g_{r_k},
        \qquad u_k = \Sigma_{r_k} g_{r_k}

    With a coefficient B the self-energy of a site is :math:`B^2 \Sigma_r`, and :math:`g_r` in
    the equations is the average of :math:`B^2 G_{rr}`.

    Parameters
    ----------
    pencil
        The pencil.
    z
        Points with :math:`\operatorname{Im} z \ge 0`: a number, or an array of shape (points,).
    start
        Self-energies from which Newton's method is tried first, as in :class:`PencilSolution`
        or one set for all points, shape (entries, 2); nan where there is none.
    tolerance
        Of the residual, in units of the self-energy.
    max_iterations
        Of Newton's method at one point and one height.

    Notes
    -----
    Assumes the hypotheses of :class:`Pencil`.  A solution is certified if its residual is small,
    no self-energy and no average is negative dissipation, and, where a self-energy is real on the
    axis, its derivative takes it into the lower half plane when z moves up: this tells the limit
    from above from the other real solutions.

    For Gaussian and Haar W the solution above the axis is unique, because the equations are then
    the fixed point of an analytic map of a product of half planes into itself; so a certified
    solution on the axis is the limit from above.  For other ensembles the branch is the one that
    is continued from large :math:`\operatorname{Im} z`, unless a start is given.  Where the
    solutions on the axis form a family, at the centre of a pencil with a chiral symmetry, the
    limit is extrapolated from small :math:`\operatorname{Im} z`, to about :math:`10^{-9}` inside
    the support.  Atoms, and points of the axis where a self-energy is infinite, are not solved.

    Raises
    ------
    ParameterError
        If a point lies below the real axis, or a shape does not fit.

    References
    ----------
    Helton, Rashidi Far & Speicher 2007 (existence and uniqueness in the semicircular case);
    Belinschi, Mai & Speicher 2017 (subordination as a fixed point in a half plane).

    Examples
    --------
    The quarter circle has density :math:`\sqrt{4 - x^2} / (2 \pi)`, symmetrised.

    >>> import numpy as np
    >>> from rmt_jacobian.pencils import GaussianWeights, RandomEntry
    >>> plain = Pencil(np.zeros((1, 2, 2)), [1, 1], [RandomEntry(0, 1, GaussianWeights(1.0))])
    >>> solution = solve(plain, [0.0, 1.0, 3.0]).unwrap()
    >>> np.round(abs(solution.g[:, 0].imag) / np.pi, 12)
    array([0.31830989, 0.27566445, 0.        ])

    The same W at two places, the square of a Gaussian W, symmetrised; two different ones have the
    same singular values.

    >>> constant = np.zeros((1, 4, 4))
    >>> constant[0, 1, 2] = constant[0, 2, 1] = 1
    >>> square = Pencil(constant, [1, 0, 0, 1], [RandomEntry((1, 3), (0, 2), GaussianWeights(1.0))])
    >>> found = solve(square, [1.0 + 0.5j]).unwrap()
    >>> found.sigma[0].shape, complex(found.g[0, 0].round(6))
    ((1, 2, 2, 2), (0.454063-0.568051j))
    """
    points = _points(pencil, z)
    if pencil.is_shared:
        if start is not None:
            raise ParameterError("a W at several places is solved from above: leave start out")
        return _shared_solution(pencil, points, tolerance)
    equation = DysonEquation(pencil, points)
    search = Search(equation, tolerance, max_iterations)
    if start is not None:
        search.try_from(_starts(pencil, start, len(equation.z)))
    search.descend()
    search.try_neighbours()
    search.accelerate()
    return _solution(search)


def log_potential(pencil: Pencil, solution: PencilSolution) -> Any:
    r"""Return the logarithmic potential of a pencil at the points of a solution.

    .. math::
        F = \Bigl\langle \log \lvert \det(L_0 - \Sigma) \rvert \Bigr\rangle
        + \sum_k \operatorname{Re} p_k(u_k), \qquad
        \frac{\partial F}{\partial \operatorname{Re} z}
        = \operatorname{Re} \sum_b S_{bb} \, g_b

    which is the limit of :math:`\tfrac{1}{N} \log \lvert \det L \rvert`.  The second formula is for
    a diagonal slope.  F is stationary in the self-energies: a small residual enters it squared.

    Parameters
    ----------
    pencil, solution
        A pencil and what :func:`solve` found for it.

    Returns
    -------
    array of shape (points,)
        Real; nan where the equation was not solved.

    Examples
    --------
    >>> import numpy as np
    >>> from rmt_jacobian.pencils import OrthogonalWeights, RandomEntry
    >>> plain = Pencil(np.zeros((1, 2, 2)), [1, 1], [RandomEntry(0, 1, OrthogonalWeights(1.0))])
    >>> F = log_potential(plain, solve(plain, 2j))
    >>> bool(np.isclose(F[0], np.log(abs((2j) ** 2 - 1))))
    True
    """
    solved = np.flatnonzero(to_numpy(solution.converged))
    if pencil.is_shared:
        return _shared_potential(pencil, solution, solved)
    u, sigma = to_numpy(solution.u)[solved], to_numpy(solution.sigma)[solved]
    total = np.zeros(len(solved))
    for k, entry in enumerate(pencil.entries):
        total += np.real(to_numpy(entry.ensemble.potential(u[:, k])))
    equation = DysonEquation(pencil, to_numpy(solution.z))
    z, sigma = equation.z[solved], sigma.reshape(len(solved), -1)
    for rows, matrix, sites in equation.site_matrices(z, sigma, solved):
        logarithm = pencil.xp.linalg.slogdet(matrix)[1]
        total[rows] += to_numpy(logarithm @ pencil.site_weights[sites])
    everywhere = np.full(len(equation.z), np.nan)
    everywhere[solved] = total
    return pencil.xp.asarray(everywhere)


def _shared_potential(pencil: Pencil, solution: PencilSolution, solved: np.ndarray) -> Any:
    z = to_numpy(solution.z)
    found = np.full(len(z), np.nan)
    for j in solved:
        constant = pencil.constant if pencil.points is None else pencil.constant[int(j), ...]
        equation = PlacesEquation(pencil, constant)
        groups = [each for entry in solution.sigma for each in to_numpy(entry)[j]]
        found[j] = equation.potential(complex(z[j]), equation.joined(groups))
    return pencil.xp.asarray(found)


def _points(pencil: Pencil, z: Any) -> np.ndarray:
    """Return the points as a complex array on the host, one for each constant."""
    points = np.atleast_1d(np.asarray(to_numpy(z), dtype=complex))
    count = pencil.points
    if points.ndim != 1 or (count is not None and len(points) not in (1, count)):
        wanted = "(points,)" if count is None else f"({count},) like the constant"
        raise ParameterError(f"z must be a number or have shape {wanted}, not {points.shape}")
    if not np.all(np.isfinite(points) & (np.imag(points) >= 0)):
        raise ParameterError("z must be finite with Im z >= 0: use G(conj z) = conj G(z) below")
    return points if count is None else np.broadcast_to(points, (count,))


def _starts(pencil: Pencil, start: Any, count: int) -> np.ndarray:
    """Return the self-energies to start from, shape (points, slots), Im <= 0."""
    given = np.asarray(to_numpy(start), dtype=complex)
    try:
        sigma = np.broadcast_to(given, (count, len(pencil.entries), 2)).reshape(count, -1)
    except ValueError:
        wanted = f"({len(pencil.entries)}, 2) or ({count}, {len(pencil.entries)}, 2)"
        raise ParameterError(f"start must have shape {wanted}, not {given.shape}") from None
    return np.real(sigma) + 1j * np.minimum(np.imag(sigma), 0)


def _shared_solution(pencil: Pencil, z: np.ndarray, tolerance: float) -> PencilSolution:
    found, sigma, u = solve_places(pencil, z, tolerance=tolerance), [], []
    for k in range(len(pencil.entries)):
        sigma.append(np.array([np.stack(each.groups[2 * k : 2 * k + 2]) for each in found]))
        u.append(np.array([each.products[k] for each in found]))
    columns = [np.array([getattr(each, name) for each in found])
               for name in ("residual", "converged", "sweeps")]  # fmt: skip
    asarray = pencil.xp.asarray
    return PencilSolution(
        asarray(z, copy=True),  # it may be read-only
        asarray(np.array([each.g for each in found])),
        tuple(map(asarray, sigma)),
        tuple(map(asarray, u)),
        *map(asarray, columns),
    )


def _solution(search: Search) -> PencilSolution:
    pencil, sigma = search.equation.pencil, search.sigma
    g = np.full((len(sigma), pencil.blocks), complex(np.nan, np.nan))
    solved = np.flatnonzero(search.solved)
    if len(solved):
        g[solved] = search.equation.block_averages(sigma[solved], solved)
    arrays = (
        search.equation.z,
        g,
        sigma.reshape(len(sigma), -1, 2),
        search.u,
        search.residual,
        search.solved,
        search.evaluations,
    )
    copies = (pencil.xp.asarray(array, copy=True) for array in arrays)  # some are read-only
    return PencilSolution(*copies)
