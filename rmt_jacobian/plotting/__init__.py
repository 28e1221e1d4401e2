"""Figures of results: functions that take axes and return them, and whole figures.

Functions here do not touch pyplot, so that none needs a display and none keeps global state; only
:func:`plot` without axes draws where pyplot does.
"""

from rmt_jacobian.plotting.can2020 import (
    can2020_figure1,
    can2020_figure2_right,
    can2020_figure3,
)
from rmt_jacobian.plotting.covariances import covariance_figure, plot_covariances
from rmt_jacobian.plotting.eigenvalues import eigenvalue_figure, plot_eigenvalues
from rmt_jacobian.plotting.inspection import inspection_figure, plot_weight_spectra
from rmt_jacobian.plotting.lanczos import (
    lanczos_figure,
    plot_lanczos_cdf,
    plot_lanczos_density,
)
from rmt_jacobian.plotting.log_spectra import (
    log_spectrum_figure,
    plot_exponent_law,
    plot_log_singular_values,
)
from rmt_jacobian.plotting.lyapunov import lyapunov_figure, plot_exponents
from rmt_jacobian.plotting.moments import plot_ratio, plot_second_moment, verification_figure
from rmt_jacobian.plotting.own_values import draw_law, plot
from rmt_jacobian.plotting.phases import phase_diagram_figure, plot_gru_phases
from rmt_jacobian.plotting.saving import check_figure_path, save_figure
from rmt_jacobian.plotting.signal_propagation import chen2018_figure1
from rmt_jacobian.plotting.spectra import (
    DrawableLaw,
    overlay_figure,
    plot_law,
    plot_overlay,
    plot_singular_values,
    spectrum_figure,
)
from rmt_jacobian.plotting.stationary import draw_stationary_law
from rmt_jacobian.plotting.sweeps import plot_map, plot_sweep, sweep_figure
from rmt_jacobian.plotting.training import plot_monitor

__all__ = [
    "DrawableLaw",
    "can2020_figure1",
    "can2020_figure2_right",
    "can2020_figure3",
    "check_figure_path",
    "chen2018_figure1",
    "covariance_figure",
    "draw_law",
    "draw_stationary_law",
    "eigenvalue_figure",
    "inspection_figure",
    "lanczos_figure",
    "log_spectrum_figure",
    "lyapunov_figure",
    "overlay_figure",
    "phase_diagram_figure",
    "plot",
    "plot_covariances",
    "plot_eigenvalues",
    "plot_exponent_law",
    "plot_exponents",
    "plot_gru_phases",
    "plot_lanczos_cdf",
    "plot_lanczos_density",
    "plot_law",
    "plot_log_singular_values",
    "plot_map",
    "plot_monitor",
    "plot_overlay",
    "plot_ratio",
    "plot_second_moment",
    "plot_singular_values",
    "plot_sweep",
    "plot_weight_spectra",
    "save_figure",
    "spectrum_figure",
    "sweep_figure",
    "verification_figure",
]
