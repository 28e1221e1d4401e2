"""Checks of parameters that several laws share."""

import math

from rmt_jacobian.errors import ParameterError

__all__ = ["finite", "positive"]


def positive(name: str, value: float) -> None:
    """Raise :class:`ParameterError` unless a parameter is positive and finite.

    Examples
    --------
    >>> positive("scale", 2.0)
    """
    if not (math.isfinite(value) and value > 0):
        raise ParameterError(f"{name} must be positive and finite, not {value}")


def finite(name: str, value: float) -> None:
    """Raise :class:`ParameterError` unless a parameter is finite.

    Examples
    --------
    >>> finite("centre", -1.0)
    """
    if not math.isfinite(value):
        raise ParameterError(f"{name} must be finite, not {value}")
