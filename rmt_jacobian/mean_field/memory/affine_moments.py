r"""Second moments of an affine site, in one network and in two that share their weights.

With :math:`\hat s = (1, s)` and :math:`\hat A = \begin{pmatrix} 1 & 0 \\ b & A \end{pmatrix}`,
G = E[s s^T] of one network, or of two with coefficients 1 and 2, solves

.. math:: \hat G = E[\hat A_1 \hat G \hat A_2^T], \qquad
          E[y_k^{(1)} y_k^{(2)}] = E[\hat Y_k^{(1)} \hat G \hat Y_k^{(2) T}] .

It exists if the spectral radius of :math:`E[A \otimes A]` is below 1.  Frozen biases are
conditions: the equations hold for each value of them, and averages over sites are averages over the
values.
"""

import itertools
import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import sympy as sp

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.cells.specification import Table
from rmt_jacobian.errors import InfeasibleError
from rmt_jacobian.gaussian import normal_rule
from rmt_jacobian.mean_field.averages.bends import is_gentle
from rmt_jacobian.mean_field.averages.factors import complemented
from rmt_jacobian.mean_field.averages.fresh import FreshVariables
from rmt_jacobian.mean_field.averages.jumps import jumps_by
from rmt_jacobian.mean_field.averages.low_discrepancy import PointSets
from rmt_jacobian.mean_field.averages.quadrature import infinite_where_met
from rmt_jacobian.mean_field.memory.affine import AffineForm
from rmt_jacobian.mean_field.memory.affine_response import AffineResponses

__all__ = [
    "AffineModel",
    "FrozenBiases",
    "change_by_gates",
    "growth_of_memory",
    "kronecker",
    "memory_edge",
    "refuse_growth",
    "stationary_second",
]

_TENSOR = 3  # frozen biases that a product of rules takes
_MOST_VALUES = 200_000  # of all frozen biases together, for one state
_ROUNDING = 1e-13  # of eigenvalues of matrices
_TOO_SLOW = 1e-120  # what a step forgets; moments of what remembers longer overflow
_FAR = 1e4  # deviations; what a frozen bias does at most
_SCANNED = 12  # values of a bias in between


@dataclass(frozen=True, eq=False)
class FrozenBiases:
    """Values of the biases of a site, less their means, and the share of sites that have them.

    Attributes
    ----------
    values
        Shape (preactivations, R or 1, biases).
    shares
        Shape (biases,), of sum 1.
    """

    values: np.ndarray
    shares: np.ndarray

    @classmethod
    def of(cls, cell: Cell, parameters: Parameters, points: PointSets) -> "FrozenBiases":
        """Return nodes of a quadrature; low-discrepancy points where there are many biases."""
        K = len(cell.gates)
        frozen = [k for k in range(K) if parameters.is_frozen(k)]
        gentle = all(is_gentle(each) for each in (*cell.updates, *cell.sources))
        rules = []
        for k in frozen:
            group = parameters.groups[k][1]
            rule = normal_rule(group.bias_mean, group.bias_std**2)
            # The averages over the fresh part have smoothed what is seen of a bias.
            thin = slice(None, None, 2) if gentle else slice(None)
            rules.append((rule.nodes[thin] - group.bias_mean, rule.weights[thin]))
        size = math.prod(len(nodes) for nodes, _ in rules)
        if len(rules) <= _TENSOR and size <= _MOST_VALUES / len(cell.states) ** 2:
            values = np.zeros((K, 1, size))
            grids = np.meshgrid(*(nodes for nodes, _ in rules), indexing="ij")
            for k, grid in zip(frozen, grids, strict=True):
                values[k, 0] = grid.ravel()
            shares = np.ones(1)
            for _, weights in rules:
                shares = np.multiply.outer(shares, weights).ravel()
            return cls(values, shares / shares.sum())
        z = points.normals(len(frozen), points.count, frozen=True)
        values = np.zeros((K, z.shape[0], z.shape[2]))
        for i, k in enumerate(frozen):
            values[k] = parameters.groups[k][1].bias_std * z[:, i]
        return cls(values, np.full(z.shape[2], 1 / z.shape[2]))

    def average(self, values: np.ndarray) -> np.ndarray:
        """Average over the biases, the second axis."""
        return np.tensordot(self.shares, values, (0, 1))


