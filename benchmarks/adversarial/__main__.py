"""Sweep random cells at random points: fields, slopes and laws against an own simulation.

Run as ``python -m benchmarks.adversarial --points 1000``; prints tried, right, refused with
reasons, wrong and slow, and ends with status 1 if anything is wrong.
"""

import argparse
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from threadpoolctl import threadpool_limits
from tqdm import tqdm

from benchmarks.adversarial.checks import Outcome, check

_SLOW = 30.0  # seconds of processor time
_LAW_EVERY = 10


def checked(seed: int) -> Outcome:
    """Check one point on one thread."""
    with_law = [("gaussian", "orthogonal")[seed // _LAW_EVERY % 2]] * (seed % _LAW_EVERY == 0)
    with threadpool_limits(1):
        return check(seed, laws_of=with_law)


def main() -> int:
    """Run the sweep and print its table."""
    parser = argparse.ArgumentParser(description="Sweep random cells at random points.")
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--log", type=Path, help="a file to which each outcome is added")
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.points)
    outcomes: list[Outcome] = []
    with ProcessPoolExecutor(options.workers) as pool:
        tasks = {pool.submit(checked, seed): seed for seed in seeds}
        for task in tqdm(as_completed(tasks), total=len(tasks), disable=not sys.stderr.isatty()):
            error = task.exception()
            failed = Outcome(tasks[task], "crashed", f"{type(error).__name__}: {error}")
            outcomes.append(failed if error else task.result())
            if options.log:
                with options.log.open("a") as file:
                    file.write(f"{outcomes[-1]}\n")
    return report(sorted(outcomes, key=lambda outcome: outcome.seed))


def report(outcomes: list[Outcome]) -> int:
    """Print what became of the points; return 1 if anything is wrong."""
    kinds = Counter(outcome.kind for outcome in outcomes)
    slow = [outcome for outcome in outcomes if outcome.seconds > _SLOW]
    print(f"{'tried':<12}{len(outcomes):>6}")
    for kind in ("right", "unbounded", "unsettled", "refused", "wrong", "crashed"):
        print(f"{kind:<12}{kinds[kind]:>6}")
    print(f"{'slow':<12}{len(slow):>6}   longest {max(o.seconds for o in outcomes):.1f} s")
    reasons = Counter(
        outcome.message.split(":")[0][:90] for outcome in outcomes if outcome.kind == "refused"
    )
    for reason, count in reasons.most_common():
        print(f"  refused {count:>4}: {reason}")
    for outcome in outcomes:
        if outcome.kind in ("wrong", "crashed", "slow"):
            print(f"{outcome.kind} {outcome.seconds:.1f} s: {outcome.message}")
    return 1 if kinds["wrong"] + kinds["crashed"] + kinds["slow"] else 0


if __name__ == "__main__":
    sys.exit(main())
