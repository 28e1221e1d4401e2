r"""Solutions of a chain without a starting point, followed from far up the imaginary axis.

For large :math:`\lvert s \rvert` the self-energies are small and known.  From there the solution is
followed down the imaginary axis, where it is purely imaginary, to the modulus of every spectral
point, and then around to the point itself.
"""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from array_api_compat import is_numpy_array
from threadpoolctl import threadpool_limits

from rmt_jacobian.arrays import array_namespace
from rmt_jacobian.errors import ConvergenceError
from rmt_jacobian.pencils.chain_newton import TOLERANCE, ChainSolution, newton
from rmt_jacobian.pencils.chain_protocol import Chain

__all__ = ["descend", "follow", "solve_chain"]

_LOOSE = 1e-4  # relative error along the way
_FIRST, _LEAST, _GROWTH = 0.25, 1e-8, 2.0  # shares of a path
_EASY = 6  # sweeps; a step that needs no more is followed by a longer one


def follow(
    chain: Chain, start: ChainSolution, target: Any, *, tolerance: float = TOLERANCE
) -> ChainSolution:
    r"""Follow a solution along :math:`s = s_0 (s_1 / s_0)^t`, 0 <= t <= 1, in steps that succeed.

    Parameters
    ----------
    chain
        The equation.
    start
        Solutions at s_0.
    target
        s_1, of the same shape.
    tolerance
        Bound on the relative residual at the end.
    """
    xp = array_namespace(target)
    origin, done, stride = start.s, 0.0, _FIRST
    whole = xp.log(target) - xp.log(origin)
    here, before, sweeps = start, None, start.sweeps
    while done < 1:
        there = min(1.0, done + stride)
        last = there == 1.0
        s = target if last else origin * xp.exp(there * whole)
        guess = here.sigma if before is None else _predicted(before, (done, here.sigma), there)
        found = newton(chain, s, guess, tolerance=tolerance if last else _LOOSE)
        sweeps += found.sweeps
        if bool(xp.all(found.converged)):
            before, here, done = (done, here.sigma), found, there
            stride *= _GROWTH if found.sweeps <= _EASY else 1.0
        elif stride > _LEAST:
            stride, before = stride / 4, None
        else:
            break
    if done < 1:
        failed = xp.zeros(target.shape, dtype=xp.bool)
        here = replace(
            here, s=target, converged=failed, residual=xp.full_like(here.residual, xp.inf)
        )
    return replace(here, sweeps=sweeps)


def _predicted(before: tuple[float, Any], now: tuple[float, Any], t: float) -> Any:
    """Extrapolate the logarithm of the self-energies along the path."""
    (t_0, sigma_0), (t_1, sigma_1) = before, now
    xp = array_namespace(sigma_1)
    moves = (sigma_0 != 0) & (sigma_1 != 0)
    ratio = xp.where(moves, sigma_1 / xp.where(moves, sigma_0, xp.ones_like(sigma_0)), 1.0 + 0j)
    guess = sigma_1 * xp.exp((t - t_1) / (t_1 - t_0) * xp.log(ratio))
    return xp.real(guess) + 1j * xp.where(xp.imag(guess) < 0, xp.imag(guess), xp.imag(sigma_1))


def descend(
    chain: Chain, *, least: float, unresolved: float, ratio: float = 10.0
) -> list[ChainSolution]:
    r"""Follow the solution down the imaginary axis, where it is purely imaginary.

    Parameters
    ----------
    chain
        The equation.
    least
        The least modulus.
    unresolved
        The descent also ends where :math:`\tau(m^2 / (m^2 + J J^T))` is this close to the mass
        at 0.
    ratio
        Of the first neighbouring moduli; later steps are as long as they can be.

    Returns
    -------
    list of ChainSolution
        One point each, at falling moduli m.

    Raises
    ------
    ConvergenceError
        If the descent stops short.
    """
    xp, lost = chain.namespace, chain.lost

    def solved(position: float, start: Any, **settings: Any) -> ChainSolution:
        s = xp.full((1,), 1j * math.exp(position), dtype=xp.complex128)
        return newton(chain, s, start, tolerance=_LOOSE, **settings)

    position, stride = math.log(_far(chain)), math.log(ratio)
    far = xp.full((1,), 1j * math.exp(position), dtype=xp.complex128)
    here = solved(position, chain.leading(far), max_sweeps=200)
    rungs, before = [here], None
    while position > math.log(least):
        there = max(math.log(least), position - stride)
        now = (position, here.sigma)
        found = solved(there, here.sigma if before is None else _predicted(before, now, there))
        if not bool(found.converged[0]):
            stride, before = stride / 4, None
            if stride < _LEAST:
                raise ConvergenceError(
                    f"the Dyson equation was not solved at s = {math.exp(there):.3g}i: "
                    "use other sites"
                )
            continue
        stride *= _GROWTH if found.sweeps <= _EASY else 1.0
        before, here, position = now, found, there
        rungs.append(here)
        share = -math.exp(position) * float(xp.imag(here.symmetric[0]))
        if share - lost < unresolved:
            break
    return rungs