@dataclass(frozen=True, eq=False)
class AffineModel:
    """The moments of an affine cell as functions of the variances of its preactivations.

    Attributes
    ----------
    cell, parameters
        The cell and its hyperparameters.
    form
        Its coefficients.
    points
        For averages that entangle many variables.
    """

    cell: Cell
    parameters: Parameters
    form: AffineForm
    points: PointSets

    @cached_property
    def frozen(self) -> FrozenBiases:
        """The frozen biases."""
        return FrozenBiases.of(self.cell, self.parameters, self.points)

    def fresh(
        self,
        variances: tuple[float, ...],
        correlations: tuple[float, ...] | None = None,
        input_correlation: float = 1.0,
        biases: np.ndarray | None = None,
    ) -> FreshVariables:
        """Return the fresh variables, of variances less those of frozen biases."""
        return FreshVariables(
            self.cell, self.parameters, variances, correlations, input_correlation,
            self.frozen.values if biases is None else biases, self.points,
        )  # fmt: skip

    def second(self, fresh: FreshVariables) -> np.ndarray:
        """Return E[(1, s)(1, s)^T], shape (R or 1, biases, 1 + states, 1 + states)."""
        return stationary_second(self.form.update, fresh)

    def source_products(self, fresh: FreshVariables, second: np.ndarray) -> np.ndarray:
        """Return E[y_k y_k], shape (R or 1, preactivations)."""
        found = [
            self.frozen.average(np.sum(fresh.outer(row) * second, axis=(-2, -1)))
            for row in self.form.sources
        ]
        return np.stack(np.broadcast_arrays(*found), axis=-1)

    def state_squares(self, second: np.ndarray) -> np.ndarray:
        """Return E[s^2], shape (R or 1, states)."""
        return self.frozen.average(np.diagonal(second, axis1=-2, axis2=-1))[..., 1:]

    def responses(
        self, fresh: FreshVariables, second: np.ndarray, *, jumps: bool
    ) -> AffineResponses:
        """Return the responses to a small change of one of the networks.

        With ``jumps`` those of averages, infinite where fully correlated networks meet a jump;
        without, those almost everywhere.
        """
        form = self.form
        K, m = len(form.gates), len(form.update)
        slopes = tuple(entry for row in form.update for entry in row[1:])
        carry = kronecker(fresh.outer(slopes), m)
        shape = carry.shape[:2]
        sources = [_flat(fresh.outer(row[1:])) for row in form.sources]
        known = self.cell.gates if jumps else (None,) * K
        gates = [_response(fresh, form.update, table, second, gate)
                 for table, gate in zip(form.gates, known, strict=True)]  # fmt: skip
        reads = [
            [
                self.frozen.average(_response(fresh, (source,), (row,), second, gate)[..., 0])
                for row, gate in zip(rows, known, strict=True)
            ]
            for source, rows in zip(form.sources, form.reads, strict=True)
        ]
        R = max(shape[0], *(np.shape(each)[0] for each in (*sources, *gates)))
        B = max(shape[1], *(np.shape(each)[1] for each in (*sources, *gates)))
        read = np.zeros((R, K, K))
        for k, j in itertools.product(range(K), range(K)):
            read[:, k, j] = reads[k][j]
        stds = np.array([group.weight_std for _, group in self.parameters.groups])
        return AffineResponses(
            read,
            _stacked(sources, (R, B), -2),
            np.broadcast_to(carry, (R, B, m * m, m * m)),
            _stacked(gates, (R, B), -1),
            stds**2,
            self.frozen.shares,
            self.edge(fresh) if carry.shape[1] > 1 else None,
        )

    def edge(self, fresh: FreshVariables) -> float:
        """Return the most that a site keeps of a squared change, whatever its frozen biases."""
        return memory_edge(self.cell, self.parameters, self.form.update, fresh)


