"""Steady states of tied networks at the points of the figures of Can et al. (2020), seed by seed.

Whether each run converges, in how many evaluations, and whether runs at one point differ by no more
than the errors that they report; prints a table.  Points are those of Figures 1 and 3, the line
a_r = 2 of Figure 2, and all of them with one weight changed by 5 %.

Run as ``python -m benchmarks.tied_convergence runs.jsonl``, half an hour of one core; what the
file already holds is not run again, and ``--report`` runs nothing.
"""

import argparse
import itertools
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from rmt_jacobian.cells import Parameters, gru, lstm
from rmt_jacobian.errors import ConvergenceError
from rmt_jacobian.mean_field import tied_steady_state

CELLS = {"gru": gru, "lstm": lstm}
GATES = {"gru": ("update", "reset"), "lstm": ("forget", "output")}
SECOND_GAINS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
LINE = (0.5, 1.0, 2.0, 3.0, 5.0)  # a_z at a_r = 2
LONG = {("gru", 5.0, 2.0): 5, ("lstm", 10.0, 1.0): 5}  # seeds where a run takes longer
LONGEST = {("gru", 10.0, 1.0)}  # minutes a run, on a longer circle: one seed
SEEDS = {960: range(10), 2048: range(1), 8192: range(2)}
NO_NEIGHBOURS = (0.3, 3.0, 30.0, 100.0)  # gains between and around those of the spectra
COMBINED = 3.0  # errors, beyond which a pair of runs is listed


@dataclass(frozen=True)
class Job:
    """One run: the set that its point belongs to, its weights, and the numbers behind it."""

    family: str
    cell: str
    weights: dict[str, float]
    sites: int
    seed: int
    longest: int

    @property
    def point(self) -> str:
        """The weights, written out."""
        named = ", ".join(f"{name} {value:g}" for name, value in self.weights.items())
        return f"{self.cell}: {named}"


@dataclass(frozen=True)
class Run:
    """What a job came to: the variances of sources and states, or the refusal."""

    job: Job
    converged: bool
    evaluations: int
    seconds: float
    values: list[float]
    errors: list[float]
    refusal: str = ""


def base_points() -> Iterator[tuple[str, str, dict[str, float]]]:
    """Yield family, cell and weights of the points that the figures show."""
    for cell, (memory, second) in GATES.items():
        for first, other in itertools.product((1.0, 10.0), repeat=2):
            weights = {memory: first, second: other, "candidate": 3.0}
            yield "spectra (1a-d, 3a-d)", cell, weights
        for gain in SECOND_GAINS:
            weights = {memory: 0.0, second: gain, "candidate": 3.0}
            yield "radius against gain (1e, 3e)", cell, weights
    for gain in LINE:
        weights = {"update": gain, "reset": 2.0, "candidate": 3.0}
        yield "a_r = 2 over a_z", "gru", weights


def neighbours(weights: dict[str, float]) -> Iterator[dict[str, float]]:
    """Yield the weights with one of them, that is not 0, changed by 5 % either way."""
    for name, value in weights.items():
        if value:
            for factor in (0.95, 1.05):
                yield {**weights, name: factor * value}


def jobs() -> Iterator[Job]:
    """Yield all runs: every seed at 960 sites, few at more, and one at every neighbour."""
    turns, found = itertools.cycle(SEEDS[960]), []
    for family, cell, weights in base_points():
        first, second, _ = weights.values()
        if (cell, first, second) in LONGEST:
            found.append(Job(family, cell, weights, 960, 0, 16384))
            continue
        most = LONG.get((cell, first, second), len(SEEDS[960]))
        for sites, seeds in SEEDS.items():
            found += [Job(family, cell, weights, sites, seed, 2048) for seed in seeds[:most]]
        if second not in NO_NEIGHBOURS:
            near = neighbours(weights)
            found += [Job("neighbours", cell, each, 960, next(turns), 2048) for each in near]
    # By seed, so that a part of them is a part of every point.
    yield from sorted(found, key=lambda job: job.seed)


