"""``python -m maintainer_tools``: the command ``shared-pod`` without its script."""

from __future__ import annotations

from maintainer_tools.cli import main

if __name__ == "__main__":
    main()
