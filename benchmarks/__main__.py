"""Print one table: this package beside the obvious loop and its peers, and how costs grow.

Run as ``python -m benchmarks``; ``--width 2048 --steps 32`` takes minutes.  Times are those of the
processor on one thread, measured in one run, so that the ratios mean something on a busy machine.
Peers are measured where they are installed.
"""

import argparse
import importlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from benchmarks.exact_densities import fuss_catalan_density, semicircle_plus_free_poisson
from benchmarks.obvious import obvious_singular_values
from rmt_jacobian.cells import Cell, Parameters, minimalrnn, vanilla
from rmt_jacobian.cli.allocation import keep_freed_memory
from rmt_jacobian.laws import FussCatalan, MarchenkoPastur, Semicircle, boxplus
from rmt_jacobian.sampling import sample_matrix_free, sample_singular_values

Action = Callable[[], Any]


def seconds(action: Action, rounds: int = 3) -> float:
    """Return the least processor time of some rounds, after one to warm up."""
    action()
    times = []
    for _ in range(rounds):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return min(times)


def ours(cell: Cell, weights: Any, width: int, steps: int, samples: int = 1) -> np.ndarray:
    """Sample singular values."""
    return sample_singular_values(
        cell, Parameters.of(cell), weights=weights, width=width, steps=steps, samples=samples,
        workers=1,
    )  # fmt: skip


def wide(weights: Any, width: int) -> Any:
    """Sample two moments and a density without forming the product."""
    return sample_matrix_free(
        minimalrnn, Parameters.of(minimalrnn), weights=weights, steps=20, width=width, vectors=2,
        lanczos_steps=16, workers=1,
    )  # fmt: skip


def beside_the_loop(width: int, steps: int, bar: tqdm) -> list[str]:
    """Return the lines of the comparison with the obvious loop."""
    lines = [f"singular values of {steps} steps at width {width}", ""]
    lines.append(f"{'cell':<12}{'weights':<18}{'obvious loop':>14}{'ours':>12}{'ratio':>8}")
    for cell in (minimalrnn, vanilla):
        for weights in ("orthogonal", "gaussian"):
            loop = seconds(lambda c=cell, w=weights: obvious_singular_values(c, w, width, steps), 1)
            for name in (weights, f"fast-{weights}"):
                mine = seconds(lambda c=cell, w=name: ours(c, w, width, steps), 1)
                numbers = f"{loop:12.2f} s{mine:10.2f} s{loop / mine:8.1f}"
                lines.append(f"{cell.name:<12}{name:<18}{numbers}")
                bar.update()
    return lines


def _error(found: np.ndarray, exact: np.ndarray) -> float:
    return float(np.max(np.abs(np.asarray(found) - exact)) / np.max(exact))


def _peers(freealg: Any) -> list[tuple[str, np.ndarray, Action, Action]]:
    """Return a name, exact densities, our way to them and that of freealg."""
    x = np.linspace(0.01, 4.0, 2001)
    low, high = (1 - np.sqrt(0.5)) ** 2, (1 + np.sqrt(0.5)) ** 2
    marchenko = np.sqrt(np.maximum(0, (x - low) * (high - x))) / (np.pi * x)
    theirs = freealg.MarchenkoPastur(0.5)
    cases: list[tuple[str, np.ndarray, Action, Action]] = [
        ("Marchenko-Pastur, 2001 points", marchenko, lambda: MarchenkoPastur(0.5).pdf(x),
         lambda: theirs.density(x=x)),
    ]  # fmt: skip
    for order in (2, 10):
        at, exact = fuss_catalan_density(order)
        law = freealg.FussCatalan(order)
        cases.append(
            (f"Fuss-Catalan {order}, 400 points", exact,
             lambda o=order, a=at: FussCatalan(o).pdf(a), lambda w=law, a=at: w.density(x=a))
        )  # fmt: skip
    line = np.linspace(-2.5, 5.0, 1001)
    free = freealg.FreeLevy([0.5], [1.0], 2.0, a=0.0, sigma=1.0)
    cases.append(
        ("semicircle boxplus Marchenko-Pastur, 1001 points",
         semicircle_plus_free_poisson(line, 2.0, 0.5),
         lambda: boxplus(Semicircle(2.0), MarchenkoPastur(0.5)).pdf(line),
         lambda: free.density(x=line, eta=1e-8))
    )  # fmt: skip
    return cases


