r"""Products whose singular values are those of their sites, and the law of infinitely many.

Without a gate and with orthogonal W, :math:`W = \sigma_w O`, one step :math:`J = \sigma_w B O` has
the singular values :math:`\sigma_w \lvert B_i \rvert`.  With :math:`\sigma_w = 0`, or where no
state feels a W, J is made of one small matrix for each site, :math:`A_T \cdots A_1`, and has their
singular values.  Nothing spreads them, so that the law of finitely many sites is a comb; the law of
all sites is the smooth one behind it, with an atom where many sites agree.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from scipy.interpolate import PchipInterpolator

from rmt_jacobian.arrays import to_numpy
from rmt_jacobian.errors import HypothesisError
from rmt_jacobian.pencils.blocks.chain import BlockChain
from rmt_jacobian.pencils.blocks.rank import dense
from rmt_jacobian.pencils.chain.product_chain import ProductChain
from rmt_jacobian.pencils.chain.protocol import Chain
from rmt_jacobian.pencils.ensembles import OrthogonalWeights
from rmt_jacobian.singular_values.panels import Node, Panel, Table

__all__ = ["distance_to_sites", "of_sites_alone", "site_table"]

_MOST = 64  # panels of the same mass
_ATOM = 1e-9  # half of the relative width in which the mass of an atom is put
_MANY = 8  # sites that agree, from which on they are an atom
_NOTHING = 1e-12  # mass that rounding leaves
_LEAST = 1e-300  # what stands for a number that has left the range


def of_sites_alone(chain: Chain) -> bool:
    r"""Whether the singular values are those of the sites."""
    if chain.deterministic:
        return True
    if not isinstance(chain, ProductChain):
        return False
    orthogonal = isinstance(chain.ensemble, OrthogonalWeights)
    return chain.steps == 1 and orthogonal and bool(np.all(to_numpy(chain.sites.direct) == 0))


def site_table(chain: Chain) -> Table:
    """Interpolate the distribution of the singular values of the sites, monotonically in log s.

    Raises
    ------
    HypothesisError
        If the product is 0.

    Examples
    --------
    >>> from rmt_jacobian.pencils import SiteHistory
    >>> gate = np.exp(np.linspace(-1, 0, 1001))[None, :]
    >>> chain = ProductChain(SiteHistory.of(0 * gate, gate), OrthogonalWeights(1.0))
    >>> below, density = site_table(chain).evaluate(np.array([-0.75, -0.5]))
    >>> below.round(3), density.round(2)
    (array([0.25, 0.5 ]), array([1., 1.]))
    """
    drawn = _Drawn.of(chain)
    if not drawn.positions.size:
        raise HypothesisError(
            "the product is 0, as with weight_std = 0, and so are all of its singular values: "
            "there is no density"
        )
    positions, below, atoms = _steps(drawn)
    kept = np.unique(np.concatenate([_evenly(len(positions)), atoms]))
    positions, below = positions[kept], below[kept]
    density = PchipInterpolator(positions, below)(positions, 1)
    nodes = [_node(*values) for values in zip(positions, below, density, strict=True)]
    panels = tuple(_MonotonePanel(*pair) for pair in pairwise(nodes))
    return Table(panels, _intervals(panels), drawn.lost)


def distance_to_sites(table: Table, chain: Chain) -> float:
    """Return the largest difference of a distribution function from that of drawn sites."""
    positions, below, _ = _steps(_Drawn.of(chain))
    return float(np.max(np.abs(table.evaluate(positions)[0] - below), initial=0.0))


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Log s of drawn sites in increasing order, the mass at each, that at 0, and their number."""

    positions: np.ndarray
    masses: np.ndarray
    lost: float
    count: int

    @classmethod
    def of(cls, chain: Chain) -> "_Drawn":
        """Return those of a chain; sites that agree are one."""
        values, shares = _singular_values(chain)
        seen = values > 0
        lost = max(0.0, 1.0 - float(shares[seen].sum()))
        return cls(*_grouped(np.log(values[seen]), shares[seen]), lost, len(values))

    @property
    def below(self) -> np.ndarray:
        """The distribution function, halfway up at every site."""
        return self.lost + np.cumsum(self.masses) - self.masses / 2


def _evenly(count: int) -> np.ndarray:
    """Return places between which lies about the same mass, and towards both ends ever less."""
    panels = max(1, min(_MOST, count // _MANY))
    inside = np.linspace(0, count - 1, panels + 1).astype(int)
    widest = (count - 1) // panels
    near = _MANY * 2 ** np.arange(max(0, (widest // _MANY).bit_length() - 1))
    return np.unique(np.concatenate([inside, near, count - 1 - near]))


def _singular_values(chain: Chain) -> tuple[np.ndarray, np.ndarray]:
    """Return the singular values of all sites, and the share of each."""
    if isinstance(chain, ProductChain):
        weights = to_numpy(chain.sites.weights)
        if chain.deterministic:
            return np.abs(np.prod(to_numpy(chain.sites.direct), axis=0)), weights
        scale = math.sqrt(chain.ensemble.variance)
        return scale * np.abs(to_numpy(chain.sites.gate)[0]), weights
    assert isinstance(chain, BlockChain)
    weights, d = to_numpy(chain.sites.weights), chain.sites.states
    product = np.eye(d)
    for step in chain.sites.diagonals:
        product = dense(step.state, len(weights), d) @ product
    values = np.linalg.svd(product, compute_uv=False)
    shares = np.repeat(weights[:, None] / d, d, axis=1)
    # Those that the ranks leave out are rounding, the least in their matrices.
    relative = values / np.maximum(values[:, :1], _LEAST)
    order = np.argsort(relative, axis=None)
    values, shares = values.ravel()[order], shares.ravel()[order]
    alive = np.cumsum(shares) > chain.lost + _NOTHING
    return np.where(alive, np.maximum(values, _LEAST), 0.0), shares


def _grouped(positions: np.ndarray, masses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return increasing positions that are apart by more than an atom is wide, and their masses."""
    if not positions.size:
        return positions, masses
    order = np.argsort(positions)
    positions, masses = positions[order], masses[order]
    starts = np.append(True, np.diff(positions) > 4 * _ATOM)
    return positions[starts], np.bincount(np.cumsum(starts) - 1, masses)


def _steps(drawn: _Drawn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return positions, the distribution function there, and which of them are ends of an atom.

    It is halfway up at a single site; an atom has a point on either side.
    """
    positions, masses = drawn.positions, drawn.masses
    # If all sites are the same, so few as they are, the law is an atom.
    is_atom = (masses > _MANY / drawn.count) | (len(positions) == 1)
    index = np.repeat(np.arange(len(positions)), 1 + is_atom)
    side = np.where(is_atom[index], np.append(-1, np.where(np.diff(index) == 0, 1, -1)), 0)
    below = drawn.below[index] + masses[index] * side / 2
    below[0], below[-1] = drawn.lost, 1.0
    return positions[index] + side * _ATOM, below, np.flatnonzero(side)


def _intervals(panels: tuple[Panel, ...]) -> tuple[tuple[float, float], ...]:
    """Return the intervals of s that panels with mass make up."""
    found: list[tuple[float, float]] = []
    for panel in panels:
        low, high = math.exp(panel.left.position), math.exp(panel.right.position)
        if panel.right.below - panel.left.below <= _NOTHING:
            continue
        if found and found[-1][1] == low:
            low = found.pop()[0]
        found.append((low, high))
    return tuple(found)


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
