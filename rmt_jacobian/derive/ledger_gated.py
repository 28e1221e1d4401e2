"""Our own results on gated cells, as rows of the ledger."""

from functools import partial

from rmt_jacobian.derive.ledger_entry import LedgerEntry

__all__ = ["GATED"]

_row = partial(LedgerEntry, paper="", verdict="holds")
_FIELD, _PENCILS = "rmt_jacobian.mean_field.", "rmt_jacobian.pencils."
_EIGENVALUES = "rmt_jacobian.eigenvalues."

# fmt: off
GATED: tuple[LedgerEntry, ...] = (
    _row("Variances", r"$q_k = \sigma_k^2 E[y_k^2] + \nu_k^2 R + \rho_k^2$, any cell",
        _FIELD + "untied_state", "simulated LSTMs whose gates read $c$"),
    _row("Growth rate of the GRU", r"$\chi_1 = E[z^2] + \sigma_z^2 E[z'^2] E[(h - \phi)^2]"
        r" + \sigma_y^2 E[(1-z)^2] E[\phi'^2] (E[r^2] + \sigma_r^2 E[r'^2] E[h^2])$",
        _FIELD + "UntiedLaw.growth_rate", "Gauss-Legendre sums; small changes along networks"),
    _row("Growth rate of the LSTM", r"$\sum_n R_n \chi_1^{-n}$ has the eigenvalue 1",
        _FIELD + "UntiedLaw.growth_rate", "small changes along simulated networks, both variants"),
    _row("Slope of the correlation map", r"$\sum_n R_n(c^*) \chi^{-n}$ has the eigenvalue 1",
        _FIELD + "PairLaw.chi", "finite differences of the map of $E[h_1 h_2]$, GRU"),
    _row("First moment over T steps", "$m_1$, two steps of the GRU, two ensembles",
        _PENCILS + "chain_moments", "sum over pairings of words that do not cross"),
    _row("Second moment of one step", "$m_2$ with several preactivations, GRU and LSTM",
        _PENCILS + "chain_moments", "sum over pairings of words that do not cross"),
    _row("Second moment over T steps", "$m_2$, three steps of GRU and LSTM, two ensembles",
        _PENCILS + "chain_moments", "dense networks whose sites repeat a few"),
    _row("Eigenvalue law", r"$\frac{1}{2 \pi i} \oint \tau((\lambda - J)^{-1}) d\lambda$",
        _EIGENVALUES + "EigenvalueLaw.inside",
        "eigenvalues of dense Jacobians in disks, two ensembles"),
    _row("Hole of the support", r"$J = D W$, orthogonal $W$: the inner radius is"
        r" $\sigma / \sqrt{E[D^{-2}]}$",
        _EIGENVALUES + "EigenvalueLaw.boundary", "closed form of the ring"),
    _row("Atoms", "the mass at 0 is the share of the lost rank",
        _EIGENVALUES + "EigenvalueLaw.atoms", "rank of a dense Jacobian"),
    _row("Instability of the nonzero fixed points", r"$\rho_0^2 > 1$ at every nonzero fixed point"
        " of the GRU without input and biases",
        _FIELD + "FixedPoint.stable", "Gauss-Legendre sums, 25 pairs $(a_h, a_r)$"),
)
"""The results, in the order of the page on gated cells."""
# fmt: on
