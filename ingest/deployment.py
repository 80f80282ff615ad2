"""What a function is deployed with: the policies it judges by, its store, and where its key is.

Read from environment variables, none of which is secret:

- ``POD_STORE``: the store's address, ``s3://BUCKET/PREFIX``, see ``cloud.store_address``;
- ``POD_LOG_KEY``: where its log key is read from, see ``cloud.secrets``;
- ``POD_BUNDLE``: a pod's folder, or a folder of them, each with pod.toml and
  slots.json; ``pods`` beside the code unless given.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from cloud.store_address import StoreAddress, parse_store_address
from ingest.settings import Settings, find_pods
from vault.errors import MalformedError

STORE, LOG_KEY, BUNDLE = "POD_STORE", "POD_LOG_KEY", "POD_BUNDLE"
DEFAULT_BUNDLE = Path("pods")


class Deployment(msgspec.Struct, frozen=True):
    """What one function has.

    Attributes:
        settings: Its pods and limits.
        store: Where segments are put.
        key_place: Where its log key is read from.
    """

    settings: Settings
    store: StoreAddress
    key_place: str


def read_deployment(environment: Mapping[str, str]) -> Deployment:
    """Read what a function is deployed with.

    Raises:
        MalformedError: A variable is missing or not of its form.
        MissingError: The bundle is no pod's folder, nor a folder of them.
    """
    for name in (STORE, LOG_KEY):
        if not environment.get(name):
            raise MalformedError(f"{name} is not set; deploy again with the parameters that were prepared")
    pods = find_pods([Path(environment.get(BUNDLE) or DEFAULT_BUNDLE)])
    # Waiting is billed, and the front door has a throttle of its own.
    settings = Settings(pods=pods, throttle=0)
    return Deployment(settings, parse_store_address(environment[STORE]), environment[LOG_KEY])
