r"""Solutions of a chain without a starting point, followed from far up the imaginary axis.

For large :math:`\lvert s \rvert` the self-energies are small and known.  From there the solution is
followed down the imaginary axis, where it is purely imaginary, and from the axis to every spectral
point (:mod:`~rmt_jacobian.pencils.chain.landing`).
"""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import singledispatch
from typing import Any

import numpy as np
from array_api_compat import is_numpy_array
from threadpoolctl import threadpool_limits

from rmt_jacobian.arrays import array_namespace, taken
from rmt_jacobian.errors import ConvergenceError
from rmt_jacobian.pencils.chain.landing import LOOSE, land
from rmt_jacobian.pencils.chain.newton import TOLERANCE, newton
from rmt_jacobian.pencils.chain.protocol import Chain
from rmt_jacobian.pencils.chain.solution import ChainSolution

__all__ = ["descend", "extrapolated", "follow", "solve_chain"]

_FIRST, _LEAST, _GROWTH = 0.25, 1e-8, 2.0  # shares of a path
_MOST_STEPS = 200  # of a path: one that takes more leads nowhere
_PATIENT = 16  # sweeps; a step that needs more is too long
_TOGETHER = 8_192  # points times size: fewer leave most of the time to calls
_WIDE = 65_536  # size: threads on fewer only wait for each other's calls


