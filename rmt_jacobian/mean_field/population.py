"""States of many independent sites, drawn from the stationary law by running the sites."""

import math
from typing import Any

from rmt_jacobian.arrays import Random
from rmt_jacobian.cells import compile_cell
from rmt_jacobian.mean_field.bends import drawn_deviation
from rmt_jacobian.mean_field.site_law import SiteLaw

__all__ = ["stationary_states"]


def stationary_states(law: SiteLaw, width: int, rng: Random, *, forgetting: float = 1e-6) -> Any:
    """Draw independent states from the mean-field law by running single sites.

    The run starts from a Gaussian of the stationary mean and variance, so the first two moments
    are right from the start and only the shape has to settle.

    Parameters
    ----------
    law
        The stationary law of one site.
    width
        Number of sites.
    rng
        The generator to draw from.
    forgetting
        How much of the initial fourth moment may be left, relative; runs end after 20,000 steps
        in any case, which matters where gates stay open for longer than that.
    """
    compiled, group = compile_cell(law.cell), law.parameters.only
    kept = law.average(law.cell.state_derivatives[0][0] ** 4)
    settling = math.log(forgetting) / math.log(kept) if 0 < kept < 1 else 1.0
    mean = law.state_moment(1)
    h = mean + math.sqrt(max(0.0, law.state_variance - mean**2)) * rng.standard_normal(width)
    std = drawn_deviation(law.cell, law.preactivation_variance, group.bias_mean)
    for _ in range(min(20_000, max(1, math.ceil(settling)))):
        e = group.bias_mean + std * rng.standard_normal(width)
        x = law.parameters.inputs.draw(rng, (width,))
        (h,) = compiled.update([h], [e], x)
    return h
