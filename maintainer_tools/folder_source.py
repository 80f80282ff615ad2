"""A folder of segments, as a copy of an object store has them: one file an object, its key the path."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from vault.disk import open_regular, storage_error
from vault.errors import MissingError

_NO_OBJECT = frozenset((errno.ENOENT, errno.ELOOP, errno.EINVAL, errno.EISDIR, errno.ENXIO, errno.EACCES))
"""Nothing, a link, a pipe, a folder, a socket, a file that may not be read: whoever fills the folder
must not stop who collects from it."""


class FolderSource:
    """Segments in a folder; see ``vault.objects.SegmentSource``.

    Args:
        folder: What stands for the bucket.

    Raises:
        MissingError: It is not there, or no folder.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise MissingError(f"{folder} is no folder; name the one that holds v1/, copied from the store")
        self._folder = folder

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the key of every file below a prefix; in no order. A file in the prefix's place is one."""
        folder = self._folder / prefix
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    yield prefix + entry.name
        except FileNotFoundError:
            # No segment has come to this shard yet.
            return
        except NotADirectoryError:
            yield prefix.removesuffix("/")
        except OSError as exc:
            raise storage_error(folder, exc) from exc

    def fetch(self, key: str, most_bytes: int) -> bytes:
        """Return a file's bytes, or the first ``most_bytes`` + 1; links are not followed."""
        path = self._folder / key
        try:
            with open_regular(path, is_link_followed=False) as file:
                return file.read(most_bytes + 1)
        except OSError as exc:
            if exc.errno in _NO_OBJECT:
                raise MissingError("it was listed, and is gone, or no file that may be read") from exc
            raise storage_error(path, exc) from exc