def _from_ladder(chain: Chain, s: Any, ladder: list[ChainSolution]) -> ChainSolution:
    """Solve cold: from the nearest rung to the modulus of each point, then around to it."""
    xp = array_namespace(s)
    moduli = [math.log(float(xp.abs(rung.s[0]))) for rung in ladder]
    parts = []
    for j in range(s.shape[0]):
        modulus = float(xp.abs(s[j]))
        near = min(range(len(ladder)), key=lambda k: abs(moduli[k] - math.log(modulus)))
        above = xp.full((1,), modulus * 1j, dtype=s.dtype)
        raised = follow(chain, ladder[near], above, tolerance=_LOOSE)
        parts.append(follow(chain, raised, s[j : j + 1]))
    return _joined(s, parts)


def _far(chain: Chain) -> float:
    """Return a modulus beyond the support of all factors together."""
    return 10 * chain.reach


def solve_chain(
    chain: Chain,
    s: Any,
    start: Any = None,
    *,
    ladder: list[ChainSolution] | None = None,
    chunk: int = 2,
    workers: int | None = None,
) -> ChainSolution:
    r"""Solve the Dyson equation of a chain at many spectral points.

    Parameters
    ----------
    chain
        The equation.
    s
        Complex points in the closed upper half plane, not 0; shape (points,).
    start
        Self-energies to start from, shape (points, blocks); points at which they do not lead to a
        certified solution, or all if there are none, are solved from the imaginary axis.
    ladder
        Solutions on the imaginary axis, from :func:`descend`; made if needed.
    chunk
        How many points are solved together.
    workers
        How many chunks are solved at a time; by default one for each core, and one on a GPU.

    Examples
    --------
    >>> import numpy as np
    >>> from rmt_jacobian.pencils import GaussianWeights, ProductChain, SiteHistory
    >>> sites = SiteHistory.of(np.zeros((1, 1)), np.ones((1, 1)))
    >>> chain = ProductChain(sites, GaussianWeights(1.0))
    >>> found = solve_chain(chain, np.array([1.0 + 0j]))
    >>> complex(found.cauchy[0].round(10))  # quarter circle, (s - sqrt(s^2 - 4)) / 2
    (0.5-0.8660254038j)
    """
    xp = array_namespace(s)
    count = s.shape[0]
    if count == 0:
        empty = xp.zeros((0, chain.blocks), dtype=xp.complex128)
        none, no = xp.zeros(0), xp.zeros(0, dtype=xp.bool)
        return ChainSolution(s, empty, empty, 0 * s, none, none, no, no, 0)
    cuts = [slice(k, min(k + chunk, count)) for k in range(0, count, chunk)]
    if start is None and ladder is None:
        ladder = descend(chain, least=float(xp.min(xp.abs(s))), unresolved=0.0)

    def one(cut: slice) -> ChainSolution:
        if start is None:
            return _from_ladder(chain, s[cut], ladder or [])
        found = newton(chain, s[cut], start[cut, :])
        if bool(xp.all(found.converged)):
            return found
        return _rescued(chain, found, ladder)

    if workers is None:
        workers = os.cpu_count() if is_numpy_array(s) else 1
    with threadpool_limits(1), ThreadPoolExecutor(workers) as pool:
        return _joined(s, list(pool.map(one, cuts)))


def _rescued(
    chain: Chain, found: ChainSolution, ladder: list[ChainSolution] | None
) -> ChainSolution:
    """Solve the points that did not converge from the imaginary axis."""
    xp = array_namespace(found.s)
    parts = []
    for j in range(found.s.shape[0]):
        point = found.s[j : j + 1]
        if bool(found.converged[j]):
            row = slice(j, j + 1)
            parts.append(
                ChainSolution(
                    point,
                    found.sigma[row, :],
                    found.averages[row, :],
                    found.symmetric[row],
                    found.residual[row],
                    found.error[row],
                    found.inside[row],
                    found.converged[row],
                    0,
                )
            )
            continue
        least = float(xp.abs(point[0]))
        parts.append(
            _from_ladder(chain, point, ladder or descend(chain, least=least, unresolved=0.0))
        )
    return replace(_joined(found.s, parts), sweeps=found.sweeps + sum(p.sweeps for p in parts))


def _joined(s: Any, parts: list[ChainSolution]) -> ChainSolution:
    xp = array_namespace(s)
    sigma, averages, symmetric, residual, error, inside, converged = (
        xp.concat([getattr(part, name) for part in parts], axis=0)
        for name in ("sigma", "averages", "symmetric", "residual", "error", "inside", "converged")
    )
    sweeps = sum(part.sweeps for part in parts)
    return ChainSolution(s, sigma, averages, symmetric, residual, error, inside, converged, sweeps)
