"""Whether the factors of a product are free, free over the diagonal matrices, or neither."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from rmt_jacobian.arrays import Seed, spawn
from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import Cell, Point, cell_and_parameters
from rmt_jacobian.comparison.measured import Estimate
from rmt_jacobian.comparison.paired_theory import paired_theory
from rmt_jacobian.comparison.product_statistics import STATISTICS, statistics_of
from rmt_jacobian.comparison.rows import FAILS
from rmt_jacobian.comparison.shared_freeness import (
    Followed,
    SharedLawTest,
    jacobian_of,
    shared_law_test,
)
from rmt_jacobian.counts import check_counts
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.parallel import map_samples
from rmt_jacobian.sampling import Weights, checked_weights, run_network

__all__ = [
    "CellFreeness",
    "FreenessRow",
    "FreenessTest",
    "freeness_of_cell",
    "freeness_test",
]

# Sizes of the corrections at finite N, in units of 1/N; T for m_1 and m_2.  Measured: up to 0.3 T
# for the moments; 1 for the alternating moment of Gaussian factors, and 4 of orthogonal vanilla
# ones, whose W knows the direction of the state; 0.2 for the overlap.
_ALTERNATING, _OVERLAP = 2.0, 0.5


@dataclass(frozen=True)
class FreenessRow:
    """One statistic of a product, beside what freeness and freeness over the diagonal predict.

    Attributes
    ----------
    name
        ``"m_1"``, ``"m_2"``, ``"alternating"`` or ``"overlap"``.
    sampled
        Mean and standard error over samples.
    free, diagonal
        Predictions, averaged over samples.
    free_excess, diagonal_excess
        Mean of (sampled - predicted) on the same matrices, moments in units of the prediction.
    finite_width
        Size of the corrections to either prediction at finite N, in the same units.
    """

    name: str
    sampled: Estimate
    free: float
    diagonal: float
    free_excess: Estimate
    diagonal_excess: Estimate
    finite_width: float

    @property
    def free_z(self) -> float:
        """How far the samples are above the prediction of freeness, in standard errors."""
        return self._z(self.free_excess)

    @property
    def diagonal_z(self) -> float:
        """How far they are above the prediction of freeness over the diagonal."""
        return self._z(self.diagonal_excess)

    def _z(self, excess: Estimate) -> float:
        error = math.hypot(excess.standard_error, self.finite_width)
        return -Estimate(excess.value, error).z(0.0)


@dataclass(frozen=True)
class FreenessTest:
    r"""How far sampled products are from both predictions.

    Attributes
    ----------
    rows
        For m_1 and m_2 of the product, the alternating moment and the overlap of successive
        factors.  Factors are first divided by :math:`\sqrt{\tau(J_t J_t^T)}`.
    steps, width, samples
        T, N and the number of products.
    states
        d.  With d states, "over the diagonal" means over the matrices that mix the states of a site
        but no sites; the factors have shape (dN, dN), and traces are divided by dN.

    Notes
    -----
    ``print`` shows a table.
    """

    rows: tuple[FreenessRow, ...]
    steps: int
    width: int
    samples: int
    states: int = 1

    @property
    def is_free(self) -> bool:
        """Whether no statistic rejects that the factors are free."""
        return all(abs(row.free_z) < FAILS for row in self.rows)

    @property
    def is_free_over_diagonal(self) -> bool:
        """Whether no statistic rejects that they are free over the diagonal, or site matrices."""
        return all(abs(row.diagonal_z) < FAILS for row in self.rows)

    @property
    def verdict(self) -> str:
        """``free``, ``free over the diagonal`` or ``neither``: the first not rejected.

        With several states the second is called ``free over the site matrices``.
        """
        if self.is_free:
            return "free"
        return f"free {self._over}" if self.is_free_over_diagonal else "neither"

    @property
    def _over(self) -> str:
        return "over the diagonal" if self.states == 1 else "over the site matrices"

    def row(self, name: str) -> FreenessRow:
        """Return the row of a statistic."""
        for row in self.rows:
            if row.name == name:
                return row
        raise ParameterError(f"no statistic {name!r}: use one of {', '.join(STATISTICS)}")

    def content(self) -> dict[str, Any]:
        """Return the test as plain data."""
        rows = [
            {**asdict(row), "free_z": row.free_z, "diagonal_z": row.diagonal_z} for row in self.rows
        ]
        return {
            "steps": self.steps,
            "width": self.width,
            "states": self.states,
            "samples": self.samples,
            "rows": rows,
            "verdict": self.verdict,
        }

    def __str__(self) -> str:
        header = ("", "sampled", "free", "z", self._over, "z")
        table = [header, *(_printed(row) for row in self.rows)]
        return "\n".join([*_aligned(table), f"verdict: {self.verdict}"])


@dataclass(frozen=True)
class CellFreeness:
    """The test for networks with fresh W, V and b at every step, and for those that keep them.

    Attributes
    ----------
    untied, tied
        Whether their factors are free.
    shared
        Whether the latter are as one W that is free from the diagonals, at all T places at once.
    """

    untied: FreenessTest
    tied: FreenessTest
    shared: SharedLawTest

    def __str__(self) -> str:
        return (
            f"untied\n{self.untied}\n\ntied\n{self.tied}\n\n"
            f"tied, as one W that is free from the diagonals, at {self.tied.steps} places\n"
            f"{self.shared}"
        )


@named_arguments
def freeness_test(
    samples: Iterable[Sequence[np.ndarray] | np.ndarray], *, states: int = 1
) -> FreenessTest:
    r"""Test whether the factors of sampled products are free, or free over the diagonal.

    Parameters
    ----------
    samples
        Independent samples, at least 2 and better 16; each of them T >= 2 matrices
        :math:`J_1, \ldots, J_T` of shape (N, N), the first to act first.  An array of shape
        (samples, T, N, N) will do.
    states
        d, the number of states of a site.  Matrices then have shape (dN, dN), all sites of one
        state after those of another, and D below are the matrices that are diagonal in the sites
        and mix the states of each: blocks of W that serve several states are free over these, not
        over the diagonal ones.

    Returns
    -------
    FreenessTest
        With m_1 and m_2 of the product by :class:`.FreeMoments` and :class:`.DiagonalMoments`,
        and two means over successive factors.

    Notes
    -----
    With :math:`M = J_t J_t^T - 1` and :math:`X = J_{t+1}^T J_{t+1} - 1` the alternating moment is
    :math:`\tau(M X M X) / \tau(M^2) \tau(X^2)`, which freeness makes 0, and freeness over the
    diagonal, with :math:`d = E_D[M]` and :math:`x = E_D[X]`,

    .. math:: \tau(M X M X) = \tau(M x M x) + \tau(d X d X) - \tau(d^2 x^2) .

    It is what m_2 of a product gains with every factor that is not free, and less noisy.  The
    overlap is :math:`\tau(J_t^T J_{t+1})`, by freeness :math:`\tau(J_t) \tau(J_{t+1})`, and over
    the diagonal :math:`\tau(E_D[J_t] E_D[J_{t+1}])`.

    Predictions are made from the one-step matrices of the same sample, so that the noise they
    share with the product cancels.  Corrections of T/N, relative, are allowed for in m_1 and m_2,
    2/N in the alternating moment and 1/2N in the overlap.  A statistic rejects at 4 standard
    errors.

    No moment of the product sees that one bi-invariant W serves all steps: powers of an
    R-diagonal element have the singular values of products of free copies of it.  The overlap
    does.  Not to be rejected is no proof of freeness: other mixed moments may differ.

    Assumes independent samples, and N large.

    Raises
    ------
    ParameterError
        If there are fewer than 2 samples or steps, shapes differ, or a matrix is zero or not
        finite.

    References
    ----------
    :cite:t:`MingoSpeicher2017`, chapter 9; :cite:t:`HaagerupLarsen2000` for powers of R-diagonal
    elements.

    Examples
    --------
    >>> gaussian = np.random.default_rng(0).standard_normal((8, 3, 48, 48))
    >>> freeness_test(gaussian).verdict
    'free'
    >>> wigner = gaussian[:, :1] + gaussian[:, :1].swapaxes(-1, -2)
    >>> freeness_test(np.repeat(wigner, 3, axis=1)).verdict  # one symmetric matrix, three times
    'neither'
    """
    check_counts(states=states)
    try:
        products = [list(matrices) for matrices in samples]
    except TypeError:
        raise ParameterError(
            "samples must be lists of matrices, or an array of shape (samples, T, N, N), not "
            f"{samples!r}"
        ) from None
    found = [statistics_of(matrices, states) for matrices in products]
    shapes = {shape for shape, _ in found}
    if len(found) < 2:
        raise ParameterError("give at least 2 samples, or there is no standard error")
    if len(shapes) > 1:
        raise ParameterError("all samples must have the same number of steps and the same width")
    ((steps, width),) = shapes
    values = np.array([row for _, row in found])
    return _collected(values, steps, width, states)


@named_arguments
def freeness_of_cell(
    cell: Cell | str,
    parameters: Point = None,
    *,
    weights: Weights,
    steps: int = 10,
    width: int = 256,
    samples: int = 32,
    seed: Seed = 0,
    workers: int | None = None,
    progress: bool = False,
) -> CellFreeness:
    """Test the Jacobians of sampled networks, untied and tied.

    Factors that share their W are not free over anything; their product is that of one W which is
    free from the diagonals and stands at T places, and its moments are tested beside that theory.

    Parameters
    ----------
    cell, parameters
        Any cell, and its hyperparameters.  With d states the factors have shape (dN, dN), and "over
        the diagonal" means over the d x d matrices of the sites.
    weights
        ``"gaussian"`` or ``"orthogonal"``, or one of their fast stand-ins.
    steps, width, samples, seed
        T >= 2, N, the number of networks of either kind, and the seed.
    workers, progress
        How many networks run at a time; whether to show progress bars.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, vanilla
    >>> found = freeness_of_cell(vanilla, Parameters.of(vanilla), weights="gaussian", steps=3,
    ...                          width=48, samples=8, workers=1)
    >>> found.untied.verdict, found.tied.verdict, found.shared.verdict
    ('free', 'neither', 'not rejected')
    """
    cell, parameters = cell_and_parameters(cell, parameters)
    checked_weights(weights)
    states = len(cell.states)
    check_counts(samples=samples, steps=steps, width=width)
    if samples < 2 or steps < 2:
        raise ParameterError(
            f"a test needs at least 2 samples and 2 steps, not {samples} and {steps}"
        )

    ratios: list[tuple[float, float]] = []

    def one(tied: bool, rng: np.random.Generator) -> tuple[np.ndarray, tuple[float, float] | None]:
        run = run_network(
            cell, parameters, weights=weights, width=width, steps=steps, rng=rng, tied=tied
        )
        if not tied:
            return statistics_of(map(jacobian_of, run), states)[1], None
        followed = Followed(run, paired_theory(cell, weights, width, tied=True))
        return statistics_of(followed, states)[1], followed.ratios()

    def test(tied: bool) -> FreenessTest:
        title = f"{cell.name}, {weights} W{', tied' * tied}" if progress else None
        tasks = spawn(seed, samples)
        found = map_samples(partial(one, tied), tasks, workers=workers, progress=title)
        rows, beside = zip(*found, strict=True)
        ratios.extend(pair for pair in beside if pair is not None)
        return _collected(np.array(rows), steps, width, states)

    untied, kept = test(False), test(True)
    return CellFreeness(untied, kept, shared_law_test(np.array(ratios), steps, width))


def _collected(values: np.ndarray, steps: int, width: int, states: int) -> FreenessTest:
    """Average over samples; shape (samples, statistics, routes)."""
    rows = []
    for k, name in enumerate(STATISTICS):
        sampled, free, diagonal = values[:, k].T
        is_moment = name in ("m_1", "m_2")
        corrections = {"alternating": _ALTERNATING, "overlap": _OVERLAP}.get(name, steps)
        scales = (free, diagonal) if is_moment else (1.0, 1.0)
        rows.append(
            FreenessRow(
                name,
                Estimate.of(sampled),
                float(free.mean()),
                float(diagonal.mean()),
                Estimate.of((sampled - free) / scales[0]),
                Estimate.of((sampled - diagonal) / scales[1]),
                corrections / width,
            )
        )
    return FreenessTest(tuple(rows), steps, width, len(values), states)


def _printed(row: FreenessRow) -> tuple[str, ...]:
    sampled = f"{row.sampled.value:.4g} ± {row.sampled.standard_error:.2g}"
    return (
        row.name,
        sampled,
        f"{row.free:.4g}",
        f"{row.free_z:+.1f}",
        f"{row.diagonal:.4g}",
        f"{row.diagonal_z:+.1f}",
    )


def _aligned(table: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(line[k]) for line in table) for k in range(len(table[0]))]
    return [
        "  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)) for line in table
    ]
