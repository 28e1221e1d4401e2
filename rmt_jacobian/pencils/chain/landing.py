r"""Solutions of a chain at many spectral points, each from a rung of a ladder above it.

The ladder are solutions on the imaginary axis, from :func:`.descend`.  The logarithms of the
self-energies are analytic in log s, and mostly smooth on the scale of a quarter turn: polynomials
through the nearest rungs are continued to s, and Newton's method starts there.  A point that it
does not solve from there is reached from the nearest rung in two legs: along the axis to its
modulus, and then around to it.  Either leg is
:math:`s (s_0 / s)^r` with r from 1 to 0, and r is divided by a factor that grows while Newton's
method succeeds: where a point lies between narrow bands the solution bends on the scale of its
distance to them, of which nothing is known but that it may be small.  Points are followed together,
each at its own r, as most of the time on few sites goes into calls.
"""

import math
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any

import numpy as np

from rmt_jacobian.arrays import array_namespace, taken
from rmt_jacobian.pencils.chain.newton import TOLERANCE, newton
from rmt_jacobian.pencils.chain.protocol import Chain
from rmt_jacobian.pencils.chain.solution import ChainSolution

__all__ = ["LOOSE", "land"]

LOOSE = 1e-4  # relative error along the way
_SWEEPS = 12  # of Newton's method along the way; more mean that the step was too long
_FIRST, _GROWTH, _FALL = 2.0, 1.5, 0.4  # the factor by which r falls, and powers of it
_WHOLE = 100.0  # a factor that is taken for infinite
_LEAST_FACTOR, _LEAST_SHARE = 1.0001, 1e-13
_LONGEST = 400  # steps
_NEAREST = 3  # rungs that are continued from
_TURNED = 1e-3  # angle that a continued self-energy keeps from the real axis


@singledispatch
@np.errstate(all="ignore")  # guesses far off overflow, and lead nowhere
def land(chain: Chain, s: Any, ladder: list[ChainSolution]) -> ChainSolution:
    """Solve at spectral points, each from the nearest rung of a ladder.

    Parameters
    ----------
    chain
        The equation.
    s
        Complex points in the closed upper half plane, not 0; shape (points,).
    ladder
        Solutions on the imaginary axis, one point each.
    """
    xp = array_namespace(s)
    start = _continued(s, ladder)
    found = newton(chain, s, start, max_sweeps=_SWEEPS)
    late = found.converged & (found.error > TOLERANCE)  # the sweeps were enough for a certificate
    if bool(xp.any(late)):
        some = xp.nonzero(late)[0]
        found = found.mended(newton(chain, taken(s, some), taken(found.sigma, some)), late)
    left = xp.nonzero(~found.converged)[0]
    if left.shape[0] == 0:
        return found
    return found.mended(_walked(chain, taken(s, left), ladder))


def _continued(s: Any, ladder: list[ChainSolution]) -> Any:
    """Return the self-energies that polynomials in log s through the nearest rungs give."""
    xp = array_namespace(s)
    rungs = [math.log(float(xp.abs(rung.s[0]))) for rung in ladder]
    sizes = [xp.abs(rung.sigma[0, :]) for rung in ladder]
    moves = xp.all(xp.stack(sizes) > 0, axis=0)
    logs = [xp.log(xp.where(moves, size, xp.ones_like(size))) for size in sizes]
    found = []
    for j in range(s.shape[0]):
        at = complex(xp.log(s[j])) - 1j * math.pi / 2
        nearest = sorted(range(len(rungs)), key=lambda k: abs(rungs[k] - at))[:_NEAREST]
        total = 0j
        for k in nearest:
            others = [l for l in nearest if rungs[l] != rungs[k]]
            weight = math.prod((at - rungs[l]) / (rungs[k] - rungs[l]) for l in others)
            total = total + weight * logs[k]
        angle = xp.clip(xp.imag(total) - math.pi / 2, _TURNED - math.pi, -_TURNED)
        size = xp.exp(xp.real(total))
        found.append(xp.where(moves, size * xp.exp(1j * angle), 0j))
    return xp.stack(found)


def _walked(chain: Chain, s: Any, ladder: list[ChainSolution]) -> ChainSolution:
    """Solve at spectral points in steps, each from the nearest rung of a ladder."""
    xp = array_namespace(s)
    rungs = [math.log(float(xp.abs(rung.s[0]))) for rung in ladder]
    moduli = [math.log(float(xp.abs(s[j]))) for j in range(s.shape[0])]
    near, next_to = zip(*(_nearest(rungs, at) for at in moduli), strict=True)
    origin, sigma = (xp.concat([getattr(ladder[k], name) for k in near]) for name in ("s", "sigma"))
    earlier = xp.concat([ladder[k].sigma for k in next_to])
    before = [_place(at, rungs[k], rungs[l])
              for at, k, l in zip(moduli, near, next_to, strict=True)]  # fmt: skip
    above, before = 1j * xp.abs(s), xp.asarray(before)
    raised, reached = _approached(
        chain, origin, sigma, above, first=_WHOLE, before=before, earlier=earlier
    )
    there, arrived = _approached(chain, above, raised, s, first=_FIRST)
    found = newton(chain, s, there)
    return replace(found, converged=found.converged & reached & arrived)


