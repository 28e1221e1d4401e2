"""Sampled networks: weight ensembles, forward runs, Jacobian products and their spectra."""

from rmt_jacobian.calls import moved_names
from rmt_jacobian.parallel import map_samples
from rmt_jacobian.sampling.labelled import SampledValues, settings_of
from rmt_jacobian.sampling.matrix_free.extremes import (
    ExtremeSingularValues,
    extreme_singular_values,
)
from rmt_jacobian.sampling.matrix_free.factors import StepFactors
from rmt_jacobian.sampling.matrix_free.lanczos import Tridiagonal, lanczos_recurrences
from rmt_jacobian.sampling.matrix_free.lanczos_spectrum import LanczosSpectrum
from rmt_jacobian.sampling.matrix_free.product import JacobianProduct
from rmt_jacobian.sampling.matrix_free.quadrature import GaussQuadrature
from rmt_jacobian.sampling.matrix_free.runs import (
    MatrixFreeMoments,
    MatrixFreeSample,
    sample_matrix_free,
)
from rmt_jacobian.sampling.matrix_free.site_moments import SiteMoments, moments_on_sites
from rmt_jacobian.sampling.matrix_free.site_population import PopulationMoments, sample_site_moments
from rmt_jacobian.sampling.matrix_free.smoothing import SmoothedSpectrum
from rmt_jacobian.sampling.networks.eigenvalues import dense_jacobian, jacobian_eigenvalues
from rmt_jacobian.sampling.networks.network import NetworkStep, run_network
from rmt_jacobian.sampling.networks.plane import sample_eigenvalues
from rmt_jacobian.sampling.networks.rest import network_at_rest
from rmt_jacobian.sampling.networks.signals import sample_correlations
from rmt_jacobian.sampling.products.log_spectra import LogSpectra, sample_log_singular_values
from rmt_jacobian.sampling.products.lyapunov import LyapunovSamples, sample_lyapunov
from rmt_jacobian.sampling.products.product import (
    jacobian_products,
    product_moments,
    singular_values,
)
from rmt_jacobian.sampling.products.product_svd import LogSingularValues, log_singular_values
from rmt_jacobian.sampling.products.runs import sample_singular_values
from rmt_jacobian.sampling.weights.ensembles import (
    DenseMatrix,
    FastGaussianMatrix,
    FastOrthogonalMatrix,
    HouseholderMatrix,
    TheoryWeights,
    UndrawnMatrix,
    WeightMatrix,
    Weights,
    checked_weights,
    draw_image,
    draw_weights,
    ensemble_of,
    is_fast,
)

__all__ = [
    "DenseMatrix",
    "ExtremeSingularValues",
    "FastGaussianMatrix",
    "FastOrthogonalMatrix",
    "GaussQuadrature",
    "HouseholderMatrix",
    "JacobianProduct",
    "LanczosSpectrum",
    "LogSingularValues",
    "LogSpectra",
    "LyapunovSamples",
    "MatrixFreeMoments",
    "MatrixFreeSample",
    "NetworkStep",
    "PopulationMoments",
    "SampledValues",
    "SiteMoments",
    "SmoothedSpectrum",
    "StepFactors",
    "TheoryWeights",
    "Tridiagonal",
    "UndrawnMatrix",
    "WeightMatrix",
    "Weights",
    "checked_weights",
    "dense_jacobian",
    "draw_image",
    "draw_weights",
    "ensemble_of",
    "extreme_singular_values",
    "is_fast",
    "jacobian_eigenvalues",
    "jacobian_products",
    "lanczos_recurrences",
    "log_singular_values",
    "map_samples",
    "moments_on_sites",
    "network_at_rest",
    "product_moments",
    "run_network",
    "sample_correlations",
    "sample_eigenvalues",
    "sample_log_singular_values",
    "sample_lyapunov",
    "sample_matrix_free",
    "sample_singular_values",
    "sample_site_moments",
    "settings_of",
    "singular_values",
]

__getattr__ = moved_names(
    __name__, {"rmt_jacobian.comparison": ["MomentSamples", "sample_moments"]}
)
