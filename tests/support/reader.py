"""A process that reads a vault in place and stays there: ``python -m tests.support.reader VAULT``.

Command: ``read`` begins a transaction and answers how many policies it sees.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.child import serve
from tests.support.vaultfile import raw_connection

if __name__ == "__main__":
    connection = raw_connection(Path(sys.argv[1]))

    def _read() -> object:
        connection.execute("BEGIN")
        return connection.execute("SELECT count(*) FROM policy").fetchone()[0]

    serve({"read": _read})
