"""Probability laws on the line: densities, quantiles, moments and the transforms."""

from rmt_jacobian.laws.affine import Affine
from rmt_jacobian.laws.convolution.free_product import FreeProduct
from rmt_jacobian.laws.convolution.free_sum import FreeSum
from rmt_jacobian.laws.convolution.operations import (
    boxplus,
    boxplus_power,
    boxtimes,
    boxtimes_power,
)
from rmt_jacobian.laws.convolution.transformed import FromRTransform, FromSTransform
from rmt_jacobian.laws.grid import angular_grid, trapezoidal_grid
from rmt_jacobian.laws.known.empirical import Empirical
from rmt_jacobian.laws.known.fit import Fit
from rmt_jacobian.laws.known.free_poisson import FreePoisson
from rmt_jacobian.laws.known.fuss_catalan import FussCatalan
from rmt_jacobian.laws.known.marchenko_pastur import MarchenkoPastur
from rmt_jacobian.laws.known.notation import parse_law
from rmt_jacobian.laws.known.point_masses import PointMasses
from rmt_jacobian.laws.known.quarter_circle import QuarterCircle
from rmt_jacobian.laws.known.semicircle import Semicircle
from rmt_jacobian.laws.law import Law
from rmt_jacobian.laws.near_zero import r_transform_near_zero, s_transform_near_zero
from rmt_jacobian.laws.solution import LawSolution

__all__ = [
    "Affine",
    "Empirical",
    "Fit",
    "FreePoisson",
    "FreeProduct",
    "FreeSum",
    "FromRTransform",
    "FromSTransform",
    "FussCatalan",
    "Law",
    "LawSolution",
    "MarchenkoPastur",
    "PointMasses",
    "QuarterCircle",
    "Semicircle",
    "angular_grid",
    "boxplus",
    "boxplus_power",
    "boxtimes",
    "boxtimes_power",
    "parse_law",
    "r_transform_near_zero",
    "s_transform_near_zero",
    "trapezoidal_grid",
]
