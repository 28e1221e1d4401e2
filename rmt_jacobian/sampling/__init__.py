"""Sampled networks: weight ensembles, forward runs, Jacobian products and their spectra."""

from rmt_jacobian.parallel import map_samples
from rmt_jacobian.sampling.eigenvalues import dense_jacobian, jacobian_eigenvalues
from rmt_jacobian.sampling.ensembles import (
    DenseMatrix,
    FastGaussianMatrix,
    FastOrthogonalMatrix,
    HouseholderMatrix,
    TheoryWeights,
    WeightMatrix,
    Weights,
    checked_weights,
    draw_image,
    draw_weights,
    ensemble_of,
    is_fast,
)
from rmt_jacobian.sampling.lyapunov import LyapunovSamples, sample_lyapunov
from rmt_jacobian.sampling.network import NetworkStep, run_network
from rmt_jacobian.sampling.plane import sample_eigenvalues
from rmt_jacobian.sampling.products import jacobian_products, product_moments, singular_values
from rmt_jacobian.sampling.rest import network_at_rest
from rmt_jacobian.sampling.runs import MomentSamples, sample_moments, sample_singular_values
from rmt_jacobian.sampling.signals import sample_correlations

__all__ = [
    "DenseMatrix",
    "FastGaussianMatrix",
    "FastOrthogonalMatrix",
    "HouseholderMatrix",
    "LyapunovSamples",
    "MomentSamples",
    "NetworkStep",
    "TheoryWeights",
    "WeightMatrix",
    "Weights",
    "checked_weights",
    "dense_jacobian",
    "draw_image",
    "draw_weights",
    "ensemble_of",
    "is_fast",
    "jacobian_eigenvalues",
    "jacobian_products",
    "map_samples",
    "network_at_rest",
    "product_moments",
    "run_network",
    "sample_correlations",
    "sample_eigenvalues",
    "sample_lyapunov",
    "sample_moments",
    "sample_singular_values",
    "singular_values",
]
