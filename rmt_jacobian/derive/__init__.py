"""Symbolic moments of J J^T over one step and T, by two routes, and theory on drawn sites."""

from rmt_jacobian.derive.derivation import Derivation
from rmt_jacobian.derive.diagonal_valued import (
    MomentRecursion,
    diagonal_valued_recursion,
    exact_mean,
    exact_second_moment,
    exact_variance,
)
from rmt_jacobian.derive.jacobian import JacobianPolynomial, jacobian_polynomial
from rmt_jacobian.derive.ledger import LEDGER, LedgerEntry, ledger_markdown
from rmt_jacobian.derive.one_step import one_step_moment, one_step_variance, one_step_words
from rmt_jacobian.derive.paired import PairedMoments
from rmt_jacobian.derive.printed import (
    printed_correlation_slope,
    printed_second_moment,
    printed_variance_slope,
    printed_variance_slope_31,
)
from rmt_jacobian.derive.s_transform_route import s_transform_moment, s_transform_variance
from rmt_jacobian.derive.shared_weights import TiedMean, tied_mean

mean, second_moment, variance = exact_mean, exact_second_moment, exact_variance
"""Over T steps, by the route that is exact."""

__all__ = [
    "LEDGER",
    "Derivation",
    "JacobianPolynomial",
    "LedgerEntry",
    "MomentRecursion",
    "PairedMoments",
    "TiedMean",
    "diagonal_valued_recursion",
    "exact_mean",
    "exact_second_moment",
    "exact_variance",
    "jacobian_polynomial",
    "ledger_markdown",
    "mean",
    "one_step_moment",
    "one_step_variance",
    "one_step_words",
    "printed_correlation_slope",
    "printed_second_moment",
    "printed_variance_slope",
    "printed_variance_slope_31",
    "s_transform_moment",
    "s_transform_variance",
    "second_moment",
    "tied_mean",
    "variance",
]
