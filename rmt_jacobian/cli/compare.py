"""``rmt-jacobian compare``: singular values of one's own beside a law."""

import warnings
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rmt_jacobian.cli.options import (
    FRESH_WEIGHTS,
    OUTPUT,
    said_of,
    seed_option,
    sites_option,
    steps_option,
    theory_weights_choice,
)
from rmt_jacobian.cli.point import CELL, POINT_OPTIONS
from rmt_jacobian.cli.request import Request, command
from rmt_jacobian.errors import ParameterError

if TYPE_CHECKING:
    import numpy as np

    from rmt_jacobian.comparison import SpectrumComparison
    from rmt_jacobian.laws import Law

__all__ = ["compare_command"]

_OF_A_CELL = (
    "assignments", "config", "inputs", "biases", "steps", "weights", "squared", "sites", "seed",
)  # fmt: skip
_KEY = "singular_values"  # what ``spectrum --out`` writes


@command(
    "compare",
    click.argument("values", type=OUTPUT),
    click.option("--key", metavar="NAME", help="The array, in an .npz file of several."),
    click.option(
        "--law",
        metavar="LAW",
        help="The law of the values, as in convolve: quarter-circle(2), marchenko-pastur(0.5), ...",
    ),
    click.option(
        "--cell", type=CELL, metavar="CELL", help="Or the cell whose Jacobians they come from."
    ),
    *POINT_OPTIONS,
    steps_option(10_000),
    click.option("--weights", type=theory_weights_choice, default="gaussian", show_default=True),
    click.option(
        "--squared", is_flag=True, help="The values are squares, eigenvalues of J J^T: with --cell."
    ),
    sites_option(1024),
    seed_option,
    figure="Draw the law over a histogram of the values.",
)
def compare_command(request: Request) -> None:
    """Compare singular values of your own with a law.

    VALUES is an .npy or .npz file of shape (networks, N) or (N,), such as spectrum writes, or text
    with one network in each line.  The law is that of --cell, or the one that --law writes out.
    """
    asked = request.options
    if (asked.law is None) == (request.cell is None):
        raise ParameterError("give either --law or --cell")
    if request.cell is None:
        _refuse_options_of_a_cell()
    spectra = _read(asked.values, asked.key)
    states = 1 if request.cell is None else len(request.cell.states)
    if spectra.shape[1] % states:  # refused before the law is solved for
        raise ParameterError(
            f"{asked.values} has {spectra.shape[1]} values for each network, which are not those "
            f"of {states} states a site: give whole spectra, or another --cell"
        )

    from rmt_jacobian.comparison import compare_spectrum

    law, title = _law(request)
    comparison = compare_spectrum(law, spectra, label=title, states=states)
    if request.cell is not None:
        request.describe()
    request.say(*_lines(law, spectra, comparison))
    if request.cell is not None and asked.steps > 1 and comparison.verdict == "fails":
        request.say(FRESH_WEIGHTS)
    request.draw(lambda: _figure(law, spectra, comparison, states))
    settings = request.settings
    if request.cell is None:
        settings = {name: value for name, value in settings.items() if name not in _OF_A_CELL}
    request.write(_results(law, spectra, comparison), settings=settings)


def _law(request: Request) -> "tuple[Law, str]":
    """Return the law and its title."""
    asked = request.options
    if request.cell is None:
        from rmt_jacobian.laws import parse_law

        with said_of("--law"):
            return parse_law(asked.law), asked.law
    from rmt_jacobian.singular_values import singular_value_law

    law = singular_value_law(
        *request.point, weights=asked.weights, steps=asked.steps, sites=asked.sites,
        seed=asked.seed, squared=asked.squared, progress=True,
    )  # fmt: skip
    title = f"{request.cell.name}, {asked.weights} W, T = {asked.steps}"
    return law, title


def _refuse_options_of_a_cell() -> None:
    """Refuse options that say something of a cell, where a law is given."""
    context = click.get_current_context()
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in _OF_A_CELL and source is click.core.ParameterSource.COMMANDLINE:
            raise ParameterError(
                f"{parameter.opts[0]} is for --cell: a --law is that of the values themselves"
            )


