r"""Newton's method for the Dyson equation of a chain, with a certificate for every point.

Above the real axis the fixed-point map takes the open lower half planes of all self-energies into
themselves and has exactly one fixed point there.  On the axis a solution is the limit of that one
if it continues into it, which the derivative shows:

- a solution with :math:`\mathrm{Im}\, \Sigma_b < 0` for every b continues to s + i eta and stays in
  the half planes, so however it was found, it is right;
- a real solution, off the support, continues to :math:`\Sigma_b + i \eta \, d\Sigma_b / ds`, which
  is in the half planes if :math:`d\Sigma_b / ds < 0` for every b;
- where only some are real, as that of an orthogonal W next to an end of the chain, they must fall
  and the others must have :math:`\mathrm{Im}\, \Sigma_b < 0`.
"""

import math
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any

import numpy as np

from rmt_jacobian.arrays import array_namespace, taken
from rmt_jacobian.pencils.chain.balance import Balance, nonzero
from rmt_jacobian.pencils.chain.product_chain import Responses
from rmt_jacobian.pencils.chain.protocol import BalancedChain
from rmt_jacobian.pencils.chain.solution import ChainSolution

__all__ = ["TOLERANCE", "drift", "newton"]

TOLERANCE = 1e-10
_REAL = 1e-8  # imaginary parts below this share of the modulus count as zero
_SWIFT = 0.3  # shortening of steps at which the derivative is good enough
_ALONG = 0.1  # of a step, what its image must have along it to teach something
_LEAST_SHARE = 1e-4  # of a step, below which there is no way forward
_LONGEST = 3.0  # steps of a logarithm are cut to this modulus
_ROUNDED, _ROUNDING = 1e-6, 1e-13  # a step that rounding of this residual explains
_STALLED = 1e-8  # a step that is no shorter in the end, next to many equal singular values


@singledispatch  # chains whose self-energies are matrices have a method of their own
@np.errstate(all="ignore")  # iterates far off overflow, and are rejected
def newton(
    chain: BalancedChain, s: Any, start: Any, *, tolerance: float = TOLERANCE, max_sweeps: int = 40
) -> ChainSolution:
    r"""Solve the Dyson equation of a chain from a starting point.

    The equation has soft modes where few singular values are near s: the residual says little
    there, and the length of the Newton step everything.  So steps are judged by the step that would
    follow with the same derivative, which must be shorter; otherwise they are halved.  A derivative
    costs O(T^2) at every site and a sweep O(T), so it is kept, with Broyden's updates, while steps
    shorten enough.

    Parameters
    ----------
    chain
        The equation.
    s
        Spectral points in the closed upper half plane, shape (points,).
    start
        Self-energies with Im <= 0, shape (points, blocks).
    tolerance
        Bound on the relative change that the last step makes, or 1e-8 where steps do not get
        shorter than that.
    max_sweeps
        Evaluations after which the points that are left are given up.

    References
    ----------
    The uniqueness of the fixed point: :cite:t:`HeltonFarSpeicher2007`, section 2.  The test of the
    steps: :cite:t:`Deuflhard2011`, section 3.3.
    """
    xp = array_namespace(s)
    attempt = _Attempt.started(chain, s, start)
    sweeps, finished = 1, []
    while sweeps < max_sweeps:
        over = attempt.over(tolerance)
        left = int(xp.sum(xp.astype(~over, xp.int64)))
        if left == 0:
            break
        if 2 * left <= over.shape[0]:  # the others need not wait for these
            finished.append(attempt.taken(xp.nonzero(over)[0]))
            attempt = attempt.taken(xp.nonzero(~over)[0])
        attempt = attempt.advanced(chain, tolerance)
        sweeps += 1
    here, length = _gathered([*finished, attempt])
    return _certified(chain, s, here, length, sweeps, tolerance)