def _nearest(rungs: list[float], at: float) -> tuple[int, int]:
    """Return the number of the nearest rung, and that of the next one."""
    order = sorted(range(len(rungs)), key=lambda k: abs(rungs[k] - at))
    return order[0], order[min(1, len(order) - 1)]


def _place(at: float, near: float, next_to: float) -> float:
    """Return r at a rung next to the one that is the origin; infinite where that tells nothing."""
    return (next_to - at) / (near - at) if at != near != next_to else math.inf


@dataclass(frozen=True)
class _Approach:
    """Points on their way.

    Attributes
    ----------
    origin, target
        Where they come from and go to.
    share, sigma
        r, and the self-energies there.
    before, earlier
        The same one step before, or at another solution on the way; r is infinite where there is
        none.
    factor
        By which r is to fall.
    """

    origin: Any
    target: Any
    share: Any
    sigma: Any
    before: Any
    earlier: Any
    factor: Any

    @property
    def stuck(self) -> Any:
        """Whether no step is short enough."""
        return self.factor < _LEAST_FACTOR

    @property
    def under_way(self) -> Any:
        """Whether points are yet to arrive, and get on."""
        return (self.share > 0) & ~self.stuck

    def taken(self, index: Any) -> "_Approach":
        """Return some of the points."""
        return _Approach(*(taken(getattr(self, name), index) for name in self.__annotations__))

    def next_share(self) -> Any:
        """Return the next r."""
        xp = array_namespace(self.share)
        after = self.share / self.factor
        over = (self.factor >= _WHOLE) | (after < _LEAST_SHARE)
        return xp.where(over, xp.zeros_like(after), after)

    def at(self, share: Any) -> Any:
        """Return the spectral points at some r."""
        xp = array_namespace(self.target)
        log_ratio = xp.log(self.origin) - xp.log(self.target)
        return xp.where(share == 0, self.target, self.target * xp.exp(share * log_ratio))

    def predicted(self, share: Any) -> Any:
        """Return the self-energies with the logarithm extrapolated to some r.

        It is taken for linear in log r, as it is next to an atom, and in r on the last step.
        """
        xp, sigma = array_namespace(self.sigma), self.sigma
        known = xp.isfinite(self.before)
        moves = (self.earlier != 0) & (sigma != 0) & known[:, None]
        one = xp.ones_like(sigma)
        ratio = xp.where(moves, sigma, one) / xp.where(moves, self.earlier, one)
        before, last = xp.where(known, self.before, 2 * self.share), share == 0
        to_go = xp.log(xp.where(last, xp.ones_like(share), share) / self.share)
        along = to_go / xp.log(xp.abs(self.share / before))  # r < 0 is for the last step alone
        part = xp.where(last, self.share / (before - self.share), along)
        guess = sigma * xp.exp(part[:, None] * xp.log(ratio))
        depth = xp.imag(guess)
        return xp.real(guess) + 1j * xp.where(depth < 0, depth, xp.imag(sigma))

    def moved(self, found: ChainSolution, share: Any) -> "_Approach":
        """Return where the points are that a step succeeded for, and the others with less ahead."""
        xp, done = array_namespace(self.share), found.converged
        one = xp.ones_like(self.share)
        return replace(
            self,
            share=xp.where(done, share, self.share),
            sigma=xp.where(done[:, None], found.sigma, self.sigma),
            before=xp.where(done, self.share, xp.full_like(self.share, xp.inf)),
            earlier=xp.where(done[:, None], self.sigma, self.earlier),
            factor=xp.exp(xp.log(self.factor) * xp.where(done, _GROWTH * one, _FALL * one)),
        )


def _approached(
    chain: Chain, origin: Any, sigma: Any, target: Any, *, first: float, before: Any = None,
    earlier: Any = None,
) -> tuple[Any, Any]:  # fmt: skip
    """Return the self-energies at the targets to a loose tolerance, and which were reached."""
    xp = array_namespace(target)
    one = xp.ones_like(xp.real(target))
    if before is None:
        before, earlier = xp.inf * one, sigma
    done = _Approach(origin, target, one, sigma, before, earlier, first * one)
    order, finished = xp.arange(target.shape[0]), []
    for _ in range(_LONGEST):
        left = done.under_way
        if not bool(xp.any(left)):
            break
        if not bool(xp.all(left)):
            over, left = xp.nonzero(~left)[0], xp.nonzero(left)[0]
            finished.append((taken(order, over), done.taken(over)))
            order, done = taken(order, left), done.taken(left)
        share = done.next_share()
        found = newton(
            chain, done.at(share), done.predicted(share), tolerance=LOOSE, max_sweeps=_SWEEPS
        )
        done = done.moved(found, share)
    parts = [*finished, (order, done)]
    back = xp.argsort(xp.concat([order for order, _ in parts]))
    sigma, share = (
        taken(xp.concat([getattr(part, name) for _, part in parts]), back)
        for name in ("sigma", "share")
    )
    return sigma, share == 0