def _read(path: Path, key: str | None) -> "np.ndarray":
    """Return spectra of shape (networks, N)."""
    try:
        found = _loaded(path, key)
    except ParameterError:
        raise  # of ours, and a ValueError too
    except OSError as error:
        raise ParameterError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ParameterError(f"{path} holds no array of numbers: {error}") from error
    return _checked(path, found)


def _loaded(path: Path, key: str | None) -> "np.ndarray | None":
    """Return the array of a file; None where an archive does not tell which."""
    import numpy as np

    if path.suffix not in (".npy", ".npz"):
        _refuse_key(key)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a file without numbers
            return np.loadtxt(path, delimiter="," if path.suffix == ".csv" else None, ndmin=2)
    with path.open("rb") as stream:  # which NumPy leaves open where an archive is torn
        found = np.load(stream, allow_pickle=False)
        if not isinstance(found, np.ndarray):
            return found.get(_named(found.files, key))
        _refuse_key(key)
        return found


def _refuse_key(key: str | None) -> None:
    if key is not None:
        raise ParameterError(f"--key {key} is for an .npz file, of several arrays: leave it out")


def _checked(path: Path, found: "np.ndarray | None") -> "np.ndarray":
    from rmt_jacobian.comparison import checked_values

    if found is None:
        raise ParameterError(
            f"{path} does not hold one array, or none of that name: give its --key"
        )
    return checked_values(found, str(path))


def _named(names: list[str], key: str | None) -> str:
    if key is not None or _KEY in names or len(names) != 1:
        return key or _KEY
    return names[0]


def _figure(law: "Law", spectra: "np.ndarray", found: "SpectrumComparison", states: int) -> Any:
    import numpy as np

    from rmt_jacobian.comparison import compare_spectrum
    from rmt_jacobian.plotting import overlay_figure
    from rmt_jacobian.singular_values import SingularValueLaw

    of_jacobians = isinstance(law, SingularValueLaw)
    if of_jacobians and law.squared:  # the singular values are drawn
        spectra, law = np.sqrt(spectra), law.roots()
        found = compare_spectrum(law, spectra, label=found.label, states=states)
    drawn = overlay_figure(spectra, law, found.label, comparison=found)
    if not of_jacobians:
        (ax,) = drawn.axes
        ax.set_xlabel(r"$\log_{10} s$" if "log" in ax.get_ylabel() else "$s$")
    return drawn


def _lines(law: "Law", spectra: "np.ndarray", found: "SpectrumComparison") -> list[str]:
    import numpy as np

    percent = f"{100 * found.quantile:g} % null"
    rows = [f"{'':<18}{'values':>12}{'law':>12}"]
    for p in (0.05, 0.5, 0.95):
        rows.append(f"quantile {p:<9}{np.quantile(spectra, p):>12.6g}{float(law.ppf(p)):>12.6g}")
    for name, order in (("mean", 1), ("mean square", 2)):
        moment = float(law.expect(lambda x, n=order: x**n))
        rows.append(f"{name:<18}{float(np.mean(spectra**order)):>12.6g}{moment:>12.6g}")
    return [
        *rows,
        f"KS {found.ks:.3g} ({percent} {found.ks_null:.3g}): {found.verdict}",
        f"Wasserstein-1 {found.wasserstein:.3g} ({percent} {found.wasserstein_null:.3g})",
    ]


def _results(law: "Law", spectra: "np.ndarray", found: "SpectrumComparison") -> dict[str, Any]:
    import numpy as np

    return {
        "networks": found.samples,
        "width": found.width,
        "mean": float(np.mean(spectra)),
        "mean_square": float(np.mean(spectra**2)),
        "law_mean": law.expect(),
        "law_mean_square": law.expect(lambda x: x**2),
        "ks": found.ks,
        "ks_null": found.ks_null,
        "wasserstein": found.wasserstein,
        "wasserstein_null": found.wasserstein_null,
        "quantile": found.quantile,
        "verdict": found.verdict,
    }
