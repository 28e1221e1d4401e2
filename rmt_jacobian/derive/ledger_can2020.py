"""The equations of Can, Krishnamurthy and Schwab (2020), as rows of the ledger."""

from functools import partial

from rmt_jacobian.derive.ledger_entry import LedgerEntry

__all__ = ["CAN2020"]

_row = partial(LedgerEntry, paper="Can2020")
_CELLS, _FIELD = "rmt_jacobian.cells.", "rmt_jacobian.mean_field."
_BOUNDARY = "rmt_jacobian.eigenvalues.EigenvalueLaw.boundary"

# fmt: off
CAN2020: tuple[LedgerEntry, ...] = (
    _row("(2) to (5)", r"$z, r = \sigma(e_z), \sigma(e_r)$, $\;e_y = W_y (r h)$,"
        r" $\;h' = z h + (1 - z) \phi(e_y)$",
        _CELLS + "gru", "one step recomputed row by row", "definition", r"$z \to 1$ remembers"),
    _row("(6) to (8)", r"$f, i, o = \sigma(e_f), \sigma(e_i), \sigma(e_o)$,"
        r" $\;c' = f c + i \tanh(e_y)$, $\;h' = o \tanh(c')$",
        _CELLS + "lstm", "one step recomputed row by row", "definition"),
    _row("Fixed points", r"$C_h = E[\phi(a_h \sqrt{C_y} x)^2]$,"
        r" $\;C_y = C_h E[\sigma(a_r \sqrt{C_h} x)^2]$",
        _FIELD + "fixed_points", "images of drawn sites under fresh $W$; Gauss-Legendre sums",
        "holds"),
    _row("Fixed points and the update gate", "the update gate does not move fixed points",
        _FIELD + "fixed_points", "a network at rest gets another $W_z$", "holds"),
    _row("Open gain", r"$\rho_0^2 = a_h^2 E[\phi'^2] (E[r^2] + a_r^2 E[r'^2] C_h)$",
        _FIELD + "gru_open_gain", "Gauss-Legendre sums", "holds",
        r"$C_h = 0.37989$, $\rho_0^2 = 1.25122$ at $a_h = 3$, $a_r = 1$"),
    _row("Dynamics", r"$C_e(t, t') = \sigma^2 C_y(t, t')$, tied weights",
        _FIELD + "tied_steady_state", "simulated networks, four lags", "holds"),
    _row("Phases, weak candidate", r"$a_h < \sqrt 2$: only the zero fixed point",
        _FIELD + "gru_phase", "changes of sign of the map of $C_h$ less $C_h$", "holds"),
    _row("Phases, between", r"$\sqrt 2 < a_h < 2$: two more above $a_r^*(a_h)$",
        _FIELD + "gru_phase", "changes of sign of the map of $C_h$ less $C_h$", "holds"),
    _row("Phases, strong candidate", r"$a_h > 2$: zero is unstable, one more",
        _FIELD + "gru_phase", "changes of sign of the map of $C_h$ less $C_h$", "holds"),
    _row("Phases, bifurcation", r"the curve $a_r^*(a_h)$",
        _FIELD + "gru_bifurcation", "bisection on the maximum of the map over $C_h$", "holds",
        r"74.43, 24.48, 13.03, 8.157, 5.381 at $a_h = 1.5, 1.6, 1.7, 1.8, 1.9$"),
    _row("Marginal region", r"$\rho_0 < \sqrt 2$ ends at $a_h = 6.546$ for $a_r = 0$",
        _FIELD + "gru_marginal_edge", "a root by Gauss-Legendre sums", "holds"),
    _row("(21)", r"$C_h \simeq \sqrt\epsilon / 4$ at $a_r = \sqrt 8$, $\epsilon = a_h - 2$",
        _FIELD + "gru_nonzero_points", "changes of sign of the map of $C_h$ less $C_h$", "slip",
        r"$\sqrt{3 \epsilon / 31}$"),
    _row("Zero fixed point of the GRU", r"a uniform disk, centre $\sigma(b_z)$, radius"
        r" $(1 - \sigma(b_z)) \sigma(b_r) a_h$; stable if their sum is below 1",
        _FIELD + "gru_zero_spectrum", "eigenvalues of a dense Jacobian", "holds"),
    _row("Zero fixed point of the LSTM", r"an atom at 0 and a uniform disk, centre $\sigma(b_f)$,"
        r" radius $\sigma(b_o) \sigma(b_i) a_h$",
        _FIELD + "lstm_zero_spectrum", "eigenvalues of a dense Jacobian", "holds"),
    _row("Boundary of the GRU", r"$\rho^2 E\frac{(1-z)^2}{|\lambda-z|^2}"
        r" + a_z^2 E\frac{z'^2 (h - \phi(y))^2}{|\lambda - z|^2} = 1$",
        _BOUNDARY, "averages over $e_z$ and drawn sites", "holds",
        "Gaussian and orthogonal $W$ share this outer boundary"),
    _row("Boundary of the LSTM", r"$E[q] / |\lambda|^2 + E[p / |\lambda - f|^2] = 1$",
        _BOUNDARY, "averages over drawn sites; eigenvalues of a dense Jacobian", "holds",
        "its law has mass 2, ours mass 1"),
    _row("(19)", r"$a_z \to \infty$: mass $1 - \alpha$ at 1, a disk of mass $\alpha$ and radius"
        r" $\rho_0 \sqrt\alpha$, $\;\alpha = \frac12 \mathrm{erfc} \frac{\beta}{\sqrt{2 C_h}}$",
        _FIELD + "gru_binary_update", "dense Jacobians with gates 0 or 1", "holds"),
    _row("(34)", r"$a_f \to \infty$: shares $(1 - \alpha)/2$ at 1, $\alpha/2$ at 0, 1/2 in a disk",
        _FIELD + "lstm_binary_forget", "dense Jacobians with gates 0 or 1", "holds",
        r"as a law only: the edge grows as $\sqrt{a_f}$"),
    _row("Theorem 7", r"$|\lambda|_{\max} - 1 = \Theta(e^{-c \sqrt{C_h} a_z})$,"
        r" $\;\mathrm{erf} \frac{c - \beta / \sqrt{C_h}}{\sqrt 2} = \frac{2}{\rho_0^2} - 1$",
        _FIELD + "marginal_exponent", r"roots of $S(\lambda)$ at $a_z = 300, 600$", "holds",
        r"for $1 < \rho_0^2 < 1/\alpha$"),
    _row("Figure 1e", r"$|\lambda|_{\max} = \sigma(b_z) + (1 - \sigma(b_z)) \rho$ at $a_z = 0$,"
        r" growing as $\sqrt{a_r}$",
        _FIELD + "FixedPoint.spectral_radius", "Gauss-Legendre sums, ratio at large $a_r$",
        "holds"),
    _row("Figure 1f", r"$P(|\lambda - 1| < r) \simeq \frac12 \mathrm{erfc}"
        r" \frac{-\log r}{a_z \sqrt{2 C_h}}$",
        _FIELD + "slow_share", "eigenvalues of a dense Jacobian", "holds",
        r"to leading order in $1/a_z$"),
    _row("(121)", r"$\tau(J^n J^{nT})$ at zero, as a sum over powers of the radius",
        _FIELD + "gru_zero_growth", "powers of a dense Jacobian", "slip",
        r"one factor $\sigma(b_r)$ only: $\varrho = (1 - \sigma(b_z)) \sigma(b_r) a_h$"),
    _row("(122)", r"the same in closed form, by another $_2F_1$",
        _FIELD + "gru_zero_growth", "average over a circle, powers of a dense Jacobian", "slip",
        r"$c^{2n}\, {}_2F_1(-n, -n; 1; \varrho^2 / c^2)$, $\;c = \sigma(b_z)$"),
)
"""The equations, statements and figures of the paper that we compute."""
# fmt: on
