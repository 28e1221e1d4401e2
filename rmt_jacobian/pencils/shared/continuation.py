r"""How solutions of a chain with shared weights are continued.

On the imaginary axis :math:`\Sigma = -i R` with real R.  The logarithms of its diagonal and its
correlations :math:`R_{st} / \sqrt{R_{ss} R_{tt}}` are smooth in log s, and polynomials in it are
continued to other spectral points.
"""

import cmath
import math

import numpy as np

from rmt_jacobian.pencils.chain.continuation import extrapolated, follow
from rmt_jacobian.pencils.chain.landing import land
from rmt_jacobian.pencils.chain.newton import newton
from rmt_jacobian.pencils.chain.solution import ChainSolution
from rmt_jacobian.pencils.shared.chain import SharedChain

__all__: list[str] = []

_NEAREST = 3  # rungs that are continued from
_SWEEPS = 8  # of Newton's method from there; more mean that it is too far
_MOST = 24  # steps on the way to a point; where rounding decides, more lead nowhere
_THERE = 1e-9  # relative distance
_TURNED = 1e-3  # angle that a diagonal keeps from the real axis


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
    """Continue polynomials through the nearest rungs; else follow the axis, and go round."""
    found = []
    for point in s:
        guess = _continued(chain, complex(point), ladder)
        tried = newton(chain, np.array([point]), guess[None, :], max_sweeps=_SWEEPS)
        if not tried.converged[0]:
            near = ladder[_nearest(ladder, complex(point))[0]]
            if abs(math.log(abs(near.s[0] / point))) > _THERE:
                near = follow(chain, near, np.array([1j * abs(point)]), most=_MOST)
            tried = follow(chain, near, np.array([point]), most=_MOST)
        found.append(tried)
    return ChainSolution.joined(s, found)


def _nearest(ladder: list[ChainSolution], s: complex) -> list[int]:
    at = cmath.log(s) - 1j * math.pi / 2
    places = [abs(math.log(abs(rung.s[0])) - at) for rung in ladder]
    return sorted(range(len(ladder)), key=places.__getitem__)[:_NEAREST]


def _continued(chain: SharedChain, s: complex, ladder: list[ChainSolution]) -> np.ndarray:
    at = cmath.log(s) - 1j * math.pi / 2
    rungs = [ladder[k] for k in _nearest(ladder, s)]
    places = [math.log(abs(rung.s[0])) for rung in rungs]
    weights = [
        math.prod(((at - other) / (own - other) for other in places if other != own), start=1 + 0j)
        for own in places
    ]
    tables = [np.concatenate(chain.matrices(rung.sigma[0])) for rung in rungs]
    sizes = [np.abs(np.diagonal(each, axis1=-2, axis2=-1)) for each in tables]
    logs = [np.log(np.where(size > 0, size, 1.0)) for size in sizes]
    log = sum(w * each for w, each in zip(weights, logs, strict=True))
    # The diagonal itself is -i exp(log), which has to stay below the real axis.
    angle = np.clip(np.imag(log), _TURNED - math.pi / 2, math.pi / 2 - _TURNED)
    root = np.exp((np.real(log) + 1j * angle) / 2)
    scaled = [
        -np.imag(each) / np.exp((log[..., :, None] + log[..., None, :]) / 2)
        for each, log in zip(tables, logs, strict=True)
    ]
    correlations = sum(w * each for w, each in zip(weights, scaled, strict=True))
    found = -1j * correlations * root[..., :, None] * root[..., None, :]
    return chain.vector(found[: chain.gates], found[chain.gates :])
