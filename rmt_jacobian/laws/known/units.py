"""Laws in other units, written as laws of their own kind so that nothing overflows."""

from dataclasses import replace

from rmt_jacobian.laws.affine import Affine
from rmt_jacobian.laws.known.free_poisson import FreePoisson
from rmt_jacobian.laws.known.marchenko_pastur import MarchenkoPastur
from rmt_jacobian.laws.known.point_masses import PointMasses
from rmt_jacobian.laws.known.quarter_circle import QuarterCircle
from rmt_jacobian.laws.known.semicircle import Semicircle
from rmt_jacobian.laws.law import Law

__all__ = ["divided", "moved"]

_LENGTHS: dict[type[Law], tuple[str, ...]] = {
    FreePoisson: ("jump",),
    MarchenkoPastur: ("scale",),
    QuarterCircle: ("radius",),
    Semicircle: ("radius", "centre"),
}


def divided(law: Law, unit: float) -> Law:
    """Return the law of the variable over a positive number.

    Examples
    --------
    >>> divided(MarchenkoPastur(0.5, 3e200), 1e200)
    MarchenkoPastur(ratio=0.5, scale=3.0)
    """
    if isinstance(law, PointMasses):
        return PointMasses([at / unit for at in law.locations], law.weights)
    if isinstance(law, FreePoisson | MarchenkoPastur | QuarterCircle | Semicircle):
        return replace(law, **{name: getattr(law, name) / unit for name in _LENGTHS[type(law)]})
    if isinstance(law, Affine):
        return Affine(law.law, law.scale / unit, law.shift / unit)
    return Affine(law, 1 / unit)


def moved(law: Law, by: float) -> Law:
    """Return the law of the variable plus a number.

    Examples
    --------
    >>> moved(PointMasses((1.0, 1.5), (0.5, 0.5)), -1.0).atoms()
    ((0.0, 0.5), (0.5, 0.5))
    """
    if isinstance(law, PointMasses):
        return PointMasses([at + by for at in law.locations], law.weights)
    if isinstance(law, Semicircle):
        return replace(law, centre=law.centre + by)
    return Affine(law, 1.0, by)
