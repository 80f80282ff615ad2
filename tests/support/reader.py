"""A process that reads a vault in place and stays there: ``python -m tests.support.reader VAULT [FILE_KEY]``.

Command: ``read`` begins a transaction and answers how many policies it sees.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.child import serve
from tests.support.vaultfile import FILE_KEY, raw_connection
from vault.keys import FileKey

if __name__ == "__main__":
    file_key = FileKey.from_hex(sys.argv[2]) if len(sys.argv) > 2 else FILE_KEY
    connection = raw_connection(Path(sys.argv[1]), file_key)

    def _read() -> object:
        connection.execute("BEGIN")
        return connection.execute("SELECT count(*) FROM policy").fetchone()[0]

    serve({"read": _read})
