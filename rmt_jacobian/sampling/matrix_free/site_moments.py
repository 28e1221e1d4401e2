r"""Moments of a product on its drawn sites, in one sweep forward and one back.

Let the product be one of factors with one W each (:mod:`.factors`), :math:`J = F_n \cdots F_1`, and
let :math:`d_k` and :math:`\delta_k` be the site matrices, E_D, of

.. math::
    F_k \cdots F_1 F_1^T \cdots F_k^T \qquad \text{and} \qquad F_{k+1}^T \cdots F_n^T F_n \cdots
    F_{k+1} .

For a factor that adds a component :math:`W Y`, with rows of W of length :math:`\ell`,

.. math::
    d_k = \begin{pmatrix} d_{k-1} & 0 \\ 0 & \ell^2 \langle Y d_{k-1} Y^T \rangle \end{pmatrix},
    \qquad
    \delta_{k-1} = P^T \delta_k P + \beta_k \, Y^T Y, \qquad
    \beta_k = \langle \ell^2 (\delta_k)_{new} \rangle,

with P the projection on the other components.  The bilinear form
:math:`Q_k(a, c) = \tau(c \, X_k a X_k)`, :math:`X_k = F_{k+1}^T \cdots F_{k+1}`, of site matrices
a, c obeys :math:`Q_{k-1}(a, c) = \tau(F_k c F_k^T X_k F_k a F_k^T X_k)`, and since :math:`F_k` is
free from :math:`X_k` over the diagonal all alternating words in centred letters vanish:

.. math::
    Q_{k-1}(a, c) = Q_k(\bar a, \bar c) + \tau(y_a \delta_k y_c \delta_k), \qquad
    \bar a = E_D[F_k a F_k^T], \quad y_a = F_k a F_k^T - \bar a .

Along :math:`a = c = d_k` this telescopes,

.. math::
    m_2 = \tau(d_n^2) + \sum_k \Bigl[ 2 \beta_k
          \langle Y d_{k-1} P^T \delta_k P d_{k-1} Y^T \rangle
          + \beta_k^2 \bigl( \langle (Y d_{k-1} Y^T)^2 \rangle
          - (1 + s_1) \langle Y d_{k-1} Y^T \rangle^2 \bigr) \Bigr] .
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rmt_jacobian.sampling.matrix_free.factors import (
    Row,
    StepFactors,
    SymmetricSites,
    along_row,
    mean_over_sites,
    row_of,
)

__all__ = ["SiteMoments", "covariances", "moments_on_sites"]


@dataclass(frozen=True)
class SiteMoments:
    """m_1 and m_2 of J J^T by the theory of infinite width, on given sites.

    Attributes
    ----------
    mean, second_moment
        Over all singular values.
    """

    mean: float
    second_moment: float


def moments_on_sites(
    steps: Sequence[StepFactors], s_1: float, through: Sequence[SymmetricSites] | None = None
) -> SiteMoments:
    r"""Return m_1 and m_2 of a product of any cell on the sites that were drawn.

    Parameters
    ----------
    steps
        The factors of every step, the first one first.
    s_1
        Of the ensemble of every W: -1 for Gaussian, 0 for orthogonal.
    through
        :func:`covariances` of the steps, if they are known.

    Notes
    -----
    Costs O(T N) in time, and in memory an array over sites for every step and pair of states.  For
    :math:`J = A + B W` the result is that of :class:`~rmt_jacobian.derive.PairedMoments`, which
    carries more and costs O(T^2 N).

    Assumes fresh bi-invariant W at every step, free from all diagonals; N -> infinity for W alone.
    Of an orthogonal W, the singular values are those of its rows' mean length.

    Examples
    --------
    >>> import numpy as np
    >>> from rmt_jacobian.cells import Parameters, gru
    >>> from rmt_jacobian.sampling import run_network
    >>> run = run_network(gru, Parameters.of(gru), width=2, steps=1, rng=np.random.default_rng(0))
    >>> found = moments_on_sites([StepFactors.of(step) for step in run], s_1=0.0)
    >>> bool(found.mean > 0.25)  # h = 0: 1/4 + 9/16 with rows of W of their mean length
    True
    """
    states = steps[0].states
    through = covariances(steps) if through is None else through
    total = sum(
        (1 if i == j else 2) * mean_over_sites(entry * entry)
        for (i, j), entry in through[-1].items()
    )
    mean = sum(mean_over_sites(entry) for (i, j), entry in through[-1].items() if i == j)
    delta: SymmetricSites = {(i, i): 1.0 for i in range(states)}
    for step, before in zip(reversed(steps), reversed(through[:-1]), strict=True):
        parts = list(_growing(step, before))
        delta = _congruent(step.updates, delta)
        for (new, source), d in reversed(parts):
            beta = mean_over_sites(step.row_squares[new] * delta.pop((new, new), 0.0))
            delta = {pair: entry for pair, entry in delta.items() if new not in pair}
            passed = row_of(source, d)
            through_W = along_row(source, passed)
            around = along_row(row_of(passed, delta), passed)
            mixed = 0.0 if around is None else mean_over_sites(around)
            square = mean_over_sites(through_W * through_W)
            spread = square - (1 + s_1) * mean_over_sites(through_W) ** 2
            total = total + 2 * beta * mixed + beta * beta * spread
            delta = _plus(delta, _outer(source, beta))
        # What is left of preactivations belongs to those without W, which do not change.
        delta = {pair: entry for pair, entry in delta.items() if max(pair) < states}
    return SiteMoments(float(mean) / states, float(total) / states)


def covariances(steps: Sequence[StepFactors]) -> list[SymmetricSites]:
    """Return E_D[J_t ... J_1 (...)^T] for t = 0, ..., T, a matrix of the states at every site."""
    found: list[SymmetricSites] = [{(i, i): 1.0 for i in range(steps[0].states)}]
    for step in steps:
        d = dict(found[-1])
        for new, _, source in step.random():
            d[new, new] = _new_variance(step, new, source, d)
        found.append(_mapped(step.updates, d))
    return found


def _growing(step: StepFactors, d: SymmetricSites) -> Any:
    """Yield every random factor of a step with the site matrices before it."""
    d = dict(d)
    for new, _, source in step.random():
        yield (new, source), dict(d)
        d[new, new] = _new_variance(step, new, source, d)


def _new_variance(step: StepFactors, new: int, source: Row, d: SymmetricSites) -> Any:
    return step.row_squares[new] * mean_over_sites(along_row(source, row_of(source, d)))


def _mapped(rows: Sequence[Row], d: SymmetricSites) -> SymmetricSites:
    """Return M d M^T for the rows of M."""
    found: SymmetricSites = {}
    for i, row in enumerate(rows):
        half = row_of(row, d)
        for j in range(i, len(rows)):
            entry = along_row(rows[j], half)
            if entry is not None:
                found[i, j] = entry
    return found


def _congruent(rows: Sequence[Row], delta: SymmetricSites) -> SymmetricSites:
    """Return M^T delta M for the rows of M."""
    found: SymmetricSites = {}
    for (p, q), entry in delta.items():
        for a, b in {(p, q), (q, p)}:
            for i, left in rows[a].items():
                for j, right in rows[b].items():
                    if i <= j:
                        found[i, j] = found.get((i, j), 0.0) + left * entry * right
    return found


def _outer(row: Row, factor: Any) -> SymmetricSites:
    return {(i, j): factor * a * b for i, a in row.items() for j, b in row.items() if i <= j}


def _plus(a: SymmetricSites, b: SymmetricSites) -> SymmetricSites:
    return a | {pair: a.get(pair, 0.0) + entry for pair, entry in b.items()}
