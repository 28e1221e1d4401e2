"""Mean field: site laws, correlation maps, timescales, critical points; fixed points and phases."""

from rmt_jacobian.mean_field.asking import (
    Network,
    law_of,
    stationary,
    untied_law_of,
)
from rmt_jacobian.mean_field.at_rest.bifurcations import SaddleNode, saddle_node
from rmt_jacobian.mean_field.at_rest.binary_gates import (
    BinaryForget,
    gru_binary_update,
    lstm_binary_forget,
)
from rmt_jacobian.mean_field.at_rest.fixed_points import FixedPoint, fixed_points
from rmt_jacobian.mean_field.at_rest.gru_phases import (
    GRUFixedPoint,
    GRUPhase,
    gru_bifurcation,
    gru_bifurcation_asymptotes,
    gru_bifurcation_point,
    gru_marginal_edge,
    gru_marginal_edge_end,
    gru_nonzero_points,
    gru_phase,
)
from rmt_jacobian.mean_field.at_rest.slow_modes import (
    binary_open_share,
    gru_open_gain,
    marginal_exponent,
    open_share,
    slow_share,
)
from rmt_jacobian.mean_field.at_rest.zero_spectra import (
    AtomsAndDisk,
    gru_zero_growth,
    gru_zero_spectrum,
    lstm_zero_spectrum,
)
from rmt_jacobian.mean_field.closed.correlation import (
    CorrelationMap,
    stable_correlation,
    timescale,
    variance_slope,
)
from rmt_jacobian.mean_field.closed.criticality import (
    CriticalInitialization,
    critical_weights,
    feasible_preactivation_variances,
    order_chaos_line,
)
from rmt_jacobian.mean_field.closed.lyapunov import (
    FreeStepLaw,
    free_step_exponents,
    free_step_law,
    isolated_exponent,
    steps_are_free,
)
from rmt_jacobian.mean_field.closed.population import stationary_states
from rmt_jacobian.mean_field.closed.site_law import (
    SiteLaw,
    has_closed_site,
    site_law,
    solve_site_law,
)
from rmt_jacobian.mean_field.closed.trajectories import Trajectory, trajectory
from rmt_jacobian.mean_field.sites.weighted import Sites
from rmt_jacobian.mean_field.stationary_law import StationaryLaw
from rmt_jacobian.mean_field.tied.law import LawAtRest, TiedLaw
from rmt_jacobian.mean_field.tied.steady_state import TiedSteadyState, tied_steady_state
from rmt_jacobian.mean_field.untied.law import PairLaw, UntiedLaw
from rmt_jacobian.mean_field.untied.pair_equations import pair_state, solve_pair_state
from rmt_jacobian.mean_field.untied.pairs import PairState
from rmt_jacobian.mean_field.untied.state import (
    UntiedState,
    solve_untied_state,
    untied_state,
)

__all__ = [
    "AtomsAndDisk",
    "BinaryForget",
    "CorrelationMap",
    "CriticalInitialization",
    "FixedPoint",
    "FreeStepLaw",
    "GRUFixedPoint",
    "GRUPhase",
    "LawAtRest",
    "Network",
    "PairLaw",
    "PairState",
    "SaddleNode",
    "SiteLaw",
    "Sites",
    "StationaryLaw",
    "TiedLaw",
    "TiedSteadyState",
    "Trajectory",
    "UntiedLaw",
    "UntiedState",
    "binary_open_share",
    "critical_weights",
    "feasible_preactivation_variances",
    "fixed_points",
    "free_step_exponents",
    "free_step_law",
    "gru_bifurcation",
    "gru_bifurcation_asymptotes",
    "gru_bifurcation_point",
    "gru_binary_update",
    "gru_marginal_edge",
    "gru_marginal_edge_end",
    "gru_nonzero_points",
    "gru_open_gain",
    "gru_phase",
    "gru_zero_growth",
    "gru_zero_spectrum",
    "has_closed_site",
    "isolated_exponent",
    "law_of",
    "lstm_binary_forget",
    "lstm_zero_spectrum",
    "marginal_exponent",
    "open_share",
    "order_chaos_line",
    "pair_state",
    "saddle_node",
    "site_law",
    "slow_share",
    "solve_pair_state",
    "solve_site_law",
    "solve_untied_state",
    "stable_correlation",
    "stationary",
    "stationary_states",
    "steps_are_free",
    "tied_steady_state",
    "timescale",
    "trajectory",
    "untied_law_of",
    "untied_state",
    "variance_slope",
]
