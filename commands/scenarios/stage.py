"""The platform as scenarios use it: it prints each step, and raises an error if the platform behaves otherwise."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

from blocks.names import Names
from commands.scenarios.orders import FIRST, MARK, STREAM, Account, Orders, reconcile
from flows.sensors.cursor import Cursor, CursorStore
from flows.sensors.cursor_command import forget, release
from services.testing.running import ENDED, Running

PIPELINE, POOL = "full_pipeline/full-pipeline", "work_pools/local"
ORDERS_A_FILE = 50
ALERT_SECONDS = 180.0
"""The watch sends an alert within two minutes of the moment when it could know."""
AFTER_A_KILL = frozenset({"worker_gone", "prefect_silent", "sensor_silent"})
"""Kinds of alerts that come if a killed service takes long to start again."""
ALWAYS_ALLOWED = frozenset({"run_slow", "run_late", "disk_low", "drift"})
"""Kinds of alerts that a slow or full machine may raise, or values that differ from those of the first file."""
SETTLED_SECONDS = 420.0
"""More than the sensor's three pauses before it parks a batch."""


class Unexpected(Exception):
    """The platform did something else than the scenario expects."""


@dataclass
class Stage:
    """A platform on which scenarios run, one after the other.

    Args:
        platform: the running platform, which nobody else uses.
        say: function that prints a line.
        numbers: the first order number of each file.
        name: name of the running scenario.
        alerts_before: number of alerts before the scenario began.
        allowed: kinds of alerts that may come in addition.
    """

    platform: Running
    say: Callable[[str], object] = print
    numbers: Iterator[int] = field(default_factory=lambda: count(FIRST, ORDERS_A_FILE))
    name: str = "rehearsal"
    alerts_before: int = 0
    allowed: frozenset[str] = ALWAYS_ALLOWED

    # -- actions ----------------------------------------------------------------------------------------

    def step(self, text: str) -> None:
        """Print what is done or observed."""
        self.say(f"  - {text}")

    def orders(self, rows: int = 3, **fields: Any) -> Orders:
        """Return a file of new orders."""
        first = next(self.numbers)
        return Orders(f"{MARK}{self.name}-{first}.csv.gz", first, rows, **fields)

    def land(self, orders: Orders, content: bytes | None = None) -> str:
        """Land a file of orders, or other content under its name. Return its key."""
        key = f"{self.platform.prefix}{STREAM}/{orders.name}"
        self.put(key, orders.content if content is None else content)
        return key

    def put(self, key: str, content: bytes) -> None:
        """Land an object."""
        self.step(f"land s3://{self.platform.bucket}/{key} ({len(content):,} bytes)")
        self.platform.s3().put_object(Bucket=self.platform.bucket, Key=key, Body=content)

    def remove(self, key: str) -> None:
        """Delete an object from the landing bucket."""
        self.step(f"delete s3://{self.platform.bucket}/{key}")
        self.platform.s3().delete_object(Bucket=self.platform.bucket, Key=key)

    def fault(self, kind: str, **details: Any) -> int:
        """Cause a fault at the mock Airbyte. Return its number."""
        arguments = ", ".join(f"{name}={value}" for name, value in details.items())
        self.step(f"fault at the mock Airbyte: {kind}{f' ({arguments})' if arguments else ''}")
        answer = httpx.post(self.platform.faults_url, json={"kind": kind, **details}, trust_env=False, timeout=30)
        number: int = answer.raise_for_status().json()["faultId"]
        return number

    def end_fault(self, number: int) -> None:
        """End a fault."""
        self.step("end the fault")
        httpx.delete(f"{self.platform.faults_url}/{number}", trust_env=False, timeout=30).raise_for_status()

    def struck(self, number: int) -> int:
        """Return how often a fault was applied."""
        found = httpx.get(self.platform.faults_url, trust_env=False, timeout=30).raise_for_status().json()
        return next((each["struck"] for each in found if each["faultId"] == number), 0)

    def await_strike(self, number: int, times: int = 1) -> None:
        """Wait until a fault was applied this often."""
        self.platform.eventually(lambda: self.struck(number) >= times or None, "the fault to strike")

    def kill(self, *services: str) -> None:
        """Kill services, as a power cut would."""
        self.step(f"kill {', '.join(services)}")
        self.allowed |= AFTER_A_KILL
        self.platform.kill(*services)

    def start(self) -> None:
        """Start the services that are down."""
        self.step("start the services that are down")
        self.platform.start()

    def release(self) -> None:
        """Release the parked batches, as `make cursor ARGS=release` does."""
        self.step(release(self.store, [], dry_run=False))

    def forget(self) -> None:
        """Forget the parked batches, as `make cursor ARGS="forget …"` does."""
        parked = [each.batch.id for each in self.store.parked.named([])]
        self.step(f"forget: {forget(self.store, parked, dry_run=False)}")

    # -- observations -----------------------------------------------------------------------------------

    @property
    def store(self) -> CursorStore:
        """The sensor's cursor and parked batches."""
        return CursorStore(self.platform.s3(), self.platform.bucket, self.platform.prefix)

    def parked(self) -> list[str]:
        """Return the reason of each parked batch."""
        store = self.store
        return [each.reason for each in store.parked.read([found.key for found in store.parked.parked_objects()])]

    def await_parked(self) -> str:
        """Wait until a batch is parked, and return its reason."""
        reason = self.platform.eventually(lambda: next(iter(self.parked()), None), "a parked batch", SETTLED_SECONDS)
        self.step(f"the sensor has parked the batch: {reason[:200]}")
        return reason

    def runs_for(self, key: str) -> list[dict[str, Any]]:
        """Return the pipeline's runs that were started for an object, newest first."""
        runs = self.platform.flow_runs(PIPELINE)
        return [run for run in runs if key in [file["key"] for file in run["parameters"].get("files") or []]]

    def run_for(self, key: str, *states: str) -> dict[str, Any]:
        """Wait for a pipeline run for an object, in one of the states if any are given. Return it."""

        def found() -> dict[str, Any] | None:
            return next((run for run in self.runs_for(key) if not states or run["state_type"] in states), None)

        return self.platform.eventually(found, f"a run for {key} {' or '.join(states)}")

    def completes(self, key: str) -> None:
        """Wait until a run for an object ends, and check that it completed."""
        run = self.run_for(key, *ENDED)
        self.step(f"the run ends as {run['state']['name']}: {(run['state']['message'] or '')[:200]}")
        self.expect(run["state_type"] == "COMPLETED", "a run that completes", run["state"])

    def await_building(self) -> None:
        """Wait until a run holds the warehouse."""
        path = f"v2/concurrency_limits/{Names().slot}"
        self.platform.eventually(lambda: self.platform.prefect("GET", path)["active_slots"] or None, "a dbt build")
        self.step("the run holds the warehouse")

    def fails(self, key: str, *words: str) -> None:
        """Wait until a run for an object fails, and check that its error contains these words."""
        message = self.run_for(key, "FAILED")["state"]["message"]
        self.step(f"the run fails: {message[:240]}")
        self.expect(all(word in message for word in words), f"an error with {', '.join(words)}", message)

    def await_published(self, *files: Orders) -> None:
        """Wait until readers see every row of the files."""
        for each in files:
            where = f"order_id between {each.numbers[0]} and {each.numbers[-1]}"
            query = f"select count(*) from {STREAM} where {where} and amount = {each.amount}"

            def all_there(query: str = query, rows: int = each.count) -> bool | None:
                return self.platform.rows(query)[0][0] >= rows or None

            self.platform.eventually(all_there, f"the rows of {each.name}", SETTLED_SECONDS)
        self.step(f"readers see {sum(each.count for each in files):,} rows of {len(files)} files")

    def unpublished(self, orders: Orders) -> None:
        """Check that readers have no row of a file."""
        where = f"order_id between {orders.numbers[0]} and {orders.numbers[-1]}"
        found = self.platform.rows(f"select count(*) from {STREAM} where {where}")[0][0]
        self.expect(found == 0, f"no published row of {orders.name}", f"{found} rows")

    def expect(self, condition: bool, what: str, found: object) -> None:
        """Check a condition.

        Raises:
            Unexpected: it is false.
        """
        if not condition:
            raise Unexpected(f"Expected {what}; found: {found}")
        self.step(f"as expected: {what}")

    def alerts(self, state: str) -> dict[str, str]:
        """Return the alerts since the scenario began that are `open` or `over`: their texts by key."""
        new = self.platform.messages()[self.alerts_before :]
        return {each["key"]: each.get("what", "") for each in new if each.get("state") == state}

    def await_alert(self, kind: str) -> None:
        """Wait for an alert of a kind."""

        def found() -> str | None:
            return next((what for key, what in self.alerts("open").items() if key.startswith(f"{kind}/")), None)

        what = self.platform.eventually(found, f"an alert of the kind {kind}", ALERT_SECONDS)
        self.step(f"alert {kind}: {what[:200]}")

    # -- before and after -------------------------------------------------------------------------------

    def settle(self) -> None:
        """Wait until no run is active, and the sensor has no open batch.

        Raises:
            PlatformFailed: it takes too long.
        """
        self.platform.eventually(lambda: self._is_settled() or None, "an idle platform", SETTLED_SECONDS)

    def _is_settled(self) -> bool:
        cursor: Cursor = self.store.load()[0]
        busy = {"PENDING", "RUNNING", "CANCELLING"}
        waits = cursor.pending or cursor.accepted or cursor.failed or cursor.released
        return not waits and not any(run["state_type"] in busy for run in self.platform.flow_runs())

    def begin(self, name: str) -> None:
        """Record the scenario that begins, and the number of alerts so far."""
        self.name, self.alerts_before, self.allowed = name, len(self.platform.messages()), ALWAYS_ALLOWED

    def check_alerts(self, kind: str) -> None:
        """Check that an alert of this kind came and ended, and no other. Without a kind, no alert may have come.

        Raises:
            Unexpected: another alert came.
        """
        if kind:
            self.await_alert(kind)
        kinds = {key.partition("/")[0] for key in self.alerts("open")}
        self.expect(kinds - self.allowed <= {kind}, f"{f'the alert {kind}' if kind else 'no alert'}", kinds)
        if kind:
            self.platform.eventually(lambda: self._all_over() or None, f"the end of {kind}", ALERT_SECONDS)
            self.step("the alert is over, and a message reported that")

    def _all_over(self) -> bool:
        opened = {key for key in self.alerts("open") if key.partition("/")[0] not in ALWAYS_ALLOWED}
        return opened <= self.alerts("over").keys()

    def clean_up(self) -> None:
        """Undo what a failed scenario or a soak may have left: services that are down, faults, a paused pool."""
        with suppress(httpx.HTTPError):  # if the mock is down, its faults are gone
            httpx.delete(self.platform.faults_url, trust_env=False, timeout=30)
        self.platform.start()
        self.platform.prefect("PATCH", POOL, {"is_paused": False})

    def account(self) -> Account:
        """Wait until the platform is idle, and reconcile every row.

        Raises:
            Unexpected: a row is lost, doubled or wrong, or a batch is parked.
        """
        self.settle()
        account = reconcile(self.platform)
        self.expect(account.is_correct, "each row once in raw, in the marts and in the published tables", account)
        self.expect(not self.parked(), "no parked batch", self.parked())
        self.step(str(account))
        return account
