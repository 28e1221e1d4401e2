r"""One step without a gate and with orthogonal W: the singular values are those of the sites.

With A = 0 and :math:`W = \sigma_w O`, :math:`J = \sigma_w B O` has the singular values
:math:`\sigma_w \lvert B_i \rvert`.  Nothing spreads them, so that the law of finitely many sites is
a comb; the law of all sites is the smooth one behind it.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from scipy.interpolate import PchipInterpolator

from rmt_jacobian.arrays import to_numpy
from rmt_jacobian.pencils.chain import ProductChain
from rmt_jacobian.pencils.chain_panels import Node, Panel, Table
from rmt_jacobian.pencils.chain_protocol import Chain
from rmt_jacobian.pencils.ensembles import OrthogonalWeights

__all__ = ["is_rotation", "rotation_table"]

_MOST = 64  # panels
_ATOM = 1e-9  # half of the relative width in which the mass of an atom is put


def is_rotation(chain: Chain) -> bool:
    r"""Whether a chain is one step :math:`\sigma_w B O`."""
    if not isinstance(chain, ProductChain):
        return False
    orthogonal = isinstance(chain.ensemble, OrthogonalWeights)
    return chain.steps == 1 and orthogonal and bool(np.all(to_numpy(chain.sites.direct) == 0))


def rotation_table(chain: Chain) -> Table:
    """Interpolate the distribution of the singular values of the sites, monotonically in log s.

    Examples
    --------
    >>> from rmt_jacobian.pencils import SiteHistory
    >>> gate = np.exp(np.linspace(-1, 0, 1001))[None, :]
    >>> chain = ProductChain(SiteHistory.of(0 * gate, gate), OrthogonalWeights(1.0))
    >>> below, density = rotation_table(chain).evaluate(np.array([-0.75, -0.5]))
    >>> below.round(3), density.round(2)
    (array([0.25, 0.5 ]), array([1., 1.]))
    """
    assert isinstance(chain, ProductChain)
    s = math.sqrt(chain.ensemble.variance) * np.abs(to_numpy(chain.sites.gate)[0])
    weights = to_numpy(chain.sites.weights)[s > 0]
    positions, at = np.unique(np.log(s[s > 0]), return_inverse=True)
    masses = np.bincount(at, weights)
    lost = max(0.0, 1.0 - float(masses.sum()))
    below = lost + np.cumsum(masses) - masses / 2
    below[0], below[-1] = lost, 1.0
    if len(positions) == 1:  # all sites are the same, so that the law is an atom: a steep rise
        positions, below = positions[0] + _ATOM * np.array([-1.0, 1.0]), np.array([lost, 1.0])
    # Every panel holds about the same mass, and a few sites at least.
    count = min(_MOST, len(positions) // 8 + 2)
    kept = np.unique(np.linspace(0, len(positions) - 1, count).astype(int))
    positions, below = positions[kept], below[kept]
    density = PchipInterpolator(positions, below)(positions, 1)
    nodes = [_node(*values) for values in zip(positions, below, density, strict=True)]
    edges = ((math.exp(positions[0]), math.exp(positions[-1])),)
    return Table(tuple(_MonotonePanel(*pair) for pair in pairwise(nodes)), edges, lost)


def _node(position: float, below: float, density: float) -> Node:
    nothing = np.full(2, -1j)  # there is no Dyson equation to solve
    return Node(float(position), float(below), float(density), 0.0, True, nothing, 0 * nothing, 0.0)


@dataclass(frozen=True)
class _MonotonePanel(Panel):
    """A panel with the cubic polynomial that a monotone interpolation prescribes."""

    @cached_property
    def polynomial(self) -> tuple[float, float, np.ndarray]:
        """The start, the length and the coefficients in (x - start) / length."""
        start, length = self.left.position, self.right.position - self.left.position
        rise = self.right.below - self.left.below
        first, last = self.left.density * length, self.right.density * length
        square, cube = 3 * rise - 2 * first - last, first + last - 2 * rise
        return start, length, np.array([self.left.below, first, square, cube])
