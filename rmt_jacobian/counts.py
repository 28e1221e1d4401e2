"""Numbers that a user gives: counts, which are whole and above 0, others, and seeds."""

import math
from collections.abc import Mapping
from numbers import Real
from operator import index
from typing import Any

import numpy as np

from rmt_jacobian.errors import ParameterError

__all__ = ["check_counts", "check_numbers", "check_seed", "counts_of", "is_count"]


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


def counts_of(name: str, values: Any) -> tuple[int, ...]:
    """Return a list of counts as it is, and refuse what is none.

    Examples
    --------
    >>> counts_of("steps", [1, 5])
    (1, 5)
    >>> counts_of("steps", 5)
    Traceback (most recent call last):
    rmt_jacobian.errors.ParameterError: steps must be a list of whole numbers, such as [1, 5], not 5
    """
    try:
        found = tuple(values)
    except TypeError:
        raise ParameterError(
            f"{name} must be a list of whole numbers, such as [1, 5], not {values!r}"
        ) from None
    for value in found:
        check_counts({f"each of {name}": value})
    return found


def check_numbers(*, above: float = -math.inf, **numbers: Any) -> None:
    """Refuse what is no finite number above another.

    Examples
    --------
    >>> check_numbers(tolerance="small", above=0)
    Traceback (most recent call last):
    rmt_jacobian.errors.ParameterError: tolerance must be a finite number above 0, not 'small'
    """
    for name, value in numbers.items():
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if not (is_number and math.isfinite(value) and float(value) > above):
            bound = f" above {above:g}" if math.isfinite(above) else ""
            raise ParameterError(f"{name} must be a finite number{bound}, not {value!r}")


def check_seed(seed: Any, *, whole: bool = False) -> None:
    """Refuse what is no seed, or no whole number where only these are taken.

    Examples
    --------
    >>> check_seed("abc")
    Traceback (most recent call last):
    rmt_jacobian.errors.ParameterError: seed must be a non-negative whole number, or a generator
        or SeedSequence of numpy, not 'abc'
    """
    if not whole and isinstance(seed, np.random.Generator | np.random.SeedSequence):
        return
    is_zero = isinstance(seed, int | np.integer) and not isinstance(seed, bool) and seed == 0
    if not (is_count(seed) or is_zero):
        other = "" if whole else ", or a generator or SeedSequence of numpy"
        raise ParameterError(f"seed must be a non-negative whole number{other}, not {seed!r}")
