"""How much memory networks with stored W need, known before they are drawn."""

import os

from rmt_jacobian.cells import Cell
from rmt_jacobian.counts import check_counts
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.sampling.weights.ensembles import Weights, is_fast

__all__ = ["check_memory"]

_BYTES = 8  # of a number
_BLOCKS = 2  # of the size of the product, at the least: before a step and after it


def check_memory(
    cell: Cell, weights: Weights, width: int, columns: int, samples: int, workers: int | None
) -> None:
    """Refuse networks of which fewer than one a worker fit into the memory of the machine.

    Parameters
    ----------
    cell, weights, width
        The networks: every W that is stored takes N^2 numbers.
    columns
        Of the matrices that are sent through the product, dN rows each; two are held.
    samples, workers
        How many there are, and run at a time; by default one for each core.

    Raises
    ------
    ParameterError
        If they do not fit.

    Examples
    --------
    >>> from rmt_jacobian.cells import vanilla
    >>> check_memory(vanilla, "gaussian", 512, 512, 16, 2)
    >>> check_memory(vanilla, "gaussian", 10**7, 10**7, 16, 1)
    Traceback (most recent call last):
        ...
    rmt_jacobian.errors.ParameterError: ...
    """
    check_counts(width=width, samples=samples)
    if workers is not None:
        check_counts(workers=workers)
    stored = 0 if is_fast(weights) else sum(each.reads_state for each in cell.preactivations)
    one = _BYTES * width * (stored * width + _BLOCKS * len(cell.states) * columns)
    at_once = min(samples, workers or os.cpu_count() or 1)
    if (needed := one * at_once) > (there := _physical_memory()):
        raise ParameterError(
            f"not enough memory: {at_once} network(s) of width {width} at a time take "
            f"{needed / 1e9:.3g} GB of the {there / 1e9:.3g} GB here: choose a smaller width or "
            "fewer workers, or products that are never formed (lanczos)"
        )


def _physical_memory() -> float:
    """Return the bytes of memory of this machine, infinity where it does not say."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        return float("inf")
