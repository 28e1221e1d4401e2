"""A store: a folder in the Zarr format to which every finished task is added whole."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import IO, Any

import numpy as np

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.files import write_whole
from rmt_jacobian.runs.errors import StoreError, UnfinishedRunError
from rmt_jacobian.runs.labelled import store_dataset
from rmt_jacobian.runs.layout import FINISHED, MISSING, STATUS, UNDEFINED, Index, Layout
from rmt_jacobian.runs.lock import locked
from rmt_jacobian.runs.zarr_format import (
    ZARR_FORMAT,
    chunk_name,
    decoded,
    encoded,
    group_metadata,
    json_bytes,
)

__all__ = ["FORMAT_VERSION", "RunStore", "create_store", "is_store_free", "open_store"]

FORMAT_VERSION = 1
_METADATA = "zarr.json"
_VERSION, _LAYOUT, _ENVIRONMENTS, _GRID = "format_version", "layout", "environments", "grid"
_FORMAT = "rmt_jacobian run"
_UNFINISHED = ".new"


@dataclass(frozen=True, eq=False)
class RunStore:
    """An open store; see :func:`open_store`.

    Attributes
    ----------
    path
        The folder.
    layout
        Its arrays.
    specification
        Of the run, as JSON would hold it.
    """

    path: Path
    layout: Layout
    specification: Mapping[str, Any]

    @property
    def environments(self) -> list[dict[str, Any]]:
        """The versions and the backend of everything that has computed results of this store."""
        return _attributes(self.path)[_ENVIRONMENTS]

    @property
    def metadata(self) -> dict[str, Any]:
        """The specification, the format, and the environments: the attributes of the store."""
        return _attributes(self.path)

    def status(self) -> np.ndarray:
        """Return which tasks are missing (0), finished (1), unconverged (2) or undefined (3)."""
        found = np.full(self.layout.task_shape, MISSING, dtype=np.uint8)
        for name in os.listdir(self.path / STATUS):
            if name == _METADATA or name.startswith("."):
                continue
            index = _index(name)
            if index is None or len(index) != found.ndim or np.any(index >= np.array(found.shape)):
                raise StoreError(f"{self.path / STATUS / name} does not belong to this store")
            code = self._chunk(STATUS, index)[()]
            if not MISSING < code <= UNDEFINED:
                raise self._damaged(STATUS, index)
            found[index] = code
        return found

    def read(self, result: str, index: Index) -> np.ndarray:
        """Return a result of one finished task.

        Raises
        ------
        StoreError
            If it is damaged, or not there.
        """
        return self._chunk(result, index)

    def values(self, result: str, status: np.ndarray | None = None) -> np.ndarray:
        """Return a result of all tasks, nan where there is none.

        Parameters
        ----------
        result
            Its name.
        status
            What :meth:`status` has returned, if it is at hand.
        """
        found = np.full(self.layout.shape_of(result), np.nan)
        for index in self._answered(result, self.status() if status is None else status):
            found[index] = self.read(result, index)
        return found

    def to_xarray(self) -> Any:
        """Return all results as an ``xarray.Dataset``; see :func:`.store_dataset`."""
        status = self.status()
        found = {name: self.values(name, status) for name in self.layout.results}
        return store_dataset(self.layout, {**found, STATUS: status}, self.metadata)

    def checksum(self, status: np.ndarray | None = None) -> str:
        """Return the SHA-256 of all finished results, one task after the other.

        It is that of their bytes as little-endian float64; where there are several results, each
        array follows the one before it.
        """
        digest = hashlib.sha256()
        status = self.status() if status is None else status
        for result in self.layout.results:
            for index in self._answered(result, status):
                digest.update(self.read(result, index).astype("<f8").tobytes())
        return digest.hexdigest()

    def check(self) -> np.ndarray:
        """Return the status, after a look at every result.

        Raises
        ------
        StoreError
            If one is damaged.
        """
        status = self.status()
        for result in self.layout.results:
            for index in self._answered(result, status):
                self.read(result, index)
        return status

    def _answered(self, result: str, status: np.ndarray) -> Iterator[Index]:
        """Yield the tasks that have an answer: of those that are not finished, only some do."""
        for index in np.argwhere(status != MISSING):
            place = tuple(index.tolist())
            if status[place] == FINISHED or self._file(result, place).exists():
                yield place

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the store for one run, and remove what killed runs left half-written."""
        with locked(self.path / STATUS / _METADATA, self.path):
            yield

    def remove_leftovers(self) -> None:
        """Remove temporary files of runs that were killed; only the holder of the lock may."""
        folders = [self.path, *(self.path / name for name in self.layout.metadata())]
        for folder in folders:
            for pattern in (".c.*.*", f".{_METADATA}.*"):
                for file in folder.glob(pattern):
                    file.unlink(missing_ok=True)
        for folder in self.path.parent.glob(f".{escape(self.path.name)}.*{_UNFINISHED}"):
            shutil.rmtree(folder, ignore_errors=True)

    def write(self, index: Index, results: Mapping[str, np.ndarray], code: int = FINISHED) -> None:
        """Store what one task has found; it counts once its status, the last file, is in place.

        Raises
        ------
        UnfinishedRunError
            If it cannot be written; nothing that was stored before has changed.
        """
        for name, values in results.items():
            own = self.layout.own_shape(name)
            if values.shape != own:
                raise ParameterError(f"{name} must have shape {own}, not {values.shape}")
            self._write(name, index, values.astype(np.float64))
        self._write(STATUS, index, np.array(code, dtype=np.uint8))

    def add_environment(self, environment: Mapping[str, Any]) -> bool:
        """Note what computes results, if it is new; return whether there is more than one."""
        attributes = _attributes(self.path)
        if environment in attributes[_ENVIRONMENTS]:
            return len(attributes[_ENVIRONMENTS]) > 1
        known = [*attributes[_ENVIRONMENTS], dict(environment)]
        # In an order that does not depend on which worker was first.
        attributes[_ENVIRONMENTS] = sorted(known, key=lambda each: json.dumps(each, sort_keys=True))
        self._write_whole(self.path / _METADATA, _root(attributes, self.layout))
        return len(known) > 1

    def _write(self, name: str, index: Index, values: np.ndarray) -> None:
        self._write_whole(self._file(name, index), encoded(values))

    def _write_whole(self, file: Path, content: bytes) -> None:
        try:
            write_whole(file, lambda stream: _write_through(stream, content))
        except ParameterError as error:
            raise UnfinishedRunError(
                f"{error}; what was finished is stored: mend that, then resume the run"
            ) from error

    def _file(self, name: str, index: Index) -> Path:
        own = len(self.layout.own_shape(name))
        return self.path / name / chunk_name((*index, *(0,) * own))

    def _chunk(self, name: str, index: Index) -> np.ndarray:
        try:
            content = self._file(name, index).read_bytes()
        except FileNotFoundError:
            raise self._damaged(name, index, "is missing") from None
        except OSError as error:
            raise StoreError(f"cannot read {self._file(name, index)}: {error.strerror}") from error
        found = decoded(content, self.layout.dtype(name), self.layout.own_shape(name))
        if found is None:
            raise self._damaged(name, index)
        return found

    def _damaged(self, name: str, index: Index, how: str = "is damaged") -> StoreError:
        return StoreError(
            f"{self._file(name, index)} {how}: restore it from a copy, or delete "
            f"{self._file(STATUS, index)} and resume the run, which computes it again"
        )