def stationary_second(update: Table, fresh: FreshVariables) -> np.ndarray:
    """Solve for the second moment of s' = A s + b; see :mod:`.affine_moments`.

    Raises
    ------
    InfeasibleError
        If it grows for ever.
    """
    m = len(update)
    rests = tuple(row[0] for row in update)
    slopes = tuple(entry for row in update for entry in row[1:])
    one = (sp.S.One,)
    forgotten = _forgotten(slopes, fresh, m)
    if reason := growth_of_memory(update, fresh):
        raise InfeasibleError(reason)
    means = fresh.outer((*slopes, *rests), one)[..., 0]
    A, b = means[..., : m * m], means[..., m * m :]
    A = A.reshape(*A.shape[:-1], m, m)
    lost = np.eye(m) - A
    for i in range(m):
        lost[..., i, i] = fresh.average(complemented(sp.sympify(1 - update[i][1 + i], strict=True)))
    mean = np.linalg.solve(lost, b[..., None])[..., 0]
    crosses = fresh.outer(slopes, rests)  # a_ik b_j
    crosses = crosses.reshape(*crosses.shape[:-2], m, m, m)
    cross = np.einsum("...ikj,...k->...ij", crosses, mean)
    own = fresh.outer(rests)
    right = cross + np.swapaxes(cross, -1, -2) + own
    if fresh.correlations is not None:
        right = (right + np.swapaxes(right, -1, -2)) / 2
    flat = right.reshape(*right.shape[:-2], m * m, 1)
    inner = np.linalg.solve(forgotten, flat)[..., 0]
    inner = inner.reshape(*inner.shape[:-1], m, m)
    second = np.ones((*inner.shape[:-2], m + 1, m + 1))
    second[..., 0, 1:] = second[..., 1:, 0] = mean
    second[..., 1:, 1:] = (inner + np.swapaxes(inner, -1, -2)) / 2
    return second


