"""Files written whole: into a temporary neighbour first, then renamed."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from rmt_jacobian.errors import ParameterError

__all__ = ["check_writable", "write_whole"]


def write_whole(path: Path | str, write: Callable[[IO[bytes]], Any]) -> Path:
    """Write a file so that it either appears complete or not at all.

    Parameters
    ----------
    path
        Where the file goes; missing folders are made.
    write
        Called with an open binary file.

    Raises
    ------
    ParameterError
        If the path cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder) / "new" / "note.txt", lambda file: file.write(b"x")).name
    'note.txt'
    """
    path = Path(path)
    temporary: str | None = None
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as stream:  # a device or a pipe is written to, never replaced
                write(stream)
            return path
        path = path.resolve()  # the file behind a link, not the link
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            temporary = file.name
            write(file)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # what open() would have given; mkstemp is private
        os.replace(temporary, path)
    except OSError as error:
        raise ParameterError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
    return path


def check_writable(path: Path | str) -> None:
    """Raise now if a file could not be written later, before time is spent on its content.

    Raises
    ------
    ParameterError
        If the path is a folder, or its nearest existing folder does not let us create files.
    """
    path = Path(path)
    if path.is_dir():
        raise ParameterError(f"cannot write {path}: it is a folder, give the name of a file")
    if path.exists() and not path.is_file():
        return
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise ParameterError(f"cannot write {path}: {folder} is not a folder")
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        reason = error.strerror or error
        raise ParameterError(f"cannot write {path}: {reason} in {folder}") from error