def _write_through(stream: IO[bytes], content: bytes) -> None:
    """Write so that a file which has been renamed into place is whole even if power fails."""
    stream.write(content)
    stream.flush()
    os.fsync(stream.fileno())


def _index(name: str) -> Index | None:
    first, *parts = name.split(".")
    if first != "c" or not all(part.isascii() and part.isdigit() for part in parts):
        return None
    return tuple(map(int, parts))


def _root(attributes: Mapping[str, Any], layout: Layout) -> bytes:
    return json_bytes(group_metadata(attributes, layout.metadata()))


def is_store_free(path: Path) -> bool:
    """Tell whether a new store may go there: nothing is there, or an empty folder."""
    if not path.exists() and not path.is_symlink():
        return True
    return path.is_dir() and not any(path.iterdir())


def create_store(path: Path, layout: Layout, specification: Mapping[str, Any]) -> RunStore:
    """Make a store without results; it appears whole or not at all.

    Raises
    ------
    StoreError
        If something is there already, or it cannot be written.
    """
    shown, path = path, path.resolve()
    arrays = {
        "tasks": dict(layout.tasks),
        "results": {name: dict(own) for name, own in layout.results.items()},
    }
    attributes = {
        "format": _FORMAT, _VERSION: FORMAT_VERSION, _LAYOUT: arrays, **specification,
        _ENVIRONMENTS: [],
    }  # fmt: skip
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(
            tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=_UNFINISHED)
        )
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o777 & ~umask)
        for name, content in layout.metadata().items():
            (temporary / name).mkdir()
            (temporary / name / _METADATA).write_bytes(json_bytes(content))
        for name, values in layout.coordinates.items():
            (temporary / name / chunk_name((0,))).write_bytes(encoded(np.array(values)))
        (temporary / _METADATA).write_bytes(_root(attributes, layout))
        if not is_store_free(path):
            raise StoreError(f"{shown} exists already: resume its run, or choose another store")
        if path.exists():
            path.rmdir()
        temporary.rename(path)
    except OSError as error:
        raise StoreError(f"cannot make the store {shown}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return RunStore(shown, layout, dict(specification))


def open_store(path: Path | str) -> RunStore:
    """Open a store and check that it is one; nothing in it is changed.

    Raises
    ------
    StoreError
        If there is none, or it is foreign, damaged or of a newer version.

    Examples
    --------
    >>> open_store("nowhere")
    Traceback (most recent call last):
    ...
    rmt_jacobian.runs.errors.StoreError: there is no store at nowhere: start one with ...
    """
    path = Path(path)
    header, attributes = _header(path)
    layout = _layout(path, attributes)
    if header != _root(attributes, layout):
        raise StoreError(f"{path / _METADATA} is not what it was: the store is damaged")
    for name, expected in layout.metadata().items():
        file = path / name / _METADATA
        if _json(file, _bytes(file)) != expected:
            raise StoreError(f"{file} is not what it was: the store is damaged")
    for name, values in layout.coordinates.items():
        file = path / name / chunk_name((0,))
        content = file.read_bytes() if file.is_file() else b""
        stored = decoded(content, np.dtype("float64"), (len(values),))
        if stored is None or stored.tolist() != list(values):
            raise StoreError(f"{file} is damaged: restore it from a copy")
    own = ("format", _VERSION, _LAYOUT, _ENVIRONMENTS)
    specification = {key: value for key, value in attributes.items() if key not in own}
    return RunStore(path, layout, specification)


def _attributes(path: Path) -> dict[str, Any]:
    return _header(path)[1]


def _header(path: Path) -> tuple[bytes, dict[str, Any]]:
    """Return bytes and attributes of the header of a store of ours that this version can read.

    It is read once: a run may be replacing it.
    """
    if not path.exists():
        raise StoreError(
            f"there is no store at {path}: start one with rmt-jacobian run SPEC.toml --store {path}"
        )
    foreign = StoreError(f"{path} is not the store of a run: choose another path")
    if not (path / _METADATA).is_file():
        raise foreign
    header = _bytes(path / _METADATA)
    content = _json(path / _METADATA, header)
    attributes = content.get("attributes")
    if not isinstance(attributes, dict) or attributes.get("format") != _FORMAT:
        raise foreign
    version = attributes.get(_VERSION)
    zarr = content.get("zarr_format")
    if _is_newer(version, FORMAT_VERSION) or _is_newer(zarr, ZARR_FORMAT):
        raise StoreError(
            f"{path} was written by a newer version of rmt_jacobian (format {version} of Zarr "
            f"{zarr}; this one reads {FORMAT_VERSION} of Zarr {ZARR_FORMAT}): upgrade with "
            "pip install -U rmt-jacobian"
        )
    if version != FORMAT_VERSION or not isinstance(attributes.get(_ENVIRONMENTS), list):
        raise StoreError(f"{path / _METADATA} is damaged: restore it from a copy")
    return header, attributes


def _is_newer(version: Any, known: int) -> bool:
    return isinstance(version, int | float) and version > known


def _layout(path: Path, attributes: Mapping[str, Any]) -> Layout:
    try:
        arrays = attributes[_LAYOUT]
        coordinates = {
            str(name): tuple(map(float, values))
            for name, values in attributes.get(_GRID, {}).items()
        }
        tasks = {str(name): int(length) for name, length in arrays["tasks"].items()}
        results = {
            str(name): {str(key): int(length) for key, length in own.items()}
            for name, own in arrays["results"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(f"{path / _METADATA} is damaged: restore it from a copy") from error
    return Layout(tasks, results, coordinates)


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise StoreError(f"cannot read {file}: {error.strerror or error}") from error


def _json(file: Path, content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError as error:  # neither UTF-8 nor JSON
        raise StoreError(f"{file} is damaged: it is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise StoreError(f"{file} is damaged: it holds no JSON object")
    return found
