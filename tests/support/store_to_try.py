"""An object store in memory, for whoever tries `serve --store` without one: ``make store``.

It is the one the tests use. It has one bucket, refuses whoever has not its
keys, and forgets everything when it ends.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path

from maintainer_tools.new_files import write_private
from tests.support import stores

BUCKET = "finds"
PORT = 5050
FILE = Path("store.credentials")


def main() -> None:
    """Serve until told to stop."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with stores.running_store(PORT) as store:
        store.client().create_bucket(Bucket=BUCKET)
        lines = (
            "[default]",
            f"aws_access_key_id = {store.admin.access_key}",
            f"aws_secret_access_key = {store.admin.secret_key}",
        )
        FILE.unlink(missing_ok=True)
        write_private(FILE, ("\n".join(lines) + "\n").encode())
        sys.stderr.write(f"The bucket {BUCKET} is at {store.endpoint}; its keys are in {FILE}.\n")
        sys.stderr.write(json.dumps({"event": "listening", "port": PORT}) + "\n")
        sys.stderr.flush()
        try:
            while True:
                time.sleep(3_600)
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
