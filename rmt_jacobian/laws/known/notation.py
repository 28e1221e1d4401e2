"""Laws written as text, such as ``marchenko-pastur(ratio=0.5)``."""

import math
import re
from collections.abc import Callable
from typing import Any

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.laws.known.free_poisson import FreePoisson
from rmt_jacobian.laws.known.fuss_catalan import FussCatalan
from rmt_jacobian.laws.known.marchenko_pastur import MarchenkoPastur
from rmt_jacobian.laws.known.point_masses import PointMasses
from rmt_jacobian.laws.known.quarter_circle import QuarterCircle
from rmt_jacobian.laws.known.semicircle import Semicircle
from rmt_jacobian.laws.law import Law

__all__ = ["parse_law"]

_LEAST = 1e-50  # powers of the numbers must not overflow

_NAMES: dict[str, tuple[Callable[..., Law], tuple[str, ...]]] = {
    "marchenko-pastur": (MarchenkoPastur, ("ratio", "scale")),
    "semicircle": (Semicircle, ("radius", "centre")),
    "fuss-catalan": (FussCatalan, ("order",)),
    "free-poisson": (FreePoisson, ("rate", "jump")),
    "quarter-circle": (QuarterCircle, ("radius",)),
}
_POINTS = "point-masses"


def parse_law(text: str) -> Law:
    """Read a law: a name, and numbers in parentheses, by position or as ``name=number``.

    The names are ``marchenko-pastur(ratio, scale)``, ``semicircle(radius, centre)``,
    ``fuss-catalan(order)``, ``free-poisson(rate, jump)``, ``quarter-circle(radius)`` and
    ``point-masses(x1:w1, x2:w2, ...)``.

    Raises
    ------
    ParameterError
        If the text is not of this form, or the law does not exist.

    Examples
    --------
    >>> parse_law("marchenko-pastur(0.5, scale=2)")
    MarchenkoPastur(ratio=0.5, scale=2.0)
    >>> parse_law("point-masses(0:0.25, 1:0.75)").atoms()
    ((0.0, 0.25), (1.0, 0.75))
    """
    match = re.fullmatch(r"\s*([a-z-]+)\s*(?:\(([^()]*)\)\s*)?", text)
    known = ", ".join([*_NAMES, _POINTS])
    if match is None:
        raise ParameterError(
            f"{text!r} is not of the form name(number, name=number): write a law such as "
            "quarter-circle(2)"
        )
    name, inner = match[1], match[2] or ""
    arguments = [part.strip() for part in inner.split(",")] if inner.strip() else []
    if name == _POINTS:
        return _point_masses(arguments)
    if name not in _NAMES:
        raise ParameterError(f"there is no law {name!r}: choose from {known}")
    make, parameters = _NAMES[name]
    try:
        return make(**_values(name, arguments, parameters))
    except TypeError:
        raise ParameterError(f"{name} needs {', '.join(parameters)}: give all of them") from None


def _values(name: str, arguments: list[str], parameters: tuple[str, ...]) -> dict[str, Any]:
    if len(arguments) > len(parameters):
        raise ParameterError(f"{name} takes {', '.join(parameters)}, not {len(arguments)} numbers")
    values: dict[str, Any] = {}
    for position, argument in enumerate(arguments):
        key, equals, value = argument.partition("=")
        if not equals:
            if len(values) < position or any("=" in earlier for earlier in arguments[:position]):
                raise ParameterError(f"{name}: {argument!r} follows a name=number; name it too")
            key, value = parameters[position], argument
        key = key.strip()
        if key not in parameters or key in values:
            what = "given twice" if key in values else f"unknown; use {', '.join(parameters)}"
            raise ParameterError(f"{name}: {key!r} is {what}")
        number = _number(value)
        whole = key == "order" and number == int(number)
        values[key] = int(number) if whole else number
    return values


def _point_masses(arguments: list[str]) -> Law:
    pairs = [argument.split(":") for argument in arguments]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise ParameterError("point-masses takes pairs location:mass, such as 0:0.5, 1:0.5")
    return PointMasses(*zip(*((_number(at), _number(mass)) for at, mass in pairs), strict=True))


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ParameterError(
            f"{text.strip()!r} is not a number: write a law such as quarter-circle(2)"
        ) from None
    if not math.isfinite(value):
        raise ParameterError(f"{text.strip()!r} is not finite; the numbers of a law are")
    if value != 0 and not _LEAST <= abs(value) <= 1 / _LEAST:
        raise ParameterError(
            f"{text.strip()} is out of range: the numbers of a law are 0 or of a size between "
            f"{_LEAST:g} and {1 / _LEAST:g}; choose other units"
        )
    return value
