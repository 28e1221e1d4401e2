"""Mean field of untied networks: site laws, correlation maps, timescales, critical points."""

from rmt_jacobian.mean_field.correlation import (
    CorrelationMap,
    stable_correlation,
    timescale,
    variance_slope,
)
from rmt_jacobian.mean_field.criticality import (
    CriticalInitialization,
    critical_initialization,
    feasible_preactivation_variances,
    order_chaos_line,
)
from rmt_jacobian.mean_field.lyapunov import (
    FreeStepLaw,
    free_step_exponents,
    free_step_law,
)
from rmt_jacobian.mean_field.pairs import PairState, pair_state, solve_pair_state
from rmt_jacobian.mean_field.population import stationary_states
from rmt_jacobian.mean_field.site_law import SiteLaw, site_law, solve_site_law
from rmt_jacobian.mean_field.sites import Sites
from rmt_jacobian.mean_field.summary import MeanField, mean_field
from rmt_jacobian.mean_field.trajectory import Trajectory, trajectory
from rmt_jacobian.mean_field.untied import (
    UntiedState,
    has_frozen_bias,
    solve_untied_state,
    untied_state,
)

__all__ = [
    "CorrelationMap",
    "CriticalInitialization",
    "FreeStepLaw",
    "MeanField",
    "PairState",
    "SiteLaw",
    "Sites",
    "Trajectory",
    "UntiedState",
    "critical_initialization",
    "feasible_preactivation_variances",
    "free_step_exponents",
    "free_step_law",
    "has_frozen_bias",
    "mean_field",
    "order_chaos_line",
    "pair_state",
    "site_law",
    "solve_pair_state",
    "solve_site_law",
    "solve_untied_state",
    "stable_correlation",
    "stationary_states",
    "timescale",
    "trajectory",
    "untied_state",
    "variance_slope",
]
