"""The law of the singular values of products of Jacobians, and their moments."""

from rmt_jacobian.singular_values.blocks import block_singular_value_law
from rmt_jacobian.singular_values.calibration import Calibration, calibrated
from rmt_jacobian.singular_values.law import SingularValueLaw
from rmt_jacobian.singular_values.of_cells import exact_moments, singular_value_law
from rmt_jacobian.singular_values.product_moments import moments

__all__ = [
    "Calibration",
    "SingularValueLaw",
    "block_singular_value_law",
    "calibrated",
    "exact_moments",
    "moments",
    "singular_value_law",
]
