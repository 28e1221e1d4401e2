"""What a store holds so far, in a few numbers and maps."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rmt_jacobian.runs.layout import FINISHED, MISSING, UNCONVERGED, UNDEFINED
from rmt_jacobian.runs.store import RunStore

__all__ = ["SpectrumMoments", "Summary", "maps", "spectrum_moments", "summary"]


@dataclass(frozen=True)
class Summary:
    """How far a run is.

    Attributes
    ----------
    finished, samples
        Tasks that are done, those without an answer included, and all of them.
    unconverged, undefined
        Tasks without an answer to everything: because a solver did not converge, or because there
        is none.
    checksum
        SHA-256 of the finished results; see :meth:`.RunStore.checksum`.
    metadata
        The specification of the run, its format, and what has computed it.
    """

    finished: int
    samples: int
    unconverged: int
    undefined: int
    checksum: str
    metadata: dict[str, Any]

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return self.finished == self.samples


def summary(store: RunStore) -> Summary:
    """Return how far the run of a store is.

    Raises
    ------
    StoreError
        If a result is damaged.
    """
    status = store.status()
    counts = {code: int(np.count_nonzero(status == code)) for code in range(UNDEFINED + 1)}
    return Summary(
        finished=status.size - counts[MISSING],
        samples=status.size,
        unconverged=counts[UNCONVERGED],
        undefined=counts[UNDEFINED],
        checksum=store.checksum(status),
        metadata=store.metadata,
    )


@dataclass(frozen=True, eq=False)
class SpectrumMoments:
    r"""Moments of J J^T of the finished samples, point by point.

    Attributes
    ----------
    log_mean, log_second_moment
        Logarithms of m_1 and m_2, averaged over samples; shape of the grid, nan without a sample.
    log_largest
        Logarithm of the largest singular value of all samples.
    samples
        Finished ones at each point.
    """

    log_mean: np.ndarray
    log_second_moment: np.ndarray
    log_largest: np.ndarray
    samples: np.ndarray


def spectrum_moments(store: RunStore) -> SpectrumMoments:
    """Return moments of the spectra of a store; each is read once."""
    status = store.status()
    shape = status.shape[:-1]
    sums = {order: np.full(shape, -np.inf) for order in (1, 2)}
    largest, samples = np.full(shape, -np.inf), np.zeros(shape, dtype=int)
    name, *_ = store.layout.results
    for index in np.argwhere(status == FINISHED):
        point = tuple(index[:-1].tolist())
        values = store.read(name, tuple(index.tolist()))
        with np.errstate(divide="ignore"):
            logs = values if name.startswith("log") else np.log(values)
        for order, total in sums.items():
            sample = _log_mean_exp(2 * order * logs)
            total[point] = np.logaddexp(total[point], sample)
        largest[point] = max(largest[point], logs.max())
        samples[point] += 1
    with np.errstate(divide="ignore", invalid="ignore"):
        count = np.log(samples)
        log_mean, log_second = (np.where(samples, sums[k] - count, np.nan) for k in (1, 2))
    return SpectrumMoments(log_mean, log_second, np.where(samples, largest, np.nan), samples)


def maps(store: RunStore) -> dict[str, np.ndarray]:
    r"""Return quantities over the grid of a store, nan where there is no answer.

    Those of a sweep are what it has computed.  Those of an ensemble are the sampled twins of two of
    them: ``growth_rate``, :math:`m_1^{1/T}`, and ``relative_variance``, :math:`m_2 / m_1^2 - 1`.
    """
    if store.specification["quantity"] != "spectrum":
        status = store.status()
        return {name: store.values(name, status) for name in store.layout.results}
    found, steps = spectrum_moments(store), store.specification["steps"]
    return {
        "growth_rate": np.exp(found.log_mean / steps),
        "relative_variance": np.exp(found.log_second_moment - 2 * found.log_mean) - 1,
    }


def _log_mean_exp(logs: np.ndarray) -> float:
    top = float(np.max(logs))
    if not np.isfinite(top):
        return top
    return top + float(np.log(np.mean(np.exp(logs - top))))
