"""One round: a pod, processes that take items in for it, a store that fails, kills, collections, and a count.

Contributors send to any of several processes, servers without a vault and
functions, and send again to any other. What is drawn follows from the round's
seed; what a fault or a kill hits does not, and need not.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from cloud.s3 import READ_SECONDS
from cloud.store_address import StoreAddress
from cloud.verdicts import Check, Verdict, write_verdict
from tests.store_faults.clock import wrong_by
from tests.store_faults.collecting import Collections
from tests.store_faults.counting import Given
from tests.store_faults.engines import Engine
from tests.store_faults.faults import Faulty, ending
from tests.store_faults.front import Front, fronting
from tests.store_faults.plants import IMPATIENT, IMPATIENT_SECONDS, SHORT_PAGES
from tests.storm.clients import StormClient
from tests.storm.moments import await_seen
from tests.storm.plants import planting
from tests.storm.promises import Promises, Traffic
from tests.support.deploying import Deployed, deploy
from tests.support.pods import new_pod
from tests.support.runtime_api import Runtime
from tests.support.server import Server
from tests.support.stores import standing
from vault.links import Invite

PLANTS = "tests.store_faults.plants"
INVITES = 3
HOUR = 3_600
CLOCKS = {0: 10, 95: 1, -95: 1, 10 * 60: 1, -10 * 60: 1, 3 * HOUR: 1, -3 * HOUR: 1}
"""By how many seconds a process's clock is wrong, and how often in sixteen. S3 allows fifteen minutes."""
VERDICT_AGE_MS = 24 * HOUR * 1_000
"""No process takes it for one of the future."""
MORE_PATIENT = 1.2
END_SECONDS = 120.0
STALLED_SECONDS = 120.0


@dataclass
class Plan:
    """How much of everything a round has.

    Attributes:
        items: So many are acknowledged before it ends, at least.
        kills: So many processes are killed meanwhile, at least.
        clients: Contributors.
        gateways: Servers without a vault.
        functions: Processes of a function.
        share: Of the store's requests that meet a fault.
        has_wrong_clocks: Whether processes have them.
        has_outages: Whether the store is gone for some seconds now and then.
        is_impatient: Whether half a second counts as a time-out.
        collects: Whether home collects during the load too.
        collections_killed: Of those after it.
    """

    items: int = 1_000
    kills: int = 12
    clients: int = 12
    gateways: int = 3
    functions: int = 2
    share: float = 0.15
    has_wrong_clocks: bool = True
    has_outages: bool = True
    is_impatient: bool = False
    collects: bool = True
    collections_killed: int = 3


SMALL = Plan(
    items=60,
    kills=2,
    clients=8,
    gateways=1,
    functions=1,
    share=0.25,
    has_wrong_clocks=False,
    has_outages=False,
    is_impatient=True,
    collects=False,
    collections_killed=1,
)
"""For ``make test``."""
SMALLEST = replace(SMALL, items=24, kills=0, functions=0, share=0.3, collections_killed=0)
"""To find a planted bug in."""


@dataclass
class Round:
    """A round that has ended.

    Attributes:
        site: The pod.
        given: What was answered.
        traffic: How much was asked.
        killed: How many processes were killed, by who.
        met: How many requests met which fault.
        clocks: How many processes were started with a clock that is wrong by so many seconds.
        collected: What collections did.
        left: As in ``Result``.
    """

    site: Deployed
    given: Given
    traffic: Traffic
    killed: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    clocks: Counter[str] = field(default_factory=Counter)
    collected: Counter[str] = field(default_factory=Counter)
    left: int = 0


