"""Free probability and random-matrix spectra of recurrent-network Jacobians.

The spectrum of the state-to-state Jacobian of a random recurrent network, three ways: derived
(:mod:`~rmt_jacobian.derive`), solved (:mod:`~rmt_jacobian.pencils`) and sampled
(:mod:`~rmt_jacobian.sampling`); :mod:`~rmt_jacobian.compare` puts them side by side.

Names are imported when they are first used, so that importing the package stays fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rmt_jacobian.cells import (
        Cell,
        Parameters,
        Preactivation,
        activation_named,
        cell_named,
        gru,
        gru_reset_after,
        lstm,
        lstm_peephole,
        minimalrnn,
        vanilla,
    )
    from rmt_jacobian.compare import (
        Verification,
        freeness_of_cell,
        freeness_test,
        verify,
    )
    from rmt_jacobian.derive import (
        Derivation,
        exact_mean,
        exact_second_moment,
        exact_variance,
        one_step_moment,
        one_step_variance,
        s_transform_moment,
        s_transform_variance,
    )
    from rmt_jacobian.errors import (
        ConvergenceError,
        HypothesisError,
        InfeasibleError,
        ParameterError,
        RmtJacobianError,
        SpecificationError,
        UndefinedTransformError,
    )
    from rmt_jacobian.mean_field import (
        MeanField,
        SiteLaw,
        critical_initialization,
        feasible_preactivation_variances,
        fixed_points,
        order_chaos_line,
        site_law,
        tied_steady_state,
        trajectory,
        untied_mean_field,
        untied_state,
    )
    from rmt_jacobian.pencils import (
        EigenvalueLaw,
        SingularValueLaw,
        critical_point,
        eigenvalue_law,
        lyapunov_exponents,
        singular_value_law,
    )
    from rmt_jacobian.sampling import (
        run_network,
        sample_eigenvalues,
        sample_lyapunov,
        sample_moments,
        sample_singular_values,
    )

__version__ = "0.1.0"

__all__ = [
    "Cell",
    "ConvergenceError",
    "Derivation",
    "EigenvalueLaw",
    "HypothesisError",
    "InfeasibleError",
    "MeanField",
    "ParameterError",
    "Parameters",
    "Preactivation",
    "RmtJacobianError",
    "SingularValueLaw",
    "SiteLaw",
    "SpecificationError",
    "UndefinedTransformError",
    "Verification",
    "__version__",
    "activation_named",
    "cell_named",
    "critical_initialization",
    "critical_point",
    "eigenvalue_law",
    "exact_mean",
    "exact_second_moment",
    "exact_variance",
    "feasible_preactivation_variances",
    "fixed_points",
    "freeness_of_cell",
    "freeness_test",
    "gru",
    "gru_reset_after",
    "lstm",
    "lstm_peephole",
    "lyapunov_exponents",
    "minimalrnn",
    "one_step_moment",
    "one_step_variance",
    "order_chaos_line",
    "run_network",
    "s_transform_moment",
    "s_transform_variance",
    "sample_eigenvalues",
    "sample_lyapunov",
    "sample_moments",
    "sample_singular_values",
    "singular_value_law",
    "site_law",
    "tied_steady_state",
    "trajectory",
    "untied_mean_field",
    "untied_state",
    "vanilla",
    "verify",
]

_HOMES = {
    "cells": (
        "Cell",
        "Parameters",
        "Preactivation",
        "activation_named",
        "cell_named",
        "gru",
        "gru_reset_after",
        "lstm",
        "lstm_peephole",
        "minimalrnn",
        "vanilla",
    ),
    "compare": (
        "Verification",
        "freeness_of_cell",
        "freeness_test",
        "verify",
    ),
    "derive": (
        "Derivation",
        "exact_mean",
        "exact_second_moment",
        "exact_variance",
        "one_step_moment",
        "one_step_variance",
        "s_transform_moment",
        "s_transform_variance",
    ),
    "errors": (
        "ConvergenceError",
        "HypothesisError",
        "InfeasibleError",
        "ParameterError",
        "RmtJacobianError",
        "SpecificationError",
        "UndefinedTransformError",
    ),
    "mean_field": (
        "MeanField",
        "SiteLaw",
        "critical_initialization",
        "feasible_preactivation_variances",
        "fixed_points",
        "order_chaos_line",
        "site_law",
        "tied_steady_state",
        "trajectory",
        "untied_mean_field",
        "untied_state",
    ),
    "pencils": (
        "EigenvalueLaw",
        "SingularValueLaw",
        "critical_point",
        "eigenvalue_law",
        "lyapunov_exponents",
        "singular_value_law",
    ),
    "sampling": (
        "run_network",
        "sample_eigenvalues",
        "sample_lyapunov",
        "sample_moments",
        "sample_singular_values",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
