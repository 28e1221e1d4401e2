"""Whether the scores of ``verify`` are standard normal over seeds, and what they tell apart.

Run as ``python -m benchmarks.verdicts``; at the defaults of ``verify`` it takes about a quarter of
an hour of one core.
"""

import argparse
import time
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from rmt_jacobian.cells import Parameters, cell_named
from rmt_jacobian.comparison import Comparison, Estimate, Verification, verify

_SCORES = ("exact", "exact on sites", "paired")
_ROUTES = ("printed", "s_transform", "exact", "paired")


def perturbed(moment: Comparison, route: str, factor: float) -> Comparison:
    """Return a comparison one of whose theory columns is multiplied by a factor."""
    if route != "paired":
        value = getattr(moment, route)
        return moment if value is None else replace(moment, **{route: factor * value})
    ratio = moment.measured.ratio
    ratio = Estimate(ratio.value / factor, ratio.standard_error / factor)
    return replace(moment, measured=replace(moment.measured, ratio=ratio))


def _table(runs: list[Verification], quantity: str, factor: float) -> None:
    print(f"\n{quantity}: z of {len(runs)} seeds, mean and standard deviation; how often exact")
    print(f"fails, and how often a column does that is multiplied by {factor}")
    head = [f"{name:>15}" for name in _SCORES] + ["exact fails"] + [f"{r:>11}" for r in _ROUTES]
    print(f"{'weights':>10}  {'T':>2}", *head)
    everything = []
    for k, row in enumerate(runs[0].rows):
        moments = [getattr(run.rows[k], quantity) for run in runs]
        z = np.array([[moment.z()[name] for name in _SCORES] for moment in moments])
        everything.append(z)
        counts = [sum(moment.verdicts["exact"] == "fails" for moment in moments)]
        for route in _ROUTES:
            words = [perturbed(moment, route, factor).verdicts[route] for moment in moments]
            counts.append(words.count("fails"))
        print(f"{row.weights:>10}  {row.steps:2d}", *_spread(z), *(f"{c:>11}" for c in counts))
    print(f"{'all':>14}", *_spread(np.concatenate(everything)))


def _spread(z: np.ndarray) -> list[str]:
    return [f"{m:+7.2f} {s:7.2f}" for m, s in zip(z.mean(0), z.std(0, ddof=1), strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cell", nargs="?", default="minimalrnn")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--factor", type=float, default=1.03)
    options = parser.parse_args()
    cell, start = cell_named(options.cell), time.perf_counter()
    runs = [
        verify(
            cell, Parameters.of(cell), width=options.width, samples=options.samples, seed=seed,
            spectra=False,
        )
        for seed in tqdm(range(options.seeds))
    ]  # fmt: skip
    for quantity in ("mean", "second_moment", "variance"):
        _table(runs, quantity, options.factor)
    s_1 = np.array([[s.measured.z(s.exact) for s in run.s_1] for run in runs])
    differences = np.array([[d.z for d in run.differences] for run in runs])
    for name, z in (("s_1", s_1), ("orthogonal minus Gaussian", differences)):
        print(f"{name}: mean {z.mean(0).round(2)}, standard deviation {z.std(0, ddof=1).round(2)}")
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
