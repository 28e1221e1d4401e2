"""A progress bar for the solution of a tied steady state, with an estimate of what is left."""

from dataclasses import dataclass

from tqdm import tqdm

__all__ = ["LapCounter"]

_DELAY = 2  # seconds


@dataclass
class LapCounter:
    """Counts laps of driven sites around their circle of times.

    Attributes
    ----------
    bar
        Shows them once two seconds have passed.

    Examples
    --------
    >>> counter = LapCounter.of("gru", shown=False)
    >>> counter.look(64)
    >>> counter.lap(31)
    >>> counter.close()
    """

    bar: tqdm

    @classmethod
    def of(cls, name: str, *, shown: bool) -> "LapCounter":
        """Return a counter whose bar is shown on request."""
        bar = tqdm(
            desc=f"{name}, steady state",
            unit="lap",
            disable=not shown,
            delay=_DELAY,
            mininterval=0.5,
        )
        return cls(bar)

    def look(self, period: int) -> None:
        """Say how many steps the circle has now."""
        self.bar.set_postfix(steps=period, refresh=False)

    def lap(self, left: int) -> None:
        """Count one lap, after which about so many are left."""
        self.bar.update()
        self.bar.total = self.bar.n + left

    def close(self) -> None:
        """Leave the bar as it is, complete."""
        self.bar.total = self.bar.n
        self.bar.close()