def _solved(slope: Any, right: Any) -> Any:
    """Solve for steps at every point; nan where a matrix is singular."""
    xp = array_namespace(right)
    try:
        return xp.linalg.solve(slope, right[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:  # an iterate far off, which will be rejected
        if right.shape[0] == 1:
            return xp.full_like(right, xp.nan)
    each = [slice(j, j + 1) for j in range(right.shape[0])]
    return xp.concat([_solved(slope[j, :, :], right[j, :]) for j in each], axis=0)


def _length(step: Any) -> Any:
    """Return the largest modulus of a step, infinite where it is not a number."""
    xp = array_namespace(step)
    length = xp.max(xp.abs(step), axis=1)
    return xp.where(xp.isfinite(length), length, xp.full_like(length, xp.inf))


@dataclass(frozen=True)
class _Inverse:
    """The inverse derivative of -g F or -L in log Sigma, with what steps have taught about it.

    Which of the two is solved for is chosen at every point: the one with the shorter step.

    Broyden's update H + u d* H, with u = (d - H y) / d* H y, is made for every step d that
    changed the function by y; H y is at hand as the difference of two steps.
    """

    slope: Any
    scale: Any
    reciprocal: Any
    updates: tuple[tuple[Any, Any], ...] = ()

    @classmethod
    def at(cls, chain: BalancedChain, here: "_Iterate", responses: Responses) -> "_Inverse":
        xp = array_namespace(here.sigma)
        balance = Balance.of(chain, here.sigma, here.averages)
        slopes, scale = balance.slopes(responses), nonzero(here.averages)
        yes = xp.ones(here.sigma.shape[0], dtype=xp.bool)
        first, second = (
            cls(-slope, scale, choice) for slope, choice in zip(slopes, (yes, ~yes), strict=True)
        )
        shorter = _length(first.step(here)) < _length(second.step(here))
        return cls(xp.where(shorter[:, None, None], first.slope, second.slope), scale, shorter)

    def step(self, here: "_Iterate") -> Any:
        """Return the step from an iterate."""
        xp = array_namespace(here.sigma)
        scaled = self.scale * here.gap
        return self.times(xp.where(self.reciprocal[:, None], scaled, xp.log(here.ratio)))

    def times(self, change: Any) -> Any:
        xp = array_namespace(change)
        step = _solved(self.slope, change)
        for u, d in self.updates:
            step = step + u * xp.sum(xp.conj(d) * step, axis=1)[:, None]
        return step

    def latest(self, step: Any) -> Any:
        """Return what the last update makes of a step that was found without it."""
        xp = array_namespace(step)
        u, d = self.updates[-1]
        return step + u * xp.sum(xp.conj(d) * step, axis=1)[:, None]

    def learnt(self, where: Any, d: Any, Hy: Any) -> "_Inverse":
        """Return the inverse updated at the points that a mask selects."""
        xp = array_namespace(d)
        along = xp.sum(xp.conj(d) * Hy, axis=1)
        size = xp.sum(xp.real(d) ** 2 + xp.imag(d) ** 2, axis=1)
        sound = where & (xp.abs(along) > _ALONG * size) & (xp.abs(along) < size / _ALONG)
        u = (d - Hy) / xp.where(sound, along, xp.ones_like(along))[:, None]
        u, d = (xp.where(sound[:, None], array, xp.zeros_like(array)) for array in (u, d))
        return replace(self, updates=(*self.updates, (u, d)))

    def taken(self, index: Any) -> "_Inverse":
        """Return the same at some of the points."""
        updates = tuple((taken(u, index), taken(d, index)) for u, d in self.updates)
        rows = (self.slope, self.scale, self.reciprocal)
        slope, scale, reciprocal = (taken(row, index) for row in rows)
        return _Inverse(slope, scale, reciprocal, updates)

    def renewed(self, chain: BalancedChain, s: Any, here: "_Iterate", where: Any) -> "_Inverse":
        """Return the inverse, anew and with nothing learnt at the points that a mask selects."""
        xp = array_namespace(s)
        if bool(xp.all(where)):
            return _Inverse.at(chain, here, chain.responses(s, here.sigma))
        index = xp.nonzero(where)[0]
        some = here.taken(index)
        new = _Inverse.at(chain, some, chain.responses(taken(s, index), some.sigma))
        count = xp.cumulative_sum(xp.astype(where, xp.int64))
        source = xp.where(where, s.shape[0] - 1 + count, xp.arange(s.shape[0]))
        kept = xp.astype(~where, self.slope.dtype)[:, None]
        names = ("slope", "scale", "reciprocal")
        both = (xp.concat([getattr(self, name), getattr(new, name)], axis=0) for name in names)
        updates = tuple((kept * u, kept * d) for u, d in self.updates)
        slope, scale, reciprocal = (taken(rows, source) for rows in both)
        return _Inverse(slope, scale, reciprocal, updates)


def _rests(length: Any, residual: Any, tolerance: float) -> Any:
    """Whether steps are short, or as short as rounding allows."""
    return (length <= tolerance) | ((length <= _ROUNDED) & (residual <= _ROUNDING))


@dataclass(frozen=True)
class _Iterate:
    """Self-energies, averages, F and the ratio whose logarithm is L, and the largest g F."""

    sigma: Any
    averages: Any
    gap: Any
    ratio: Any
    residual: Any

    def replaced(self, where: Any, other: "_Iterate") -> "_Iterate":
        """Return the other iterate at the points that a mask selects."""
        xp = array_namespace(where)
        return _Iterate(
            xp.where(where[:, None], other.sigma, self.sigma),
            xp.where(where[:, None], other.averages, self.averages),
            xp.where(where[:, None], other.gap, self.gap),
            xp.where(where[:, None], other.ratio, self.ratio),
            xp.where(where, other.residual, self.residual),
        )

    def taken(self, index: Any) -> "_Iterate":
        """Return the same at some of the points."""
        rows = (self.sigma, self.averages, self.gap, self.ratio, self.residual)
        return _Iterate(*(taken(row, index) for row in rows))


@dataclass(frozen=True)
class _Attempt:
    """Newton's method on its way, at some of the points.

    Attributes
    ----------
    points
        Their numbers.
    s, here
        The points, and the iterates.
    inverse
        Of the derivative.
    step, length
        The step from the iterates, and its length.
    share
        How much of it is tried.
    """

    points: Any
    s: Any
    here: _Iterate
    inverse: _Inverse
    step: Any
    length: Any
    share: Any

    @classmethod
    def started(cls, chain: BalancedChain, s: Any, start: Any) -> "_Attempt":
        xp = array_namespace(s)
        responses = chain.responses(s, start)
        here = _iterate(chain, start, responses.averages)
        inverse = _Inverse.at(chain, here, responses)
        step = inverse.step(here)
        length = _length(step)
        return cls(xp.arange(s.shape[0]), s, here, inverse, step, length, xp.ones_like(length))

    def over(self, tolerance: float) -> Any:
        """Whether nothing is left to do, or nothing leads on."""
        xp = array_namespace(self.s)
        resting = _rests(self.length, self.here.residual, tolerance)
        return resting | ~xp.isfinite(self.length) | (self.share < _LEAST_SHARE)

    def advanced(self, chain: BalancedChain, tolerance: float) -> "_Attempt":
        """Try the steps."""
        xp, s, here, length = array_namespace(self.s), self.s, self.here, self.length
        tried = _moved(here.sigma, self.share[:, None] * self.step)
        trial = _iterate(chain, tried, chain.averages(s, tried))
        following = self.inverse.step(trial)
        rest = _length(following)
        rests = _rests(rest, trial.residual, tolerance)
        shorter = (rest < (1 - self.share / 4) * length) | rests
        slow = shorter & (rest > _SWIFT * length) & (rest > tolerance)
        moved = xp.log(nonzero(trial.sigma) / nonzero(here.sigma))
        inverse = self.inverse.learnt(shorter, moved, self.step - following)
        step = xp.where(shorter[:, None], inverse.latest(following), self.step)
        here = here.replaced(shorter, trial)
        length = xp.where(shorter, rest, length)
        if bool(xp.any(slow)):
            inverse = inverse.renewed(chain, s, here, slow)
            again = inverse.step(here)
            step = xp.where(slow[:, None], again, step)
            length = xp.where(slow, _length(again), length)
        share = xp.where(shorter, xp.ones_like(self.share), self.share / 2)
        return _Attempt(self.points, s, here, inverse, step, length, share)

    def taken(self, index: Any) -> "_Attempt":
        """Return the same at some of the points."""
        rows = (self.points, self.s, self.step, self.length, self.share)
        points, s, step, length, share = (taken(row, index) for row in rows)
        return _Attempt(
            points, s, self.here.taken(index), self.inverse.taken(index), step, length, share
        )


def _gathered(parts: list[_Attempt]) -> tuple[_Iterate, Any]:
    """Return the iterates and the lengths of the steps from them, in the order of the points."""
    xp = array_namespace(parts[0].s)
    order = xp.argsort(xp.concat([part.points for part in parts]))
    names = ("sigma", "averages", "gap", "ratio", "residual")
    here = _Iterate(*(xp.concat([getattr(p.here, name) for p in parts]) for name in names))
    return here.taken(order), taken(xp.concat([part.length for part in parts]), order)


def _iterate(chain: BalancedChain, sigma: Any, averages: Any) -> _Iterate:
    xp = array_namespace(sigma)
    balance = Balance.of(chain, sigma, averages)
    gap, ratio = balance.gap(averages), balance.ratio(averages)
    residual = xp.max(xp.abs(nonzero(averages) * gap), axis=1)
    residual = xp.where(xp.isfinite(residual), residual, xp.full_like(residual, xp.inf))
    return _Iterate(sigma, averages, gap, ratio, residual)


def _moved(sigma: Any, step: Any) -> Any:
    """Add a step to the logarithms, turned at most nine tenths of the way to the border."""
    xp = array_namespace(sigma)
    largest = xp.max(xp.abs(step), axis=1)
    shrink = _LONGEST / xp.maximum(largest, _LONGEST * xp.ones_like(largest))
    step = step * shrink[:, None]
    angle, turn = xp.atan2(xp.imag(sigma), xp.real(sigma)), xp.imag(step)
    # A positive self-energy may come with the imaginary part -0.0, a negative one with +0.0.
    angle = xp.where(angle > 0, angle - 2 * math.pi, angle)
    room = xp.where(turn > 0, -angle, angle + math.pi)
    turn = xp.where(xp.abs(turn) > room + _REAL, 0.9 * xp.sign(turn) * room, turn)
    moved = sigma * xp.exp(xp.real(step) + 1j * turn)
    depth = xp.imag(moved)
    return xp.real(moved) + 1j * xp.where(depth < 0, depth, xp.zeros_like(depth))


def _certified(
    chain: BalancedChain, s: Any, last: _Iterate, length: Any, sweeps: int, tolerance: float
) -> ChainSolution:
    xp = array_namespace(s)
    size, depth = xp.abs(last.sigma), -xp.imag(last.sigma)
    vanishing = size == 0  # where sigma_w = 0 there is nothing to certify
    rests = _rests(length, last.residual, max(tolerance, _STALLED))
    real = xp.all(depth <= _REAL * size, axis=1) & (xp.imag(s) == 0)
    below = (depth > 0) & ~real[:, None] | vanishing
    certified = xp.all(below, axis=1)
    if bool(xp.any(~certified & rests)):
        falls = xp.real(_drift(chain, s, last.sigma)[0]) < 0
        certified = xp.all(below | falls & (xp.imag(s) == 0)[:, None], axis=1)
    symmetric = chain.cauchy(s, last.sigma, last.averages)
    return ChainSolution(
        s, last.sigma, last.averages, symmetric, last.residual, length, ~real, rests & certified,
        sweeps,
    )  # fmt: skip


@singledispatch
@np.errstate(all="ignore")  # next to 0 squares overflow: what is not finite interpolates nothing
def drift(chain: BalancedChain, solution: ChainSolution) -> tuple[Any, Any]:
    """Return the derivatives in s of the self-energies and of G, (points, blocks) and (points,)."""
    return _drift(chain, solution.s, solution.sigma)


def _drift(chain: BalancedChain, s: Any, sigma: Any) -> tuple[Any, Any]:
    xp, at = array_namespace(sigma), chain.responses(s, sigma)
    balance = Balance.of(chain, sigma, at.averages)
    moving = sigma * _solved(-balance.slopes(at)[1], balance.drift(at))
    return moving, at.cauchy_drift + xp.sum(at.cauchy_row * moving, axis=1)