def beside_peers(bar: tqdm) -> list[str]:
    """Return the lines of the comparison with freealg."""
    lines = ["densities on the axis; errors relative to the largest density", ""]
    try:
        freealg = importlib.import_module("freealg.distributions")
    except ImportError:
        bar.update()
        return [*lines, "freealg is not installed: pip install freealg"]
    lines.append(f"{'law':<50}{'ours':>22}{'freealg':>22}{'ratio':>8}")
    for name, exact, mine, theirs in _peers(freealg):
        times = seconds(mine), seconds(theirs)
        errors = _error(mine(), exact), _error(theirs(), exact)
        pairs = "".join(f"{1e3 * t:11.2f} ms{e:9.0e}" for t, e in zip(times, errors, strict=True))
        lines.append(f"{name:<50}{pairs}{times[1] / times[0]:8.1f}")
    bar.update()
    return lines


def growth(name: str, sizes: Sequence[int], action: Callable[[int], Any], bar: tqdm) -> str:
    """Return a line with the times at some sizes and the fitted exponent."""
    times = []
    for size in sizes:
        times.append(seconds(lambda n=size: action(n), 2))
        bar.update()
    exponent = np.polyfit(np.log(sizes), np.log(times), 1)[0]
    span = f"{sizes[0]} to {sizes[-1]}"
    return f"{name:<52}{span:>18}{times[0]:10.3f} s{times[-1]:9.3f} s{exponent:8.2f}"


def growths(bar: tqdm) -> list[str]:
    """Return the lines of fitted exponents."""
    lines = [f"{'cost against':<52}{'from, to':>18}{'first':>12}{'last':>11}{'power':>8}"]
    for weights in ("orthogonal", "gaussian", "fast-orthogonal"):
        name = f"N: singular values, T = 8, {weights}"
        lines.append(growth(name, SIZES["N"], lambda n, w=weights: ours(minimalrnn, w, n, 8), bar))
    for weights in ("fast-orthogonal", "fast-gaussian"):
        name = f"N: without the product, T = 20, {weights}"
        lines.append(growth(name, SIZES["wide"], lambda n, w=weights: wide(w, n), bar))
    name = "T: singular values, N = 256, orthogonal"
    lines.append(growth(name, SIZES["T"], lambda T: ours(minimalrnn, "orthogonal", 256, T), bar))
    name = "samples: singular values, N = 256, T = 8"
    many = SIZES["samples"]
    lines.append(
        growth(name, many, lambda k: ours(minimalrnn, "orthogonal", 256, 8, samples=k), bar)
    )
    return lines


SIZES = {
    "N": (256, 512, 1024),
    "wide": (2**12, 2**14, 2**16),
    "T": (8, 16, 32, 64),
    "samples": (2, 4, 8),
}
_TIMINGS = 8 + 1 + 3 * len(SIZES["N"]) + 2 * len(SIZES["wide"]) + len(SIZES["T"]) + 3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=1024, help="of the comparison with the loop")
    parser.add_argument("--steps", type=int, default=16, help="of the comparison with the loop")
    options = parser.parse_args()
    keep_freed_memory()
    with threadpool_limits(1), tqdm(total=_TIMINGS, desc="timings", unit="timing") as bar:
        parts = [
            beside_the_loop(options.width, options.steps, bar),
            beside_peers(bar),
            growths(bar),
        ]
    print("\n\n".join("\n".join(lines) for lines in parts))


if __name__ == "__main__":
    main()
