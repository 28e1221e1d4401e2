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
from rmt_jacobian.mean_field.population import stationary_states
from rmt_jacobian.mean_field.site_law import SiteLaw, site_law, solve_site_law
from rmt_jacobian.mean_field.sites import Sites
from rmt_jacobian.mean_field.summary import MeanField, mean_field
from rmt_jacobian.mean_field.trajectory import Trajectory, trajectory

__all__ = [
    "CorrelationMap",
    "CriticalInitialization",
    "FreeStepLaw",
    "MeanField",
    "SiteLaw",
    "Sites",
    "Trajectory",
    "critical_initialization",
    "feasible_preactivation_variances",
    "free_step_exponents",
    "free_step_law",
    "mean_field",
    "order_chaos_line",
    "site_law",
    "solve_site_law",
    "stable_correlation",
    "stationary_states",
    "timescale",
    "trajectory",
    "variance_slope",
]
