"""Probability laws on the line: densities, quantiles, moments and the transforms."""

from rmt_jacobian.laws.empirical import Empirical
from rmt_jacobian.laws.free_poisson import FreePoisson
from rmt_jacobian.laws.fuss_catalan import FussCatalan
from rmt_jacobian.laws.law import Law
from rmt_jacobian.laws.marchenko_pastur import MarchenkoPastur
from rmt_jacobian.laws.near_zero import r_transform_near_zero, s_transform_near_zero
from rmt_jacobian.laws.point_masses import PointMasses
from rmt_jacobian.laws.quarter_circle import QuarterCircle
from rmt_jacobian.laws.semicircle import Semicircle

__all__ = [
    "Empirical",
    "FreePoisson",
    "FussCatalan",
    "Law",
    "MarchenkoPastur",
    "PointMasses",
    "QuarterCircle",
    "Semicircle",
    "r_transform_near_zero",
    "s_transform_near_zero",
]
