"""The server's measures as Prometheus reads them.

A pod is named by the log's digest of its owner: keyed anew in every process, so
that lines and series of one run can be joined and name nobody. No key, id, path
or owner is here. The text is prometheus-client's. Loaded only where ``--metrics``
asks for it. Names follow Prometheus' own rules: a unit, ``_total`` for what only
grows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from ingest.door import Door
from ingest.logs import Log
from ingest.measures import Measures, Observed
from vault.pod import PodFolder


class PodStanding(NamedTuple):
    """One pod at a moment.

    Attributes:
        digest: The log's, of its owner.
        folder: Its files.
        stored_items: Made durable since the process started.
        is_open: Whether its vault is open.
    """

    digest: str
    folder: PodFolder
    stored_items: int
    is_open: bool


class Standing(NamedTuple):
    """A worker at a moment, taken in the event loop, to be written out elsewhere.

    Attributes:
        answered: Requests by HTTP status.
        failures: Log lines about failures, by their event.
        batch_items: Items of batches.
        batch_seconds: Time of batches in the writer.
        sync_seconds: Time of their COMMIT.
        waiting_items: In all queues.
        waiting_bytes: In all queues.
        waiting_answers: Which no key vouches for.
        ended_connections: Because there were too many.
        unusable_pods: Whose policy never verified.
        is_writer_running: Whether the process with the vaults runs.
        pods: Those that can be asked.
    """

    answered: Mapping[int, int]
    failures: Mapping[str, int]
    batch_items: Observed
    batch_seconds: Observed
    sync_seconds: Observed
    waiting_items: int
    waiting_bytes: int
    waiting_answers: int
    ended_connections: int
    unusable_pods: int
    is_writer_running: bool
    pods: list[PodStanding]


def take_standing(log: Log, measures: Measures, door: Door, *, is_writer_running: bool) -> Standing:
    """Look at a worker, in its event loop."""
    registry = door.registry
    return Standing(
        answered=log.answered,
        failures=dict(log.failures),
        batch_items=measures.batch_items.observed,
        batch_seconds=measures.batch_seconds.observed,
        sync_seconds=measures.sync_seconds.observed,
        waiting_items=registry.waiting.waiting_items,
        waiting_bytes=registry.waiting.waiting_bytes,
        waiting_answers=door.throttle.waiting,
        ended_connections=measures.ended_connections,
        unusable_pods=registry.unusable_pods,
        is_writer_running=is_writer_running,
        pods=[
            PodStanding(log.digest(owner), pod.folder, measures.stored_items[pod.folder.path], pod.is_open)
            for owner, pod in registry.by_owner.items()
        ],
    )


def expose(standing: Standing) -> bytes:
    """Write a standing as Prometheus' text; looks at the sizes of the pods' files."""
    return generate_latest(_Collected(standing))


class _Collected:
    """What prometheus-client asks for families."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing

    def collect(self) -> Iterator[Metric]:
        standing = self._standing
        yield _counter("shared_pod_requests", "Requests answered.", "status", standing.answered)
        yield _counter(
            "shared_pod_failures", "Failures, by their event in the log.", "event", standing.failures
        )
        yield _histogram("shared_pod_batch_items", "Items of one commit.", standing.batch_items)
        yield _histogram(
            "shared_pod_batch_seconds", "Time of one batch in the writer.", standing.batch_seconds
        )
        yield _histogram("shared_pod_sync_seconds", "Time of one COMMIT, an fsync.", standing.sync_seconds)
        yield _gauge("shared_pod_queue_items", "Items that wait for a commit.", standing.waiting_items)
        yield _gauge("shared_pod_queue_bytes", "Body bytes that wait for a commit.", standing.waiting_bytes)
        yield _gauge(
            "shared_pod_waiting_answers", "Answers without a key that wait.", standing.waiting_answers
        )
        ended = CounterMetricFamily("shared_pod_ended_connections", "Connections ended: too many.")
        ended.add_metric([], standing.ended_connections)
        yield ended
        yield _gauge("shared_pod_pods", "Pods that can be asked.", len(standing.pods))
        yield _gauge("shared_pod_unusable_pods", "Pods whose files never verified.", standing.unusable_pods)
        yield _gauge(
            "shared_pod_open_vaults", "Vaults that may be open.", sum(pod.is_open for pod in standing.pods)
        )
        yield _gauge(
            "shared_pod_writer_running",
            "1 while the process with the vaults runs.",
            standing.is_writer_running,
        )
        yield from _of_pods(standing.pods)


def _of_pods(pods: list[PodStanding]) -> Iterator[Metric]:
    stored = CounterMetricFamily("shared_pod_stored_items", "Items made durable.", labels=["pod"])
    sizes = GaugeMetricFamily(
        "shared_pod_vault_bytes", "Bytes of the vault, its log with it.", labels=["pod"]
    )
    for pod in pods:
        stored.add_metric([pod.digest], pod.stored_items)
        sizes.add_metric([pod.digest], sum(map(_size, (pod.folder.vault, pod.folder.wal))))
    yield stored
    yield sizes


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        # Absent: a log that was moved into its vault, or a vault that was taken away.
        return 0


def _counter(
    name: str, help_text: str, label: str, counts: Mapping[int, int] | Mapping[str, int]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, help_text, labels=[label])
    for value, count in counts.items():
        family.add_metric([str(value)], count)
    return family


def _gauge(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help_text, value=value)


def _histogram(name: str, help_text: str, observed: Observed) -> HistogramMetricFamily:
    bounds = [*(str(float(bound)) for bound in observed.bounds), "+Inf"]
    below, buckets = 0, []
    for bound, count in zip(bounds, observed.counts, strict=True):
        below += count
        buckets.append((bound, float(below)))
    return HistogramMetricFamily(name, help_text, buckets=buckets, sum_value=observed.total)
