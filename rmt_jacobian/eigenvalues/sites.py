r"""The eigenvalue problem of one step, site by site, with the states eliminated.

With e = W y between sites and y = H e at a site (see :mod:`~rmt_jacobian.eigenvalues.polynomials`),

.. math:: \det(\lambda - J) = \det(\lambda - A) \, \det(1 - W H(\lambda)) ,

and with the self-energies :math:`-i a_k` at the row of :math:`e_k` and :math:`-i b_j` at the source
:math:`y_j` the logarithm of its modulus squared is, up to what the W add, the site average of

.. math::
    \log \Big( |\det(\lambda - A)|^2 \, \det(1 + b H a H^*) \Big)
        = \log \sum_{R, C} b_R \, a_C \, |q_{RC}(\lambda)|^2 ,

by the formula of Cauchy and Binet: a sum of squares that does not cancel and has no pole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from scipy.sparse.csgraph import connected_components

from rmt_jacobian.arrays import array_namespace, to_numpy
from rmt_jacobian.eigenvalues.polynomials import Polynomial, Square, minor, squares
from rmt_jacobian.errors import HypothesisError, ParameterError
from rmt_jacobian.mean_field import Sites
from rmt_jacobian.pencils.ensembles import BiInvariant, GaussianWeights, ensemble

__all__ = ["Block", "Group", "SiteProblem", "TermValues", "site_problem"]

_MOST_MINORS = 4000
_NEAR_FULL = 1e-6  # distance from u = -1 at which the end of an S-transform is read off


@dataclass(frozen=True)
class Group:
    """Random matrices that enter the equations through one pair of self-energies.

    Gaussian matrices that multiply the same source are one group, of unit variance; their scales
    are in the polynomials.

    Attributes
    ----------
    members
        Indices of the preactivations.
    source
        Index of the source among those of its block.
    ensemble
        The law of the matrices.
    """

    members: tuple[int, ...]
    source: int
    ensemble: BiInvariant

    @cached_property
    def inverse_variance(self) -> float:
        r""":math:`1 / S(-1)`, one over the mean of :math:`(W W^T)^{-1}`; 0 where that diverges."""
        u = np.array([100, 2, 1]) * _NEAR_FULL - 1.0
        far, near, nearest = (1 + u) * np.real(self.ensemble.gain(u.astype(complex)))
        if not (nearest > 0 and abs(far - nearest) <= 0.1 * nearest):
            return 0.0
        return float(2 * nearest - near)


@dataclass(frozen=True, eq=False)
class Block:
    r"""An irreducible part of the problem: preactivations that reach one another.

    Attributes
    ----------
    groups
        The random matrices.
    sources
        How many distinct sources they multiply.
    exponents
        One row for each monomial in :math:`(a_1, \ldots, b_1, \ldots)`, the first row being that of
        :math:`|\det(\lambda - A)|^2`; shape (monomials, groups + sources).
    monomials
        The squares of each, without the common power.
    common_power
        The highest power of :math:`\lambda` that divides all polynomials.
    """

    groups: tuple[Group, ...]
    sources: int
    exponents: np.ndarray
    monomials: tuple[tuple[Square, ...], ...]
    common_power: int

    def terms(self, lam: Any) -> Any:
        """Return the squares, shape (points, monomials, sites), for ``lam`` of shape (points,)."""
        values = TermValues(self, lam)
        terms = [values.term(m) for m in range(len(self.monomials))]
        return array_namespace(lam).stack(terms, axis=1)

    def slopes(self, lam: Any) -> tuple[Any, Any]:
        r"""Return the sums of :math:`q' \bar q` and :math:`|q'|^2`, shaped like the terms."""
        xp, column = array_namespace(lam), lam[:, None]
        first, second = [], []
        for monomial in self.monomials:
            parts = [square.slope(column) for square in monomial]
            first.append(sum(part[0] for part in parts))
            second.append(sum(part[1] for part in parts))
        shape = (lam.shape[0], self.sites)
        return (
            xp.stack([xp.broadcast_to(part, shape) for part in first], axis=1),
            xp.stack([xp.broadcast_to(part, shape) for part in second], axis=1),
        )

    @property
    def sites(self) -> int:
        """The number of sites."""
        return self.monomials[0][0].coefficients[0].shape[0]


class TermValues:
    """The monomials of a block at points, each evaluated when it is first needed."""

    def __init__(self, block: Block, lam: Any) -> None:
        self.block, self.lam = block, lam[:, None]
        self._terms: dict[int, Any] = {}

    def term(self, m: int) -> Any:
        """Return monomial m, shape (points, sites)."""
        if m not in self._terms:
            squares = self.block.monomials[m]
            self._terms[m] = sum(square.value(self.lam) for square in squares)
        return self._terms[m]

    def sum(self, m: int, share: Any) -> np.ndarray:
        """Return the sum over the sites of monomial m times a share, shape (points,)."""
        xp = array_namespace(share)
        if m in self._terms:
            return to_numpy(xp.vecdot(self._terms[m], share))
        total: Any = 0.0
        for square in self.block.monomials[m]:
            if len(square.coefficients) == 1:
                # No site by site product is needed where only the power depends on the point.
                modulus = xp.real(self.lam[:, 0]) ** 2 + xp.imag(self.lam[:, 0]) ** 2
                total = total + modulus**square.power * (share @ square.coefficients[0] ** 2)
            else:
                total = total + xp.vecdot(square.value(self.lam), share)
        return to_numpy(total)


@dataclass(frozen=True, eq=False)
class SiteProblem:
    r"""The eigenvalue problem on given sites.

    Attributes
    ----------
    blocks
        Its irreducible parts; the determinant is the product of theirs.
    states
        d, the number of states.
    weights
        The share of every site, shape (sites,).
    determinant
        The square of :math:`\det(\lambda - A)`.
    own_eigenvalues
        Those of the site matrices A, shape (sites, d), on the host.
    """

    blocks: tuple[Block, ...]
    states: int
    weights: Any
    determinant: Square
    own_eigenvalues: np.ndarray


def site_problem(
    sites: Sites, weights: str | BiInvariant | Mapping[str, str | BiInvariant]
) -> SiteProblem:
    """Eliminate the states of a step.

    Parameters
    ----------
    sites
        The sites of the step, of any cell.
    weights
        The ensemble of all W, or of each preactivation by name.

    Raises
    ------
    ParameterError
        If a name is unknown or missing, or a site variable is not finite.
    HypothesisError
        If the cell has too many preactivations and sources for all minors to be written out.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, lstm
    >>> x = np.zeros(1)
    >>> problem = site_problem(Sites.of(lstm, Parameters.of(lstm), [x, x], [x] * 4), "gaussian")
    >>> problem.states, [block.sources for block in problem.blocks]
    (2, [1])
    """
    derivatives = sites.derivatives
    size = len(sites.cell.states)
    tables = {
        name: {key: value + 0 * sites.x for key, value in getattr(derivatives, name).items()}
        for name in ("state", "gate", "source_state", "source_gate")
    }
    for table in tables.values():
        for value in table.values():
            if not bool(array_namespace(value).all(array_namespace(value).isfinite(value))):
                raise ParameterError("the Jacobian has infinite entries at some sites: mend them")
    random = _ensembles(sites, weights)
    sources = _distinct_sources(sites, random)
    writer = _Minors(size, sites.x * 0 + 1, tables)
    (determinant,) = squares([(1.0, writer((), ()))])
    return SiteProblem(
        tuple(_block(writer, random, sources, part) for part in _parts(writer, sources)),
        size,
        sites.weights,
        determinant,
        _own_eigenvalues(size, sites.count, tables["state"]),
    )


def _ensembles(
    sites: Sites, weights: str | BiInvariant | Mapping[str, str | BiInvariant]
) -> dict[int, BiInvariant]:
    """Return the ensembles of the preactivations that have a W that is not 0."""
    named = {k: each for k, each in enumerate(sites.cell.preactivations) if each.reads_state}
    if isinstance(weights, Mapping):
        names = {each.name for each in named.values()}
        if names != set(weights):
            raise ParameterError(
                f"weights must name {', '.join(sorted(names))}, not {', '.join(sorted(weights))}"
            )
        chosen = {k: weights[each.name] for k, each in named.items()}
    else:
        chosen = dict.fromkeys(named, weights)
    found = {
        k: ensemble(chosen[k], sites.parameters[each.name].weight_std) for k, each in named.items()
    }
    return {k: random for k, random in found.items() if random.variance > 0}


def _distinct_sources(sites: Sites, random: Mapping[int, BiInvariant]) -> dict[int, int]:
    """Return for each preactivation the first one with the same source."""
    first: dict[Any, int] = {}
    return {k: first.setdefault(sites.cell.sources[k], k) for k in random}


@dataclass(frozen=True, eq=False)
class _Minors:
    """The polynomials q of rows (sources, named by a preactivation that has it) and columns."""

    size: int
    one: Any
    tables: Mapping[str, Mapping[tuple[int, int], Any]]

    def __call__(self, rows: Sequence[int], columns: Sequence[int]) -> dict[int, Any]:
        state, gate = self.tables["state"], self.tables["gate"]
        matrix: list[list[Polynomial]] = []
        for i in range(self.size):
            line: list[Polynomial] = []
            for j in range(self.size):
                entry = {0: -state[i, j]} if (i, j) in state else {}
                line.append({**entry, 1: self.one} if i == j else entry)
            line += [_constant(gate.get((i, k))) for k in columns]
            matrix.append(line)
        for row in rows:
            matrix.append(
                [_constant(self.tables["source_state"].get((row, s)), -1) for s in range(self.size)]
                + [_constant(self.tables["source_gate"].get((row, k))) for k in columns]
            )
        return minor(matrix)


def _constant(value: Any, sign: int = 1) -> Polynomial:
    return {} if value is None else {0: sign * value}


def _vanishes(polynomial: Polynomial) -> bool:
    return not squares([(1.0, polynomial)])


def _parts(writer: _Minors, sources: Mapping[int, int]) -> list[list[int]]:
    """Return the preactivations that reach themselves and one another through H and W."""
    members = list(sources)
    reaches = np.array(
        [[not _vanishes(writer((sources[k],), (other,))) for other in members] for k in members],
        dtype=bool,
    ).reshape(len(members), len(members))
    count, labels = connected_components(reaches, directed=True, connection="strong")
    parts = [[k for k, label in zip(members, labels, strict=True) if label == c]
             for c in range(count)]  # fmt: skip
    return [
        part
        for part in parts
        if len(part) > 1 or reaches[members.index(part[0]), members.index(part[0])]
    ]


def _block(
    writer: _Minors,
    random: Mapping[int, BiInvariant],
    sources: Mapping[int, int],
    members: Sequence[int],
) -> Block:
    rows = sorted({sources[k] for k in members})
    _check_count(len(rows), len(members))
    groups, scales = _groups(random, sources, members, rows)
    of_member = {k: g for g, group in enumerate(groups) for k in group.members}
    collected: dict[tuple[int, ...], list[tuple[float, Polynomial]]] = {}
    for order in range(len(rows) + 1):
        for chosen in combinations(range(len(rows)), order):
            for columns in combinations(members, order):
                exponent = np.zeros(len(groups) + len(rows), dtype=int)
                np.add.at(exponent, [of_member[k] for k in columns], 1)
                exponent[[len(groups) + j for j in chosen]] = 1
                weight = float(np.prod([scales[k] for k in columns]))
                polynomial = writer([rows[j] for j in chosen], columns)
                collected.setdefault(tuple(exponent), []).append((weight, polynomial))
    found = {key: squares(values) for key, values in collected.items()}
    kept = {key: value for key, value in found.items() if value}
    common = min(square.power for value in kept.values() for square in value)
    monomials = tuple(
        tuple(Square(square.power - common, square.coefficients) for square in value)
        for value in kept.values()
    )
    return Block(groups, len(rows), np.array(list(kept), dtype=int), monomials, common)


def _groups(
    random: Mapping[int, BiInvariant],
    sources: Mapping[int, int],
    members: Sequence[int],
    rows: Sequence[int],
) -> tuple[tuple[Group, ...], dict[int, float]]:
    """Return the groups of a block and the scale that its polynomials carry for each member."""
    groups: list[Group] = []
    gaussian: dict[int, list[int]] = {}
    for k in members:
        if isinstance(random[k], GaussianWeights):
            gaussian.setdefault(sources[k], []).append(k)
        else:
            groups.append(Group((k,), rows.index(sources[k]), random[k]))
    for source, alike in gaussian.items():
        groups.append(Group(tuple(alike), rows.index(source), GaussianWeights(1.0)))
    scales = {
        k: random[k].variance if isinstance(random[k], GaussianWeights) else 1.0 for k in members
    }
    return tuple(groups), scales


def _check_count(rows: int, columns: int) -> None:
    if comb(rows + columns, rows) > _MOST_MINORS:
        raise HypothesisError(
            f"{rows} sources and {columns} preactivations have more than {_MOST_MINORS} minors: "
            "sample the eigenvalues instead"
        )


def _own_eigenvalues(size: int, count: int, state: Mapping[tuple[int, int], Any]) -> np.ndarray:
    matrices = np.zeros((count, size, size))
    for (i, j), value in state.items():
        matrices[:, i, j] = to_numpy(value)
    return np.linalg.eigvals(matrices)
