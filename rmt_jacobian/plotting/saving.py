"""Figures to files."""

from pathlib import Path

from matplotlib.figure import Figure

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.files import check_writable, write_whole

__all__ = ["check_figure_path", "save_figure"]

# The time of writing is left out, so that equal figures make equal files.
_METADATA = {
    "png": {},
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
}


def save_figure(figure: Figure, path: Path | str) -> Path:
    """Write a figure to a file that appears whole or not at all.

    Parameters
    ----------
    figure
        The figure.
    path
        Where it goes; the suffix says in which format: ``.png``, ``.pdf`` or ``.svg``.

    Returns
    -------
    Path
        The path.

    Raises
    ------
    ParameterError
        If the suffix is unknown or the path cannot be written.

    Examples
    --------
    >>> save_figure(Figure(), "figure.bmp")
    Traceback (most recent call last):
    ...
    rmt_jacobian.errors.ParameterError: cannot write figure.bmp: end its name in .png, .pdf or .svg
    """
    kind = check_figure_path(path)
    return write_whole(
        path, lambda file: figure.savefig(file, format=kind, dpi=150, metadata=_METADATA[kind])
    )


def check_figure_path(path: Path | str) -> str:
    """Return the format that a file name asks for, before time is spent on the figure.

    Raises
    ------
    ParameterError
        If the suffix is unknown or the path cannot be written.

    Examples
    --------
    >>> check_figure_path("figure.pdf")
    'pdf'
    """
    kind = Path(path).suffix.lower().removeprefix(".")
    if kind not in _METADATA:
        raise ParameterError(f"cannot write {path}: end its name in .png, .pdf or .svg")
    check_writable(path)
    return kind
