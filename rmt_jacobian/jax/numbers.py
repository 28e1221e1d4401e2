"""Arrays of JAX and numbers in double precision."""

from typing import Any

import numpy as np

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.networks.libraries import library

__all__ = ["like", "numbers"]


def numbers(array: Any, dimensions: int) -> np.ndarray:
    """Return an array of any precision in double precision.

    Raises
    ------
    ParameterError
        If it has no numbers, as inside ``jax.jit``, or another number of dimensions.

    Examples
    --------
    >>> numbers(np.ones(2, np.float16), 1)
    array([1., 1.])
    >>> numbers("boxed", 1)
    Traceback (most recent call last):
    rmt_jacobian.errors.ParameterError: this needs arrays with numbers, not str: give the parameters
        unboxed, and outside of jax.jit
    """
    try:
        found = np.asarray(array).astype(float)
    except (TypeError, ValueError):
        raise ParameterError(
            f"this needs arrays with numbers, not {type(array).__name__}: give the parameters "
            "unboxed, and outside of jax.jit"
        ) from None
    if found.ndim != dimensions:
        raise ParameterError(
            f"an array has the shape {found.shape}, not {dimensions} dimensions: give the "
            "parameters of one cell, not of several that are stacked"
        )
    return found


def like(old: Any, new: np.ndarray) -> Any:
    """Return numbers in the precision, and on the device, of an array that they replace.

    Examples
    --------
    >>> like(np.ones(2, np.float16), np.zeros(2)).dtype
    dtype('float16')
    """
    if isinstance(old, np.ndarray):
        return new.astype(old.dtype)
    jax = library("jax", "JAX")
    return jax.device_put(jax.numpy.asarray(new, dtype=old.dtype), old.sharding)
