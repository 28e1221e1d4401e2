"""Counts that a user gives: whole numbers above 0."""

from collections.abc import Mapping
from operator import index
from typing import Any

from rmt_jacobian.errors import ParameterError

__all__ = ["check_counts", "is_count"]


def is_count(value: Any) -> bool:
    """Whether a value is a whole number above 0; True and 2.0 are not.

    Examples
    --------
    >>> [is_count(value) for value in (3, 0, 2.0, True)]
    [True, False, False, False]
    """
    try:
        return not isinstance(value, bool) and index(value) > 0
    except TypeError:
        return False


def check_counts(named: Mapping[str, Any] | None = None, /, **counts: Any) -> None:
    """Refuse what is no count.

    Raises
    ------
    ParameterError
        That names the argument.

    Examples
    --------
    >>> check_counts({"the number of sites": 64}, steps=2.5)
    Traceback (most recent call last):
    rmt_jacobian.errors.ParameterError: steps must be a whole number above 0, not 2.5
    """
    for name, value in {**(named or {}), **counts}.items():
        if not is_count(value):
            raise ParameterError(f"{name} must be a whole number above 0, not {value!r}")