def run(job: Job) -> Run:
    """Solve for one steady state."""
    cell = CELLS[job.cell]
    weights = {f"{name}.weight_std": value for name, value in job.weights.items()}
    parameters = Parameters.of(cell).with_values(weights)
    start = time.process_time()
    try:
        found = tied_steady_state(
            cell, parameters, lags=4, sites=job.sites, longest_period=job.longest, seed=job.seed
        )
    except ConvergenceError as refusal:
        return Run(job, False, 0, time.process_time() - start, [], [], str(refusal))
    seconds = time.process_time() - start
    values = np.concatenate([found.source_covariances[:, 0], found.state_covariances[:, 0]])
    errors = np.concatenate([found.source_errors[:, 0], found.state_errors[:, 0]])
    _, kept = np.unique(values, return_index=True)  # a source that is a state counts once
    kept = np.sort(kept)
    return Run(
        job, found.converged, found.iterations, seconds, values[kept].tolist(),
        errors[kept].tolist(),
    )  # fmt: skip


def read(path: Path) -> list[Run]:
    """Return the runs that a file holds."""
    if not path.exists():
        return []
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    return [Run(Job(**entry.pop("job")), **entry) for entry in entries]


def deviations(runs: list[Run]) -> np.ndarray:
    """Return (value - mean) / error of runs at one point and number of sites, of all values."""
    values = np.array([each.values for each in runs])
    errors = np.array([each.errors for each in runs])
    # The mean takes one degree of freedom.
    return (values - values.mean(axis=0)) / errors * math.sqrt(len(runs) / (len(runs) - 1))


def pairs(runs: list[Run]) -> Iterator[tuple[float, Run, Run]]:
    """Yield the largest difference in combined errors of all pairs of runs at one point."""
    for one, two in itertools.combinations(runs, 2):
        change = np.subtract(one.values, two.values)
        yield float(np.max(np.abs(change) / np.hypot(one.errors, two.errors))), one, two


def grouped(runs: list[Run], *names: str) -> dict[tuple[object, ...], list[Run]]:
    """Return the converged runs by some of the attributes of their jobs."""
    found: dict[tuple[object, ...], list[Run]] = {}
    for each in runs:
        if each.converged:
            key = tuple(getattr(each.job, name) for name in names)
            found.setdefault(key, []).append(each)
    return found


def row(family: str, runs: list[Run]) -> str:
    """Return a row of the table: counts, the largest effort, and how far runs scatter."""
    samples = [group for group in grouped(runs, "point", "sites").values() if len(group) > 1]
    z = np.concatenate([deviations(group).ravel() for group in samples]) if samples else np.zeros(0)
    tried = [pair for group in grouped(runs, "point").values() for pair in pairs(group)]
    beyond = sum(size > COMBINED for size, _, _ in tried)
    scatter = f"{np.sqrt(np.mean(z**2)):.2f} | {np.abs(z).max():.1f}" if samples else "– | –"
    cells = [
        family, len({each.job.point for each in runs}), len(runs),
        sum(each.converged for each in runs), max(each.evaluations for each in runs),
        f"{np.median([each.seconds for each in runs]):.1f} s", scatter,
        f"{beyond} of {len(tried)}" if tried else "–",
    ]  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


def report(runs: list[Run]) -> None:
    """Print the table, and everything that is no success."""
    heads = ("points", "number", "runs", "converged", "most evaluations", "median time", "rms z",
             "largest z", "pairs beyond 3")  # fmt: skip
    print("| " + " | ".join(heads) + " |")
    print("|---" * len(heads) + "|")
    families: dict[str, list[Run]] = {}
    for each in runs:
        families.setdefault(each.job.family, []).append(each)
    for family, members in families.items():
        print(row(family, members))
    for each in runs:
        if not each.converged:
            print("not converged:", each.job, each.refusal, f"{each.seconds:.0f} s")
    for group in grouped(runs, "point").values():
        for size, one, two in pairs(group):
            if size > COMBINED:
                print(f"{one.job.point}: {size:.1f} combined errors, (sites, seed)"
                      f" {one.job.sites, one.job.seed} {one.values} +- {one.errors} and"
                      f" {two.job.sites, two.job.seed} {two.values} +- {two.errors}")  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    done = {(run.job.point, run.job.sites, run.job.seed) for run in read(options.file)}
    with threadpool_limits(1), options.file.open("a") as file:
        for job in () if options.report else jobs():
            if (job.point, job.sites, job.seed) not in done:
                file.write(json.dumps(asdict(run(job))) + "\n")
                file.flush()
    report(read(options.file))


if __name__ == "__main__":
    main()
