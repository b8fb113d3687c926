"""Find what registering a profile changes on a Prefect server. Each change can be shown before it is made."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import ObjectNotFound

from blocks import saved_blocks
from blocks.names import Names, alerts_block
from blocks.record import Record
from blocks.saved_blocks import ABSENT, UNWANTED
from blocks.settings import Settings
from services.bootstrap import alerts, automations, deployments, pools
from services.bootstrap.merge import REMOVED, Flat, changes
from services.bootstrap.pages import ask
from services.bootstrap.prefect_yaml import Declared, declared

Found = TypeVar("Found")


@dataclass(frozen=True)
class Change:
    """A change to one object on the server.

    Args:
        where: the object, e.g. `deployment example-flow`.
        what: a line for each value that changes, without values of secrets.
        make: makes the change.
        values: all declared values of the object; None if it is removed or is a block.
    """

    where: str
    what: list[str]
    make: Callable[[], object]
    values: Flat | None = None

    def __str__(self) -> str:
        return "; ".join(f"{self.where}: {each}" for each in self.what)


@dataclass
class Platform:
    """A profile's platform on a Prefect server.

    Args:
        client: of the server.
        names: the names that the platform uses there.
        profile: name of the profile; None if flows read their connections from the environment.
        owner: who registers it.
        takeover: whether to take over what another owner registered.
        watched: whether its runs send heartbeats and automations watch them.
        scheduled: whether its schedules start runs; if not, deployments with a schedule are paused.
    """

    client: SyncPrefectClient
    names: Names
    profile: str | None
    owner: str = ""
    takeover: bool = False
    watched: bool = True
    scheduled: bool = True
    declared: list[Declared] = field(default_factory=declared)
    record: Record = field(init=False)

    def __post_init__(self) -> None:
        self.record = Record(self.client, self.names.namespace)

    @property
    def blocks(self) -> str | None:
        """The name of the profile's blocks. Each deployment passes it to its flow as `profile`."""
        return self.names.blocks(self.profile) if self.profile else None

    @property
    def env(self) -> dict[str, str]:
        """The environment variables of each run."""
        beat = {automations.FREQUENCY: str(automations.INTERVAL.seconds)} if self.watched else {}
        return beat | ({"PREFECT_NAMESPACE": self.names.namespace} if self.names.namespace else {})

    def check_owner(self) -> None:
        """Check that no other owner uses the platform's names. On its own server there is no other owner.

        Raises:
            blocks.record.NotOurs: another owner does, and `takeover` is off.
        """
        if self.names.namespace and not self.takeover:
            self.record.check(
                self.profile or "",
                self.owner,
                self.there(),
                f"The namespace {self.names.namespace} of {self.client.api_url}",
                f"Choose another PREFECT_NAMESPACE in profiles/{self.profile}.env. If it is yours to replace, run "
                f"`make promote PROFILE={self.profile} APPLY=1 TAKEOVER=1`.",
            )

    def there(self) -> list[str]:
        """Return the objects on the server that have the platform's names."""
        full_names = {each.full_name(self.names): each.name for each in self.declared}
        found = [f"work pool {name}" for name in self.pools if _read(partial(self.client.read_work_pool, name))]
        found += [f"limit {self.names.slot}"] if self._limit() else []
        found += [f"deployment {full_names[each]}" for each in deployments.called(self.client, list(full_names))]
        titles = [each.name for each in automations.automations(self.names)] if self.watched else []
        return found + [f"automation {each}" for each in titles if self.client.read_automations_by_name(each)]

    @property
    def pools(self) -> dict[str, str]:
        """The work pools by their names on the server, with their names in prefect.yaml."""
        return {self.names.name(each.work_pool.name): each.work_pool.name for each in self.declared}

    def changes(self) -> Iterator[Change]:
        """Yield the changes to make, in order. Changes that people made on the server stay."""
        for name, plain in self.pools.items():
            yield from self._pool(name, plain)
        if not self._limit():
            body = {"name": self.names.slot, "limit": 1}
            create = partial(ask, self.client, "POST", "/v2/concurrency_limits/", body)
            yield Change(f"limit {self.names.slot}", [ABSENT], create, {"limit": 1})
        yield from self._deployments()
        if self.watched:
            yield from self._automations()

    def apply(self, say: Callable[[str], object] = print) -> None:
        """Make every change and report it.

        Raises:
            blocks.record.NotOurs: an object belongs to another owner. Nothing was changed.
        """
        self.check_owner()
        found = list(self.changes())
        new = [each.where for each in found if each.what == [ABSENT]]
        if found or not self.record.owner or self.takeover:
            known = [] if self.names.namespace and not self.takeover else self.there()
            self.record.claim([*new, *known], self.profile or "", self.owner)
        for change in found:
            change.make()
            say(f"{change.where}: created" if change.what == [ABSENT] else str(change))
        for where, values in self._declared():
            if where in self.record.things:
                self.record.remember(where, values)
        for change in found:
            if change.values is None:
                self.record.remember(change.where, None)
        self.record.save()

    def _declared(self) -> Iterator[tuple[str, Flat]]:
        for name, plain in self.pools.items():
            yield f"work pool {name}", pools.wanted(plain)
        yield f"limit {self.names.slot}", {"limit": 1}
        for each in self.declared:
            yield f"deployment {each.name}", self._wanted(each)
        if self.watched:
            for title, values in self._watches():
                yield f"automation {title}", values

    def _limit(self) -> Any:
        return _read(partial(self.client.read_global_concurrency_limit_by_name, self.names.slot))

    def _last(self, where: str) -> dict[str, str]:
        return {} if self.takeover else self.record.things.get(where, {})

    def _pool(self, name: str, plain: str) -> Iterator[Change]:
        where, values = f"work pool {name}", pools.wanted(plain)
        pool = _read(partial(self.client.read_work_pool, name))
        if pool is None:
            create = partial(self.client.create_work_pool, pools.work_pool(plain, name))
            yield Change(where, [ABSENT], create, values)
        elif changed := changes(values, pools.registered(pool), self._last(where)):
            update = partial(ask, self.client, "PATCH", f"/work_pools/{name}", changed)
            yield Change(where, ["job template differs"], update, values)

    def _wanted(self, each: Declared) -> Flat:
        values = deployments.wanted(each, self.names, self.blocks, self.env)
        return values if self.scheduled or not each.schedules else {**values, "paused": True}

    def _deployments(self) -> Iterator[Change]:
        tagged = deployments.ours(self.client, self.names)
        there = deployments.called(self.client, [each.full_name(self.names) for each in self.declared])
        for each in self.declared:
            where, values = f"deployment {each.name}", self._wanted(each)
            server = there.get(each.full_name(self.names))
            if server is None:
                make = partial(deployments.create, self.client, each, self.names, values)
                yield Change(where, [ABSENT], make, values)
                continue
            old = deployments.registered(server, values)
            if changed := changes(values, old, self._last(where)):
                update = partial(deployments.update, self.client, each, server, changed)
                yield Change(where, [_line(name, old.get(name), new) for name, new in changed.items()], update, values)
        for name in tagged.keys() - {each.full_name(self.names) for each in self.declared}:
            where = f"deployment {self.names.plain(name.rpartition('/')[2])}"
            # A person may have copied a deployment with its tags. Earlier versions kept no record of their deployments.
            if where in self.record.things or not (self.record.owner or self.names.namespace):
                delete = partial(ask, self.client, "DELETE", f"/deployments/{tagged[name]['id']}", None)
                yield Change(where, ["is no longer in prefect.yaml"], delete)

    def _watches(self) -> list[tuple[str, Flat]]:
        """Return the automations' names and values. The longest heartbeat interval decides when a run is dead."""
        there = deployments.called(self.client, [each.full_name(self.names) for each in self.declared])
        envs = [(each["job_variables"] or {}).get("env") or {} for each in there.values()]
        envs += [{**self.env, **(each.work_pool.job_variables.get("env") or {})} for each in self.declared]
        made = list(automations.automations(self.names, automations.longest(envs)))
        made += alerts.automations(self.names, self._webhook(), self.blocks or "")
        return [(each.name, automations.values(each)) for each in made]

    def _webhook(self) -> UUID | None:
        """Return the saved block with the alerts' webhook, for the server's own alerts; None if there is none."""
        name = alerts_block(self.blocks or "")
        document = _read(partial(self.client.read_block_document_by_name, name, saved_blocks.WEBHOOK))
        return document.id if document else None

    def _automations(self) -> Iterator[Change]:
        watches = self._watches()
        known = {each.removeprefix("automation ") for each in self.record.things if each.startswith("automation ")}
        for title in sorted(known - {title for title, _ in watches}):
            for each in self.client.read_automations_by_name(title):
                delete = partial(ask, self.client, "DELETE", f"/automations/{each.id}", None)
                yield Change(f"automation {title}", [UNWANTED], delete)
        for title, values in watches:
            where = f"automation {title}"
            saved = self.client.read_automations_by_name(title)
            if not saved:
                create = partial(ask, self.client, "POST", "/automations/", {**values, "enabled": True})
                yield Change(where, [ABSENT], create, values)
            for each in saved:
                if changed := changes(values, automations.values(each), self._last(where)):
                    body = {**automations.values(each), **changed, "enabled": each.enabled}
                    update = partial(ask, self.client, "PUT", f"/automations/{each.id}", body)
                    yield Change(where, [f"{name} differs" for name in changed], update, values)


def _line(name: str, old: Any, new: Any) -> str:
    name = name.replace(".", ": ", 1)
    if name == "parameter schema":
        return f"{name} differs"
    if new is REMOVED:
        return f"{name} is no longer in prefect.yaml"
    return f"{name}: {old!r} -> {new!r}"


def _read(read: Callable[[], Found]) -> Found | None:
    try:
        return read()
    except ObjectNotFound:
        return None


def blocks(platform: Platform, settings: Settings) -> list[Change]:
    """Return the changes to the profile's saved blocks, compared with the environment.

    Raises:
        blocks.record.NotOurs: the blocks belong to another owner, and `takeover` is off.
    """
    client, profile = platform.client, platform.blocks or ""
    found = saved_blocks.differing(settings, profile)
    if platform.names.namespace and not platform.takeover:
        record, url = Record(client, f"blocks of {profile}"), str(client.api_url)
        saved_blocks.check_owner(record, profile, platform.owner, found, url)
    return [
        Change(f"block {where}", what, partial(saved_blocks.save, client, each, where.partition("/")[2]))
        for where, (each, what) in found.items()
        if what
    ]
