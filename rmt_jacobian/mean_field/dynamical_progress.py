"""A progress bar for the solution of a tied steady state, with an estimate of what is left."""

from dataclasses import dataclass

from tqdm import tqdm

__all__ = ["LapCounter"]

_DELAY = 2  # seconds
_TOGETHER = 8  # laps that the solution on all sites takes, which starts close to its end


@dataclass
class LapCounter:
    """Counts laps of driven sites around their circle of times.

    Attributes
    ----------
    bar
        Shows them once two seconds have passed.
    replicates
        Independent solutions, which need about as many laps each.

    Examples
    --------
    >>> counter = LapCounter.of("gru", 4, shown=False)
    >>> counter.lap()
    >>> counter.solved(0, laps=10)
    """

    bar: tqdm
    replicates: int

    @classmethod
    def of(cls, name: str, replicates: int, *, shown: bool) -> "LapCounter":
        """Return a counter whose bar is shown on request."""
        bar = tqdm(
            desc=f"{name}, steady state",
            unit="lap",
            disable=not shown,
            delay=_DELAY,
            mininterval=0.5,
        )
        return cls(bar, replicates)

    def look(self, period: int) -> None:
        """Say that a first look is had at a circle of that many steps."""
        self.bar.set_postfix(steps=period, refresh=False)

    def lap(self) -> None:
        """Count one lap."""
        self.bar.update()

    def solved(self, done: int, laps: int) -> None:
        """Estimate the total: ``done`` replicates are solved, in ``laps`` laps altogether."""
        each = laps / max(1, done)
        left = (self.replicates - done) * each + self.replicates * _TOGETHER
        self.bar.total = self.bar.n + round(left)

    def close(self) -> None:
        """Leave the bar as it is, complete."""
        self.bar.total = self.bar.n
        self.bar.close()
