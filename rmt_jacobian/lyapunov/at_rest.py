r"""Lyapunov exponents of a network that stands still: the moduli of the eigenvalues of one step.

The Jacobian is the same at all steps, so that the exponents are the logarithms of the moduli. How
many eigenvalues lie outside of a circle follows from the resolvent on it, after Gauss,

.. math::
    \frac{1}{2 \pi i} \oint \tau \bigl( (z - J)^{-1} \bigr) \, dz .
"""

import math

import numpy as np

from rmt_jacobian.arrays import Seed, spawn
from rmt_jacobian.eigenvalues import EigenvalueLaw, eigenvalue_law
from rmt_jacobian.lyapunov.shared import SharedExponents
from rmt_jacobian.mean_field import LawAtRest, TiedLaw
from rmt_jacobian.pencils.blocks.untied import WeightsChoice

__all__ = ["exponents_at_rest"]

_SITES = 2048
_ANGLES = np.exp(1j * np.pi * (np.arange(32) + 0.5) / 32)  # of the upper half of a circle
_STEP, _ENDS = 0.04, 2e-3  # of the share outside, between two circles and where the table ends
_ABOVE = 1e-3  # of an exponent, from the edge of the support
_NARROWEST, _FARTHEST = 1e-4, 30.0  # steps of an exponent, and how far below the largest they go


def exponents_at_rest(
    law: TiedLaw | LawAtRest, weights: WeightsChoice, *, seed: Seed = 0
) -> SharedExponents:
    """Return the exponents of a network that stands still, and the shares above them.

    Parameters
    ----------
    law
        The stationary law.
    weights
        As in :func:`.lyapunov_law`.
    seed
        Of the sites.
    """
    count = None if isinstance(law, TiedLaw) else _SITES
    eigenvalues, other = (
        eigenvalue_law(law, weights=weights, sites=count, seed=rng) for rng in spawn(seed, 2)
    )
    here = math.log(eigenvalues.spectral_radius) - _ABOVE
    farthest, step = here - _FARTHEST, 0.05
    rows = [(here, _outside(eigenvalues, here))]
    while rows[-1][1] < 1 - _ENDS and here > farthest:
        there = here - step
        share = _outside(eigenvalues, there)
        risen = share - rows[-1][1]
        if risen > 2 * _STEP and step > _NARROWEST:
            step /= 2
            continue
        rows.append((there, share))
        here, step = there, min(2 * step, max(step / 2, step * _STEP / max(risen, 1e-300)))
    exponents, above = np.array(rows[::-1]).T
    again = np.array([_outside(other, each) for each in exponents])
    slopes = np.maximum(np.abs(np.gradient(above, exponents)), _ENDS)
    rank = 1.0 if above[0] >= 1 - 2 * _ENDS else float(above[0])
    return SharedExponents(exponents, above, np.abs(again - above) / slopes, rank)


def _outside(law: EigenvalueLaw, exponent: float) -> float:
    """Return the share of eigenvalues outside of a circle."""
    circle = math.exp(exponent) * _ANGLES
    return 1 - float(np.mean((circle * law.resolvent(circle)).real))
