"""The command line.  Thin: it reads arguments, calls the package and writes results.

Heavy modules are imported by the commands that need them, so that ``--help`` is immediate.
"""

import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import click

from rmt_jacobian import __version__
from rmt_jacobian.cli.compare import compare_command
from rmt_jacobian.cli.convolve import convolve_command
from rmt_jacobian.cli.critical_init import critical_init_command
from rmt_jacobian.cli.density import density_command
from rmt_jacobian.cli.derive import derive_command
from rmt_jacobian.cli.eigenvalues import eigenvalues_command
from rmt_jacobian.cli.freeness import freeness_command
from rmt_jacobian.cli.inspect import inspect_command
from rmt_jacobian.cli.lanczos import lanczos_command
from rmt_jacobian.cli.lyapunov import lyapunov_command
from rmt_jacobian.cli.mean_field import mean_field_command
from rmt_jacobian.cli.phase_diagram import phase_diagram_command
from rmt_jacobian.cli.run import run_command
from rmt_jacobian.cli.show import show_command
from rmt_jacobian.cli.spectrum import spectrum_command
from rmt_jacobian.cli.verify import verify_command
from rmt_jacobian.errors import ConvergenceError, RmtJacobianError, RoundingWarning

__all__ = ["main"]

_SMALLER = "choose a smaller --width, or fewer --sites, --steps, --samples or --workers"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="%(prog)s %(version)s")
def _commands() -> None:
    """Spectra of random recurrent-network Jacobians: derived, solved and sampled.

    Start with:  rmt-jacobian verify
    """


for _command in (
    verify_command,
    derive_command,
    mean_field_command,
    critical_init_command,
    spectrum_command,
    lanczos_command,
    density_command,
    eigenvalues_command,
    phase_diagram_command,
    lyapunov_command,
    freeness_command,
    inspect_command,
    compare_command,
    convolve_command,
    run_command,
    show_command,
):
    _commands.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 bad input, 1 no convergence, 130 interrupted."""
    sys.exit(_status(arguments))


def _status(arguments: Sequence[str] | None) -> int:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", RoundingWarning)
            warnings.showwarning = _shown(warnings.showwarning)
            status = _commands.main(
                args=None if arguments is None else list(arguments),
                prog_name="rmt-jacobian",
                standalone_mode=False,
            )
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.ClickException as error:
        return _complain(error.format_message(), 2)
    except ConvergenceError as error:
        return _complain(str(error), 1)
    except RmtJacobianError as error:
        return _complain(str(error), 2)
    except MemoryError as error:  # NumPy says how much it asked for, Python does not
        return _complain(f"not enough memory{f' ({error})' if str(error) else ''}: {_SMALLER}", 2)
    except (click.Abort, KeyboardInterrupt):
        return _complain("interrupted", 130)
    except BrokenPipeError:
        # The reader of standard output has left, e.g. ``| head``; nothing more can be said.
        sys.stderr.close()
        return 0
    return status if isinstance(status, int) else 0


def _shown(otherwise: Callable[..., None]) -> Callable[..., None]:
    """Return what shows a warning: one line for one of ours, the usual way for all others."""

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, RoundingWarning):
            _complain(str(message), 0)
        else:
            otherwise(message, category, *place, **more)

    return show


def _complain(message: str, status: int) -> int:
    click.echo(f"rmt-jacobian: {' '.join(message.split())}", err=True)
    return status