def memory_edge(cell: Cell, parameters: Parameters, update: Table, fresh: FreshVariables) -> float:
    """Return the most that an affine memory keeps of a squared change, over all frozen biases."""
    K, m = len(cell.gates), len(update)
    frozen = [k for k in range(K) if parameters.is_frozen(k)]
    slopes = tuple(entry for row in update for entry in row[1:])
    symbols = {symbol for slope in slopes for symbol in slope.free_symbols}
    frozen = [k for k in frozen if cell.gates[k] in symbols]
    ends = np.concatenate([[-_FAR, _FAR], np.linspace(-8, 8, 2 * _SCANNED // len(frozen) + 1)]
                          ) if frozen else np.zeros(1)  # fmt: skip
    corners = np.array(list(itertools.product(ends, repeat=len(frozen)))).T
    values = np.zeros((K, 1, corners.shape[-1] if frozen else 1))
    for k, row in zip(frozen, corners, strict=True):
        values[k, 0] = row * parameters.groups[k][1].bias_std
    there = replace(fresh, biases=values, _known={})
    carry = kronecker(there.outer(slopes), m)
    kept = float(np.max(np.abs(np.linalg.eigvals(carry))))
    return 1.0 if abs(kept - 1) <= _ROUNDING else kept  # gates that are open keep all


def refuse_growth(cell: Cell, parameters: Parameters, update: Table, fresh: FreshVariables) -> None:
    """Refuse an affine memory that grows for ever.

    Raises
    ------
    InfeasibleError
        If it does, at all sites or at those of some frozen biases.
    """
    frozen = [k for k in range(len(cell.gates)) if parameters.is_frozen(k)]
    plain = replace(fresh, biases=None, _known={})
    if reason := growth_of_memory(update, plain):
        raise InfeasibleError(reason)
    if frozen and (kept := memory_edge(cell, parameters, update, fresh)) > 1 + _ROUNDING:
        names = " and ".join(repr(cell.preactivations[k].name) for k in frozen)
        raise InfeasibleError(
            f"{cell.name}: sites with a large frozen bias of {names} grow for ever, so that there "
            f"is no stationary state: a step keeps {kept:.6g} of their second moment; redraw the "
            "biases, or set their bias_std to 0"
        )


def _forgotten(slopes: tuple[sp.Expr, ...], fresh: FreshVariables, m: int) -> np.ndarray:
    """Return 1 - E[A (x) A] with all digits where A is close to 1."""
    fresh = fresh.without_biases_for(slopes)
    found = np.eye(m * m) - kronecker(fresh.outer(slopes), m)
    lost = tuple(complemented(sp.sympify(1 - slopes[i * m + i], strict=True)) for i in range(m))
    own = fresh.outer(lost, (sp.S.One,))[..., 0]
    both = fresh.outer(lost)
    for i in range(m):
        for j in range(m):
            found[..., i * m + j, i * m + j] = own[..., i] + own[..., j] - both[..., i, j]
    return found


def growth_of_memory(update: Table, fresh: FreshVariables) -> str:
    """Say which states grow for ever, and why; nothing where the second moment settles."""
    m, cell = len(update), fresh.cell
    slopes = tuple(entry for row in update for entry in row[1:])
    forgotten = _forgotten(slopes, fresh, m)
    values = forgotten[..., 0] if m == 1 else np.linalg.eigvals(forgotten)
    lowest = np.min(np.real(values), axis=-1)
    least = np.unravel_index(np.argmin(lowest), lowest.shape)
    if lowest[least] > (_TOO_SLOW if m == 1 else _ROUNDING):
        return ""
    values, vectors = np.linalg.eig(forgotten[least])
    k = int(np.argmin(np.real(values)))
    shape = np.abs(np.diagonal(vectors[:, k].reshape(m, m)))
    known = [cell.states[i] for i in (range(m) if m == len(cell.states) else cell.memory)]
    growing = [i for i in range(m) if shape[i] > 1e-6 * max(float(shape.max()), 1e-300)]
    names = " and ".join(str(known[i]) for i in growing)
    symbols = {s for i in growing for entry in update[i][1:] for s in entry.free_symbols}
    owners = [p.name for p in cell.preactivations if p.symbol in symbols]
    mend = (
        f"change the parameters of {' or '.join(repr(name) for name in owners)}"
        if owners
        else "it does so at any parameters: let the update forget"
    )
    return (
        f"{cell.name}: {names} grow{'s' if len(growing) == 1 else ''} for ever, so that there is "
        f"no stationary state: a step keeps {1 - float(lowest[least]):.6g} of the second moment; "
        f"{mend}"
    )


def kronecker(products: np.ndarray, m: int) -> np.ndarray:
    """Turn E[a_ik a_jl], shape (.., i k, j l), into the matrix that maps (k l) to (i j)."""
    split = products.reshape(*products.shape[:-2], m, m, m, m)
    return np.swapaxes(split, -3, -2).reshape(*products.shape[:-2], m * m, m * m)


def _stacked(arrays: list[np.ndarray], shape: tuple[int, int], axis: int) -> np.ndarray:
    """Stack arrays that are known for point sets and biases, or for all of them."""
    return np.stack([np.broadcast_to(a, (*shape, a.shape[-1])) for a in arrays], axis=axis)


def _flat(matrix: np.ndarray) -> np.ndarray:
    return matrix.reshape(*matrix.shape[:-2], -1)


def change_by_gates(fresh: FreshVariables, slopes: Table, second: np.ndarray) -> np.ndarray:
    """Return E[B G B^T] of slopes B by a preactivation, almost everywhere: (R, biases, rows^2)."""
    derivatives = tuple(entry for row in slopes for entry in row)
    return _sandwiched(fresh.outer(derivatives), second, len(slopes))


def _response(
    fresh: FreshVariables, table: Table, slopes: Table, second: np.ndarray, gate: sp.Symbol | None
) -> np.ndarray:
    """Return E[B G B^T] of the slopes B of a table by a preactivation, shape (R, biases, rows^2).

    Jumps of the table count where the preactivation is named.
    """
    functions, derivatives = (tuple(e for row in each for e in row) for each in (table, slopes))
    if gate is None or not any(jumps_by(function, gate) for function in functions):
        return change_by_gates(fresh, slopes, second)
    finite, met = fresh.outer_slopes(functions, derivatives, gate)
    return infinite_where_met(
        _sandwiched(finite, second, len(table)),
        _sandwiched(met, second, len(table)),
        _sandwiched(np.abs(met), np.abs(second), len(table)),
    )


def _sandwiched(products: np.ndarray, second: np.ndarray, rows: int) -> np.ndarray:
    """Return E[B G B^T] from the E[b_ia b_jb], flattened: shape (R or 1, biases, rows^2)."""
    columns = products.shape[-1] // rows
    split = products.reshape(*products.shape[:-2], rows, columns, rows, columns)
    return _flat(np.einsum("...iajb,...ab->...ij", split, second))
