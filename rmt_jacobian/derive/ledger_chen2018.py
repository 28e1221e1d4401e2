"""The equations of Chen et al. (2018), as rows of the ledger."""

from rmt_jacobian.derive.ledger_entry import LedgerEntry

__all__ = ["CHEN2018"]

_CELLS, _DERIVE = "rmt_jacobian.cells.", "rmt_jacobian.derive."
_FREEPROB, _GAUSSIAN = "rmt_jacobian.freeprob.", "rmt_jacobian.gaussian."
_MEAN_FIELD, _SAMPLING = "rmt_jacobian.mean_field.", "rmt_jacobian.sampling."
_MAP = _MEAN_FIELD + "CorrelationMap."
_GROUP = _CELLS + "PreactivationParameters."

# fmt: off
CHEN2018: tuple[LedgerEntry, ...] = (
    LedgerEntry("(1)", r"$e^t = W h^{t-1} + V x^t + b$, $\;h^t = \phi(e^t)$",
        _CELLS + "vanilla",
        "one step recomputed from a dense $W$; variance of $e$", "definition"),
    LedgerEntry("(2)", r"$q^t = \sigma_w^2 E[\phi(z) \phi(z)^T] + \sigma_v^2 R \Sigma^t"
        r" + \sigma_b^2 I$",
        _MEAN_FIELD + "trajectory",
        "pairs of simulated networks; Gauss-Legendre sums", "slip",
        r"$\sigma_b^2$ in all four entries, as in (38)"),
    LedgerEntry("(3)", r"density $\frac{1}{2\pi\sqrt{|q|}}"
        r" e^{-(z-\mu_b)^T q^{-1} (z-\mu_b)}$, covariance $q$",
        _GAUSSIAN + "bivariate_rule",
        "adaptive quadrature of the density, mass and covariance", "slip",
        r"exponent $-\frac12 (z-\mu_b)^T q^{-1} (z-\mu_b)$"),
    LedgerEntry("(4)", r"$\chi_c = \sigma_w^2 E[\phi'(z_1) \phi'(z_2)]$, vanilla",
        _MAP + "slope",
        "finite differences of the map of $c$", "holds", r"for any $\sigma_b$"),
    LedgerEntry("Text 3.1a", r"vanilla, $c^t = 1$: $\;c^{t+1} = 1 - \sigma_v^2 R"
        r" (1 - \Sigma_{12}) / q^*$",
        _MAP + "preactivation_correlation",
        "networks that start from equal states", "holds"),
    LedgerEntry("Text 3.1b", r"vanilla: $\chi_{c^*}$ does not depend on $\Sigma_{12}$",
        _MEAN_FIELD + "stable_correlation",
        "iterated map, finite differences at its fixed point", "slip",
        r"true of $\chi_c$ at a given $c$; but $c^*$ depends on $\Sigma_{12}$"),
    LedgerEntry("Text 3.1c", r"$W_T \cdots W_1$ and the power $W^T$ have the same singular values",
        _FREEPROB + "boxtimes_power_moments",
        "three moments of both, dense Gaussian matrices", "holds", r"as laws at $N \to \infty$"),
    LedgerEntry("Text 3.1d", "ignoring weight tying leads to quantitative differences, and does not"
        " change the qualitative picture",
        _MEAN_FIELD + "TiedLaw.growth_rate",
        "small changes along minimalRNNs that keep their weights", "slip",
        r"true without gates; with them $m_1$ differs at leading order, and the sign of"
        r" $\log m_1$ with it"),
    LedgerEntry("(5)", r"$e^t = W h^{t-1} + V x^t + b$, $\;u^t = \sigma(e^t)$,"
        r" $\;h^t = u^t h^{t-1} + (1 - u^t) x^t$",
        _CELLS + "minimalrnn",
        "one step recomputed from a dense $W$; variance of $e$", "definition"),
    LedgerEntry("(6)", r"$q^t = \sigma_w^2 Q^{t-1} + \sigma_v^2 R^t + \sigma_b^2 I$",
        _MEAN_FIELD + "trajectory",
        "pairs of simulated networks; Gauss-Legendre sums", "slip",
        r"$\sigma_b^2$ in all four entries, as in (17) and (38)"),
    LedgerEntry("(7)", r"$Q^t = Q^{t-1} E[\sigma(z) \sigma(z)^T]"
        r" + R^t E[(1-\sigma(z)) (1-\sigma(z))^T]$",
        _MEAN_FIELD + "trajectory",
        "pairs of simulated networks; Gauss-Legendre sums", "slip",
        "notation: the products with $Q$ and $R$ are entrywise, as in (20)"),
    LedgerEntry("(8)", r"$c^t = [c^{t-1} + (\sigma_w^2 - \sigma_v^2) \rho^{t-1}]"
        r" E[\sigma(z_1) \sigma(z_2)] - 2 \sigma_w^2 \rho^{t-1} E[\sigma(z_1)]"
        r" + \sigma_w^2 \rho^{t-1} + \sigma_v^2 \rho^t$, $\;\rho^t = R \Sigma_{12}^t / q^*$",
        _MAP + "next",
        "the covariance of the states followed by Gauss-Legendre sums", "slip",
        r"holds at $\sigma_b = 0$ only; else add"
        r" $\frac{\sigma_b^2}{q^*} (1 - E[\sigma(z_1) \sigma(z_2)])$"),
    LedgerEntry("(9)", r"$\chi_c = E[\sigma(z_1) \sigma(z_2)] + (q^* c + (\sigma_w^2 - \sigma_v^2)"
        r" R \Sigma_{12}) E[\sigma'(z_1) \sigma'(z_2)]$",
        _MAP + "slope",
        "finite differences of the map of $c$", "slip",
        r"holds at $\sigma_b = 0$ only; the factor is $\sigma_w^2 (Q^* C + R \Sigma_{12})"
        r" = q^* c + (\sigma_w^2 - \sigma_v^2) R \Sigma_{12} - \sigma_b^2$"),
    LedgerEntry("Text 3.2.1", r"$\mu_b \to \infty$: $\;\chi_{c^*} \to 1$ for every $\Sigma_{12}$",
        _MEAN_FIELD + "PairLaw.chi",
        r"finite differences at the fixed point, $\mu_b = 4, 8, 16$", "holds"),
    LedgerEntry("(10)", r"$\partial h^{t+1} / \partial h^t = D_{u^t}"
        r" + D_{\sigma'(e^t) (h^{t-1} - z^t)} W$",
        _DERIVE + "jacobian_polynomial",
        "finite differences of a dense network", "slip",
        r"it is $\partial h^t / \partial h^{t-1}$; $z$ is the input $x$"),
    LedgerEntry("(11)", r"$\tau(J_t J_t^T) = E[u^2] + \sigma_w^2 E[\sigma'(e)^2 (h - x)^2]$",
        _MEAN_FIELD + "SiteLaw.chi1",
        r"norm of $J v$ in simulated networks", "holds"),
    LedgerEntry("Text 3.2.2a", r"$\tau(J J^T) = \chi_1^T$",
        _DERIVE + "exact_mean",
        r"norm of $J v$ in simulated networks, $T = 8$, both ensembles", "holds"),
    LedgerEntry("(12)", r"$\sigma_{JJ^T}^2 = \chi_1^{2T} \left(1 + T \frac{2 (\mu_1 - s_1) \mu_2"
        r" + \sigma_1^2 + \sigma_2^2}{\chi_1^2}\right)$",
        _DERIVE + "exact_variance",
        r"norm of $J^T J v$ in simulated networks", "slip",
        "see (12a) to (12d) and (13b)"),
    LedgerEntry("(12a)", r"the leading $1 + {}$",
        _DERIVE + "one_step_variance",
        r"$\sigma_w = 0$, where $J = D_u$ and all is known", "slip",
        r"belongs to $m_2$; the variance is $m_2 - \chi_1^{2T}$"),
    LedgerEntry("(12b)", r"the term $-2 s_1 \mu_2$",
        _DERIVE + "one_step_variance",
        r"dense Gaussian minus Haar $W$ on the same sites", "slip",
        r"$-s_1 \mu_2^2$"),
    LedgerEntry("(12c)", r"the term $2 \mu_1 \mu_2$",
        _DERIVE + "one_step_variance",
        r"norm of $J^T J v$ in simulated networks", "slip",
        r"$2 \sigma_w^2 E[A^2 B^2]$: $A$ and $B$ read the same $e$"),
    LedgerEntry("(12d)", r"dependence on $T$: $\;\chi_1^{2T} (1 + T v_1 / \chi_1^2)$, with the"
        r" corrected one-step variance $v_1$",
        _DERIVE + "exact_second_moment",
        r"$\sigma_w = 0$; norm of $J^T J v$ in simulated networks, $T = 20$", "slip",
        "gated steps are not free: carry the diagonal; holds for vanilla"),
    LedgerEntry("(13a)", r"$\chi_1 = \mu_1 + \mu_2$, $\;\mu_1 = E[\sigma^2]$,"
        r" $\;\mu_2 = \sigma_w^2 (Q^* + R) E[\sigma'^2]$,"
        r" $\;\sigma_1^2 = E[\sigma^4] - \mu_1^2$",
        _MEAN_FIELD + "SiteLaw.chi1",
        "adaptive quadrature", "holds"),
    LedgerEntry("(13b)", r"$\sigma_2^2 = \sigma_w^4 (Q^{*2} + R^2) E[\sigma'^4] - \mu_2^2$",
        _MEAN_FIELD + "SiteLaw.average",
        "simulated sites", "slip",
        r"$E[(h - x)^4] = E[h^4] + 6 Q^* R + E[x^4]$ in place of $Q^{*2} + R^2$"),
    LedgerEntry("Text 3.2.2b", r"$s_1 = -1$ for Gaussian and $0$ for orthogonal $W$",
        _FREEPROB + "s_coefficients_of_weights",
        r"$1 - m_2 / m_1^2$ of dense $W W^T$", "holds"),
    LedgerEntry("Text 3.2.2c", r"vanilla: the coefficient of $T$ is proportional to $q^*$",
        _DERIVE + "one_step_variance",
        r"spread of $\phi'^2$ over drawn sites, small $q^*$", "slip",
        r"orthogonal $W$: $8 q^{*2} + O(q^{*3})$; Gaussian $W$: $1 + 8 q^{*2} + O(q^{*3})$"),
    LedgerEntry("Text 3.2.2d", r"minimalRNN: the coefficient of $T$ vanishes as"
        r" $\mu_b \to \infty$, whatever $s_1$",
        _DERIVE + "one_step_variance",
        r"Gauss-Legendre sums, $\mu_b = 4, 8, 16$", "holds", "with the corrected coefficient"),
    LedgerEntry("Figure 1", r"$\chi_1 = 1$ at $\mu_b = 0$ for $\sigma_w = 6.88$,"
        r" $\sigma_v = 1.39$, $R = 0.46$",
        _MEAN_FIELD + "order_chaos_line",
        r"sign of $\chi_1 - 1$ on either side, by Gauss-Legendre sums", "holds",
        r"to the digits given: the line is at $\mu_b = 0.014$"),
    LedgerEntry("Algorithm 1", r"$\sigma_w^2 = \frac{1 - E[u^2]}{(Q^* + R) E[u'^2]}$,"
        r" $\;\sigma_b = 0$, $\;\sigma_v^2 = (q^* - \sigma_w^2 Q^*) / R$",
        _MEAN_FIELD + "critical_weights",
        r"the stationary $q^*$ by bisection; norm of $J v$ in simulated networks", "holds"),
    LedgerEntry("Algorithm 1, domain", r"any $(q^*, \mu_b, R)$ is admitted",
        _MEAN_FIELD + "feasible_preactivation_variances",
        r"sign of $\sigma_v^2$, by Gauss-Legendre sums", "slip",
        r"only where $\sigma_w^2 Q^* \le q^*$, else $\sigma_v^2 < 0$"),
    LedgerEntry("(14)", r"$v_i^t = \sum_j W_{ij} h_j^{t-1} + \sum_j V_{ij} z_j^t + b_i$",
        _SAMPLING + "run_network",
        "row by row from a dense $W$; variance of the rest", "definition"),
    LedgerEntry("(15)", r"$u_i^t = \sigma(v_i^t)$",
        _CELLS + "sigmoid", "exponentials of the standard library", "definition"),
    LedgerEntry("(16)", r"$h_i^t = u_i^t h_i^{t-1} + (1 - u_i^t) z_i^t$",
        _CELLS + "CompiledCell.update",
        r"through $\tanh$, site by site", "definition",
        r"needs $M = N$ for $z \in \mathbb R^M$"),
    LedgerEntry("(17)", r"$q_{ab}^t = \sigma_w^2 Q_{ab}^{t-1} + \sigma_v^2 R_{ab}^t + \sigma_b^2$",
        _GROUP + "preactivation_covariance",
        "pairs of simulated networks", "holds"),
    LedgerEntry("(18)", r"first two terms of $E[h_a^t h_b^t]$",
        _CELLS + "CompiledCell.update",
        "the product site by site", "holds"),
    LedgerEntry("(19)", r"$E[(1 - u_a^t) z_a^t u_b^{t-1} h_b^{t-1}]"
        r" + E[(1 - u_a^t) z_a^t (1 - u_b^t) z_b^t]$",
        _CELLS + "CompiledCell.update",
        "the product site by site, inputs with a mean", "slip",
        r"$u_b^t$; harmless, the term vanishes when $E[z] = 0$"),
    LedgerEntry("(20)", r"$Q_{ab}^t \approx E[u_a u_b] Q_{ab}^{t-1}"
        r" + E[(1 - u_a) (1 - u_b)] R_{ab}$",
        _MAP + "next",
        "pairs of simulated networks", "holds",
        r"exact if $b$ is redrawn with $W$ and $V$; with a kept bias at $\sigma_b = 0$ only"),
    LedgerEntry("(21)", r"$Q^t = Q^{t-1} E[\sigma^2] + R\, E[(1 - \sigma)^2]$"
        r" at $\sqrt{q^t} z + \mu_b$",
        _MEAN_FIELD + "trajectory",
        "adaptive quadrature; simulated networks", "holds"),
    LedgerEntry("(22)", r"$q^t = \sigma_w^2 Q^{t-1} + \sigma_v^2 R + \sigma_b^2$",
        _GROUP + "preactivation_variance",
        "simulated networks", "holds"),
    LedgerEntry("(23)", r"$Q^t = (Q^{t-1} + R) E[\sigma^2]$ at $\mu_b = 0$",
        _MEAN_FIELD + "trajectory",
        "Gauss-Legendre sums", "holds", r"at $\mu_b = 0$ only, as the paper says"),
    LedgerEntry("(24)", r"$\frac{E[(1 - \sigma)^2]}{E[1 - \sigma^2]} - \frac{Q^*}{R} = 0$"
        r" has a solution",
        _MEAN_FIELD + "solve_site_law",
        "change of sign at the solution and between the ends", "holds"),
    LedgerEntry("(25)", r"$\sigma(\sqrt{q^t} z + \mu_b) = \sigma(\sqrt{q^* + \sigma_w^2"
        r" \epsilon^t}\, z + \mu_b)$",
        _MEAN_FIELD + "trajectory",
        "simulated networks away from $Q^*$", "slip",
        r"$\epsilon^{t-1}$, as (22) demands and (28) has it"),
    LedgerEntry("(26)", r"$\sqrt{q^t} \approx \sqrt{q^*}"
        r" + \sigma_w^2 \epsilon^t / (2 \sqrt{q^*})$",
        _MEAN_FIELD + "trajectory",
        r"remainder when $\epsilon$ is halved: order 2 or order 1", "slip",
        r"$\epsilon^{t-1}$"),
    LedgerEntry("(27)", r"$\sigma(\sqrt{q^t} z + \mu_b) \approx \sigma"
        r" + \frac{\sigma_w^2 \epsilon^t}{2 \sqrt{q^*}} z \sigma' + O((\epsilon^t)^2)$",
        _MEAN_FIELD + "trajectory",
        r"remainder when $\epsilon$ is halved: order 2 or order 1", "slip",
        r"$\epsilon^{t-1}$"),
    LedgerEntry("(28)", r"(21) at $q^t = q^* + \sigma_w^2 \epsilon^{t-1}$",
        _MEAN_FIELD + "trajectory",
        "Gauss-Legendre sums", "holds"),
    LedgerEntry("(29)", r"$Q^* + \epsilon^t = Q^* E[\sigma^2] + R\, E[(1 - \sigma)^2]"
        r" + \epsilon^{t-1} E[\sigma^2] + \ldots$",
        _MEAN_FIELD + "SiteLaw.direct_gain",
        "Gauss-Legendre sums", "holds"),
    LedgerEntry("(30)", r"$\ldots + \epsilon^{t-1} \sigma_w^2 \left(\frac{Q^*}{\sqrt{q^*}}"
        r" E[z \sigma \sigma'] - R \sqrt{q^*} E[z (1 - \sigma) \sigma']\right)$",
        _MEAN_FIELD + "variance_slope",
        "finite differences in $q$", "slip",
        r"$R / \sqrt{q^*}$ in place of $R \sqrt{q^*}$, as in (32)"),
    LedgerEntry("(31)", r"$\epsilon^t = \epsilon^{t-1} (E[\sigma^2] + \ldots)$"
        r" with the bracket of (30)",
        _MEAN_FIELD + "variance_slope",
        "finite differences in $Q$", "slip", r"$R / \sqrt{q^*}$, as in (32)"),
    LedgerEntry("(32)", r"$\epsilon^t = \epsilon^{t-1} E\left[\sigma^2"
        r" + \frac{\sigma_w^2}{\sqrt{q^*}} \{(Q^* + R) \sigma - R\} z \sigma'\right]$",
        _MEAN_FIELD + "variance_slope",
        r"finite differences in $Q$; $\sigma'$ by a complex step", "holds"),
    LedgerEntry("(33)", r"(32) with $\sigma' = \sigma (1 - \sigma)$",
        _MEAN_FIELD + "variance_slope",
        "finite differences in $Q$", "holds"),
    LedgerEntry("(34)", "the line of (33) again",
        _MEAN_FIELD + "variance_slope",
        "ratio of successive deviations from $Q^*$", "holds"),
    LedgerEntry("(35)", r"$|q^t - q^*| \sim e^{-t/\xi_Q}$",
        _MEAN_FIELD + "UntiedLaw.variance_timescale",
        "30 steps of the map", "holds", r"with the slope of (32), not of (36)"),
    LedgerEntry("(36)", r"$\xi_Q^{-1} = -\log E\left[\sigma^2 + \frac{\sigma_w^2}{\sqrt{q^*}}"
        r" \{(Q^* + R) \sigma - R\} \sigma'\right]$",
        _MEAN_FIELD + "variance_slope",
        "finite differences in $Q$", "slip", r"$z \sigma'$ in place of $\sigma'$, as in (32)"),
    LedgerEntry("(37)", r"$Q^t C^t = Q^{t-1} C^{t-1} E[\sigma_1 \sigma_2]"
        r" + R \Sigma_{12} E[(1 - \sigma_1) (1 - \sigma_2)]$",
        _MAP + "next",
        "Gauss-Legendre sums; pairs of simulated networks", "holds"),
    LedgerEntry("(38)", r"$q^t c^t = \sigma_w^2 Q^{t-1} C^{t-1} + \sigma_v^2 R \Sigma_{12}"
        r" + \sigma_b^2$",
        _MAP + "preactivation_correlation",
        "pairs of simulated networks", "holds"),
    LedgerEntry("(39)", r"$u_1 = \sqrt q z_1 + \mu_b$,"
        r" $\;u_2 = \sqrt q (c z_1 + \sqrt{1 - c^2} z_2) + \mu_b$",
        _GAUSSIAN + "bivariate_rule",
        "mixed moments and a characteristic function in closed form", "holds"),
    LedgerEntry("(40)", r"$\chi_c = E[\sigma_1 \sigma_2] + q^* (c + J_-) E[\sigma_1' \sigma_2']$",
        _MAP + "slope",
        "finite differences of the map of $Q C$", "slip",
        r"$J_-$ is undefined; it must be"
        r" $((\sigma_w^2 - \sigma_v^2) R \Sigma_{12} - \sigma_b^2) / q^*$"),
)
"""The rows of the paper and of its supplement, in the order in which they are printed."""
# fmt: on
