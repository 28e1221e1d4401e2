"""How solutions of a chain with shared weights are continued: the matrices themselves, scaled."""

import math

import numpy as np

from rmt_jacobian.pencils.chain.continuation import extrapolated, follow
from rmt_jacobian.pencils.chain.landing import land
from rmt_jacobian.pencils.chain.solution import ChainSolution
from rmt_jacobian.pencils.shared.chain import SharedChain

__all__: list[str] = []


@extrapolated.register
def _extrapolated(
    chain: SharedChain, before: tuple[float, np.ndarray], now: tuple[float, np.ndarray], t: float
) -> np.ndarray:
    """Let the diagonals go on as powers, and keep the correlations."""
    (t_0, sigma_0), (t_1, sigma_1) = before, now
    found = []
    for old, new in zip(chain.matrices(sigma_0), chain.matrices(sigma_1), strict=True):
        sizes = [np.abs(np.diagonal(each, axis1=-2, axis2=-1)) for each in (old, new)]
        with np.errstate(divide="ignore", invalid="ignore"):
            growth = np.where(sizes[0] * sizes[1] > 0, sizes[1] / sizes[0], 1.0)
        factor = growth ** ((t - t_1) / (t_1 - t_0) / 2)
        found.append(new * factor[..., :, None] * factor[..., None, :])
    return chain.vector(*found)


@land.register
def _land(chain: SharedChain, s: np.ndarray, ladder: list[ChainSolution]) -> ChainSolution:
    """Follow the imaginary axis to the modulus of each point, and go round to it."""
    rungs = np.array([math.log(abs(rung.s[0])) for rung in ladder])
    found = []
    for point in s:
        nearest = ladder[int(np.argmin(np.abs(rungs - math.log(abs(point)))))]
        above = follow(chain, nearest, np.array([1j * abs(point)]))
        found.append(follow(chain, above, np.array([point])))
    return ChainSolution.joined(s, found)
