"""States of many independent sites, drawn from the stationary law by running the sites."""

import math
from typing import Any

from rmt_jacobian.arrays import Random, array_namespace
from rmt_jacobian.cells import compile_cell
from rmt_jacobian.mean_field.averages.bends import drawn_deviation
from rmt_jacobian.mean_field.closed.site_law import SiteLaw

__all__ = ["stationary_states"]

_MOST_STEPS, _BLOCK = 2048, 512  # beyond the former, steps are run in blocks of the latter
_CROWD = 2**14  # sites that are composed, at least
_ROUNDING = 1e-13  # relative, of a variance


def stationary_states(law: SiteLaw, width: int, rng: Random, *, forgetting: float = 1e-5) -> Any:
    r"""Draw independent states from the mean-field law by running single sites.

    The run starts from a Gaussian of the stationary mean and variance, so the first two moments
    are right from the start and only the shape has to settle.  Where that takes very many steps,
    what some hundreds of them make of a state, :math:`h \to A h + B` at every site, is composed
    with that at other sites, again and again.

    Parameters
    ----------
    law
        The stationary law of one site.
    width
        Number of sites.
    rng
        The generator to draw from.
    forgetting
        How far the third and fourth moments may still be from those of the law, in units of a
        Gaussian's.  A memory of very many steps is nearly Gaussian, and hardly has to run.
    """
    mean = law.state_moment(1)
    variance = max(0.0, law.state_variance - mean**2)
    h = mean + math.sqrt(variance) * rng.standard_normal(width)
    steps = _settling(law, forgetting)
    if steps <= _MOST_STEPS:
        return _run(law, h, width, steps, rng)
    kept, written = _composed(law, variance, max(width, _CROWD), steps, rng)
    return mean + kept[:width] * (h - mean) + written[:width]


def _composed(
    law: SiteLaw, variance: float, sites: int, steps: int, rng: Random
) -> tuple[Any, Any]:
    """Return A and B of many steps, at least so many; each of shape (sites,).

    States are counted from their mean.  Sites that are met again and again would add up what they
    are off by together: B has the mean 0 and the variance that keeps that of the states.
    """
    mean = law.state_moment(1)
    start = mean + 0 * rng.standard_normal(sites)
    xp = array_namespace(start)
    ends = _run(law, xp.stack([start, start + 1]), sites, _BLOCK, rng)
    written, kept = ends[0, :] - mean, ends[1, :] - ends[0, :]
    for _ in range(math.ceil(math.log2(steps / _BLOCK))):
        shift = 1 + int(rng.integers(sites - 1, size=1)[0])
        written = kept * xp.roll(written, shift) + written
        kept = kept * xp.roll(kept, shift)
        written = written - xp.mean(written)
    square = float(xp.mean(written**2))
    due = variance * (1 - float(xp.mean(kept**2)))
    return kept, (math.sqrt(due / square) if square > 0 else 1.0) * written


def _run(law: SiteLaw, h: Any, width: int, steps: int, rng: Random) -> Any:
    """Run sites from states of shape (..., width), where the same site is driven alike."""
    compiled, group = compile_cell(law.cell), law.parameters.only
    std = drawn_deviation(law.cell, law.preactivation_variance, group.bias_mean)
    for _ in range(steps):
        e = group.bias_mean + std * rng.standard_normal(width)
        x = law.parameters.inputs.draw(rng, (width,))
        (h,) = compiled.update([h], [e], x)
    return h


def _settling(law: SiteLaw, forgetting: float) -> int:
    """Return after how many steps a Gaussian start has the third and fourth moments of the law.

    What a step keeps of a deviation of :math:`E[h^n]` is :math:`E[a^n]`.
    """
    mean = law.state_moment(1)
    variance = law.state_variance - mean**2
    if variance <= _ROUNDING * law.state_variance:
        return 1
    gaussian = {3: mean**3 + 3 * mean * variance,
                4: mean**4 + 6 * mean**2 * variance + 3 * variance**2}  # fmt: skip
    steps = 1.0
    for order, start in gaussian.items():
        size = math.sqrt(variance) ** order * math.prod(range(order - 1, 0, -2))
        excess, kept = abs(law.state_moment(order) - start) / size, 1 - law.forgotten(order)
        if excess > forgetting and 0 < kept < 1:
            steps = max(steps, math.log(forgetting / excess) / math.log(kept))
    return math.ceil(steps)