class _Running:
    """A round under way."""

    def __init__(self, folder: Path, seed: str, engine: Engine, plan: Plan, bugs: tuple[str, ...]) -> None:
        self._folder = folder
        self._seed = seed
        self._engine = engine
        self._plan = plan
        self._chance = random.Random(seed)  # noqa: S311  # what it does must follow from its seed
        number = self._chance.randrange(1 << 32)
        self.site = deploy(new_pod(folder, policy="infer", seed=number), folder, engine.store, engine.role)
        self._invites = [self.site.invite(f"team-{number}") for number in range(INVITES)]
        self.promises, self.traffic = Promises(), Traffic()
        self.killed: Counter[str] = Counter()
        self.clocks: Counter[str] = Counter()
        plants = [*([IMPATIENT] if plan.is_impatient else []), *bugs]
        self._planted = planting(folder / "site", *plants, module=PLANTS)
        self._planted_home = planting(folder / "home-site", SHORT_PAGES, *plants, module=PLANTS)
        patience = (IMPATIENT_SECONDS if plan.is_impatient else READ_SECONDS) * MORE_PATIENT
        self.ways = [
            Faulty(
                endpoint,
                f"{seed}/way/{number}",
                share=plan.share,
                patience_seconds=patience,
                has_outages=plan.has_outages,
                has_clock=not engine.has_clock,
            )
            for number, endpoint in enumerate(engine.endpoints)
        ]
        self._logs = 0
        self._gateways: list[Server] = []
        self._ports: list[int] = []
        # The names of temporary files that a kill leaves are nobody else's.
        self._scratch = folder / "tmp"
        self._scratch.mkdir()

    @property
    def _address(self) -> StoreAddress:
        return self.site.store.address(*(way.endpoint for way in self.ways))

    def _clock(self, *, is_trusted: bool) -> dict[str, str]:
        """The environment of a process whose clock is drawn; one that is trusted is never hours wrong."""
        if not self._plan.has_wrong_clocks:
            return {}
        clocks = {wrong: often for wrong, often in CLOCKS.items() if not is_trusted or abs(wrong) < HOUR}
        (wrong,) = self._chance.choices([*clocks], weights=[*clocks.values()])
        self.clocks[f"{wrong:+d} s"] += 1
        return wrong_by(wrong)

    def _verdict(self, address: StoreAddress, name: str) -> Path:
        path = self._folder / name
        at_ms = time.time_ns() // 1_000_000 - VERDICT_AGE_MS
        write_verdict(path, Verdict(str(address), at_ms, {}, (Check("x", is_passed=True, said=""),)))
        return path

    def _start_gateway(self, place: int) -> Server:
        address = self._address
        options = ["--store", str(address), "--log-key", f"file:{self.site.key_file}"]
        options += ["--verdict", str(self._verdict(address, "faulty.verdict"))]
        environment = {**self.site.role.environment, **self._planted}
        # One can always store: else a round could stand still.
        environment |= self._clock(is_trusted=place == 0)
        environment["TMPDIR"] = str(self._scratch)
        return Server([self.site.bundle], *options, environment=environment, module="ingest.gateway")

    def _start_function(self, _: int) -> Runtime:
        self._logs += 1
        address = self._address
        environment = self.site.environment() | {"POD_STORE": str(address), "TMPDIR": str(self._scratch)}
        environment |= {**self._planted, **self._clock(is_trusted=False)}
        return Runtime(environment, self._folder / f"function-{self._logs}.log")

    def _port(self) -> int | None:
        ports = self._ports
        return random.choice(ports) if ports else None  # noqa: S311  # of no secret

    def _clients(self) -> list[StormClient]:
        return [
            StormClient(
                f"c{number:02}",
                self._invites[number % INVITES],
                self.promises,
                self.traffic,
                port=self._port,
                seed=f"{self._seed}/{number}",
                receipts_every=1,
            )
            for number in range(self._plan.clients)
        ]

    def run(self) -> Counter[str]:
        """Load, fail, kill and collect; returns what the collections did."""
        with contextlib.ExitStack() as ends:
            for way in self.ways:
                ends.enter_context(standing(way))
                ends.enter_context(ending(way))
            verdict = self._verdict(self._address, "home.verdict")
            collections = Collections(
                self.site.pod.home,
                str(self._address),
                verdict,
                {**self._engine.store.admin.environment, **self._planted_home},
                self.promises.faults,
                seed=f"{self._seed}/collections",
            )
            self._load(collections)
            self._settle()
            collections.finish(self._plan.collections_killed)
            self.killed["collect"] += collections.killed
            return collections.done

    def _load(self, collections: Collections) -> None:
        plan = self._plan
        clients = self._clients()
        try:
            for place in range(plan.gateways):
                self._gateways.append(self._start_gateway(place))
            with fronting(self._start_function, plan.functions) as front:
                self._open(front)
                for client in clients:
                    client.start()
                if plan.collects:
                    collections.start()
                self._kill_until_done(front)
                collections.stop()
                # Everything is well again, so that every client reads its last answer.
                for way in self.ways:
                    way.share = 0.0
                self._end(clients)
                if plan.collects:
                    collections.join(END_SECONDS * 5)
        finally:
            self._ports = []
            for client in clients:
                client.stop()
            for gateway in self._gateways:
                gateway.kill()

    def _open(self, front: Front | None) -> None:
        self._ports = [gateway.port for gateway in self._gateways] + ([front.port] if front else [])

    def _kill_until_done(self, front: Front | None) -> None:
        """Kill one after the other, with work between two, until there was enough of both."""
        plan = self._plan
        work = max(1, plan.items // (plan.kills + 1))
        victims = ["gateway", *(["function"] if front else []), *self._engine.daemons]
        self._chance.shuffle(victims)
        for victim in itertools.islice(itertools.cycle(victims), plan.kills):
            if not self._work(work):
                return
            self._kill(victim, front)
        self._work(plan.items - len(self.promises.acknowledged))

    def _work(self, items: int) -> bool:
        """Wait for so many more; False once something is wrong."""
        most = len(self.promises.acknowledged) + items
        is_seen = await_seen(
            lambda: bool(self.promises.faults) or len(self.promises.acknowledged) >= most, STALLED_SECONDS
        )
        if not is_seen:
            self.promises.faults.append("nothing was acknowledged for a long time")
        return not self.promises.faults

    def _kill(self, victim: str, front: Front | None) -> None:
        self.killed[victim] += 1
        if victim == "gateway":
            place = self._chance.randrange(len(self._gateways))
            self._kill_gateway(place)
            self._open(front)
        elif victim == "function":
            assert front
            front.replace(self._chance.randrange(self._plan.functions))
        else:
            self._engine.daemons[victim]()

    def _kill_gateway(self, place: int) -> None:
        gateway = self._gateways[place]
        self._ports.remove(gateway.port)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(gateway.process.pid, signal.SIGKILL)
        gateway.kill()
        self._gateways[place] = self._start_gateway(place)

    def _end(self, clients: list[StormClient]) -> None:
        for client in clients:
            client.stop()
        for client in clients:
            client.join(END_SECONDS)
            assert not client.is_alive(), "a client waits for an answer for ever"

    def _settle(self) -> None:
        """Wait until what was to be done late is done; then all fails again."""
        for way in self.ways:
            time.sleep(way.patience_seconds)
            way.share = self._plan.share

    def given(self, began_ms: int) -> Given:
        """What is to be counted against."""
        pod = self.site.pod
        by_client = {f"c{number:02}": self._invites[number % INVITES] for number in range(self._plan.clients)}
        return Given(
            self.promises,
            {
                item_id: self._commitment(by_client[item_id.partition("-")[0]], item_id)
                for item_id in self.promises.acknowledged
            },
            [key for key in self.site.store.keys_of_objects() if f"/{pod.policy.pod_id.hex()}/" in key],
            (began_ms, time.time_ns() // 1_000_000),
        )

    def _commitment(self, invite: Invite, item_id: str) -> bytes:
        pod = self.site.pod
        submission = pod.submission(pod.opened(invite), id=item_id, text=self.promises.texts[item_id])
        return submission.c

    def left(self) -> int:
        """What a collection that nothing disturbs, and that fetches everything again, still finds."""
        faults: list[str] = []
        collections = Collections(
            self.site.pod.home,
            str(self.site.store.address()),
            self._verdict(self.site.store.address(), "clean.verdict"),
            self._engine.store.admin.environment,
            faults,
            seed="",
            options=("--again",),
        )
        collections.collect(may_die=False)
        assert not faults, faults
        return collections.done["taken"]


def run_round(folder: Path, seed: str, engine: Engine, plan: Plan, *bugs: str) -> Round:
    """Run one round; what it left is counted by ``tests.store_faults.counting``.

    Args:
        folder: Empty.
        seed: Of everything that is drawn.
        engine: The store, with an empty bucket.
        plan: How much of everything.
        bugs: Planted in every process.
    """
    began_ms = time.time_ns() // 1_000_000
    running = _Running(folder, seed, engine, plan, bugs)
    collected = running.run()
    given = running.given(began_ms)
    met: Counter[str] = sum((way.met for way in running.ways), Counter())
    return Round(
        running.site, given, running.traffic, running.killed, met, running.clocks, collected, running.left()
    )