def follow(
    chain: Chain,
    start: ChainSolution,
    target: Any,
    *,
    tolerance: float = TOLERANCE,
    most: int = _MOST_STEPS,
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
    most
        How many steps are tried.
    """
    xp = array_namespace(target)
    origin, done, stride = start.s, 0.0, _FIRST
    whole = xp.log(target) - xp.log(origin)
    here, before, sweeps = start, None, start.sweeps
    for _ in range(most):
        there = min(1.0, done + stride)
        last = there == 1.0
        s = target if last else origin * xp.exp(there * whole)
        guess = (
            here.sigma if before is None else extrapolated(chain, before, (done, here.sigma), there)
        )
        found = newton(chain, s, guess, tolerance=tolerance if last else LOOSE)
        sweeps += found.sweeps
        if bool(xp.all(found.converged)):
            before, here, done = (done, here.sigma), found, there
            if last:
                break
            stride *= _GROWTH if found.sweeps <= chain.easy else 1.0
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


@singledispatch
@np.errstate(all="ignore")  # a guess far off overflows, and leads nowhere
def extrapolated(chain: Chain, before: tuple[float, Any], now: tuple[float, Any], t: float) -> Any:
    """Return self-energies further along a path, by their logarithms.

    Parameters
    ----------
    chain
        The equation.
    before, now
        Two places on the path, and the self-energies there.
    t
        The place asked for.
    """
    (t_0, sigma_0), (t_1, sigma_1) = before, now
    xp = array_namespace(sigma_1)
    moves = (sigma_0 != 0) & (sigma_1 != 0)
    ratio = xp.where(moves, sigma_1 / xp.where(moves, sigma_0, xp.ones_like(sigma_0)), 1.0 + 0j)
    guess = sigma_1 * xp.exp((t - t_1) / (t_1 - t_0) * xp.log(ratio))
    return xp.real(guess) + 1j * xp.where(xp.imag(guess) < 0, xp.imag(guess), xp.imag(sigma_1))


def descend(
    chain: Chain,
    *,
    least: float,
    unresolved: float,
    tolerated: float = 0.0,
    ratio: float = 10.0,
) -> list[ChainSolution]:
    r"""Follow the solution down the imaginary axis, where it is purely imaginary.

    Parameters
    ----------
    chain
        The equation.
    least
        The least modulus.
    unresolved
        The descent also ends where :math:`f(m) = \tau(m^2 / (m^2 + J J^T))`, less the mass at 0,
        is below this, or where it falls like :math:`m^2`, as in a gap, so that no more mass than
        this can be below.
    tolerated
        The same where the descent stops short: what is below is then left out.
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

    def solved(position: float, start: Any, max_sweeps: int = _PATIENT) -> ChainSolution:
        s = xp.full((1,), 1j * math.exp(position), dtype=xp.complex128)
        return newton(chain, s, start, tolerance=LOOSE, max_sweeps=max_sweeps)

    def left(at: float, found: ChainSolution) -> float:
        return -math.exp(at) * float(xp.imag(found.symmetric[0])) - lost

    position, stride = math.log(_far(chain)), math.log(ratio)
    far = xp.full((1,), 1j * math.exp(position), dtype=xp.complex128)
    here = solved(position, chain.leading(far), max_sweeps=200)
    rungs, before = [here], None
    while position > math.log(least):
        there = max(math.log(least), position - stride)
        now = (position, here.sigma)
        found = solved(
            there, here.sigma if before is None else extrapolated(chain, before, now, there)
        )
        if not bool(found.converged[0]):
            stride, before = stride / 4, None
            if stride < _LEAST and left(position, here) <= tolerated:
                break
            if stride < _LEAST:
                raise ConvergenceError(
                    f"the Dyson equation was not solved at s = {math.exp(there):.3g}i: "
                    "use other sites"
                )
            continue
        stride *= _GROWTH if found.sweeps <= chain.easy else 1.0
        before, last, here, position = now, here, found, there
        rungs.append(here)
        above, below = left(now[0], last), left(position, here)
        if below < unresolved or _most_below(above, below, now[0] - position, lost) < unresolved:
            break
    return rungs


def _most_below(above: float, below: float, stride: float, lost: float) -> float:
    r"""Return a bound on the mass below a modulus m, from f there and at a larger one, m r.

    With :math:`w = m^2 / (m^2 + x^2)`, :math:`d \log f / d \log m = 2 - 2 \delta`,
    :math:`\delta = \langle w^2 \rangle / \langle w \rangle`. A mass P below m has
    :math:`w \geq 1/2` from there on, and f grows like :math:`m^2` at most, so that the mean of
    :math:`\delta` along the way is at least :math:`P (1 - r^{-2}) / (8 f(m) \log r)`.

    Parameters
    ----------
    above, below
        f at both, which are solved to the relative tolerance LOOSE, together with the mass at 0.
    stride
        :math:`\log r`.
    lost
        The mass at 0.
    """
    if not 0 < below < above:
        return math.inf
    noise = LOOSE * (1 + lost / below) / stride
    delta = max(1 - math.log(above / below) / (2 * stride), 0.0) + noise
    return 8 * delta * below * stride / -math.expm1(-2 * stride)


def _far(chain: Chain) -> float:
    """Return a modulus beyond the support of all factors together."""
    return 10 * chain.reach


def solve_chain(
    chain: Chain,
    s: Any,
    start: Any = None,
    *,
    ladder: list[ChainSolution] | None = None,
    chunk: int | None = None,
    workers: int | None = None,
    tolerance: float = TOLERANCE,
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
        How many points are solved together; by default more on fewer sites.
    workers
        How many chunks are solved at a time; by default one for each core where sites are many,
        and one on few and on a GPU.
    tolerance
        Bound on the relative change that the last step of Newton's method makes, where it gets to
        that from the start.

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
    if workers is None:
        wide = is_numpy_array(s) and chain.size >= _WIDE
        workers = (os.cpu_count() or 1) if wide else 1
    if chunk is None:
        chunk = max(2, _TOGETHER // chain.size)
    cuts = [slice(k, min(k + chunk, count)) for k in range(0, count, chunk)]
    if start is None and ladder is None:
        ladder = descend(chain, least=float(xp.min(xp.abs(s))), unresolved=0.0)

    def one(cut: slice) -> ChainSolution:
        if start is None:
            return land(chain, s[cut], ladder or [])
        found = newton(chain, s[cut], start[cut, :], tolerance=tolerance)
        if bool(xp.all(found.converged)):
            return found
        return _rescued(chain, found, ladder)

    with threadpool_limits(1), ThreadPoolExecutor(workers) as pool:
        return ChainSolution.joined(s, list(pool.map(one, cuts)))


def _rescued(
    chain: Chain, found: ChainSolution, ladder: list[ChainSolution] | None
) -> ChainSolution:
    """Solve the points that did not converge from the imaginary axis."""
    xp = array_namespace(found.s)
    s = taken(found.s, xp.nonzero(~found.converged)[0])
    if ladder is None:
        ladder = descend(chain, least=float(xp.min(xp.abs(s))), unresolved=0.0)
    return found.mended(land(chain, s, ladder))
