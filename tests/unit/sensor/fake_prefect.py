"""Prefect's API as the sensor uses it, in memory: each call may be answered by something else."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

Json = dict[str, Any]
DEPLOYMENT = {"id": str(uuid4()), "name": "asked-for", "flow_id": str(uuid4()), "parameters": {}}


@dataclass
class FakePrefect:
    """Runs by their ids; `befall` may answer a call in place of it, or raise."""

    runs: dict[str, Json] = field(default_factory=dict)
    deleted: list[Json] = field(default_factory=list)
    events: dict[str, Json] = field(default_factory=dict)
    artifacts: dict[str, Json] = field(default_factory=dict)
    page: int = 200
    now: datetime | None = None
    befall: Callable[[str, Callable[[], httpx.Response]], httpx.Response] = lambda _, apply: apply()

    def client(self, sync_client: bool, httpx_settings: Json) -> SyncPrefectClient:
        """What `get_client` gives."""
        transport = httpx.MockTransport(self._answer)
        return SyncPrefectClient("http://prefect/api", httpx_settings={**httpx_settings, "transport": transport})

    @staticmethod
    def without_retries() -> AbstractContextManager[Any]:
        """Prefect's client asks again by itself, after a pause."""
        return temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0})

    def end(self, kind: str) -> None:
        """Let every run end that has started or may."""
        for run in self.runs.values():
            if run["state"]["type"] == "SCHEDULED":
                run["state"] = _state(kind, kind.title(), "as the test says")

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api")
        if b"\\u0000" in request.content:  # as a server on PostgreSQL does
            return httpx.Response(500, text="unsupported Unicode escape sequence")
        answer = self.befall(f"{request.method} {path}", lambda: self._apply(request, path))
        if self.now:
            answer.headers["Date"] = format_datetime(self.now, usegmt=True)
        return answer

    def _apply(self, request: httpx.Request, path: str) -> httpx.Response:  # noqa: PLR0911 - one for each call
        body = json.loads(request.content) if request.content else {}
        match request.method, path.strip("/").split("/"):
            case "GET", ["admin", "version"]:
                return _json("3.8.8")
            case "POST", ["deployments", "filter"]:
                return _json([] if body["offset"] else [DEPLOYMENT])
            case "POST", ["flow_runs", "filter"]:
                found = [self._run(run) for run in self.runs.values() if _fits(run, body["flow_runs"] or {})]
                return _json(found[::-1][: self.page])
            case "POST", ["deployments", _, "create_flow_run"]:
                same = [run for run in self.runs.values() if run["idempotency_key"] == body["idempotency_key"]]
                return _json(self._run(same[0] if same else self._made(body)))
            case "POST", ["flow_runs", identity, "set_state"]:
                state = body["state"]
                self.runs[identity]["state"] = _state(state["type"], state["name"], "")
                return _json({"status": "ACCEPT", "state": self.runs[identity]["state"], "details": {}})
            case "DELETE", ["flow_runs", identity]:
                self.deleted.append(self.runs.pop(identity))
                return httpx.Response(204)
            case "POST", ["events"]:
                self.events |= {each["id"]: each for each in body}
                return httpx.Response(204)
            case "POST", ["artifacts", "filter"]:
                return _json(list(self.artifacts.values()))
            case "POST", ["artifacts"]:
                artifact = {"id": str(uuid4()), **body}
                self.artifacts[artifact["id"]] = artifact
                return _json(artifact)
            case "PATCH", ["artifacts", identity]:
                self.artifacts[identity] |= body
                return httpx.Response(204)
        return httpx.Response(404, json={"detail": path})

    def _made(self, body: Json) -> Json:
        given = {name: body[name] for name in ("parameters", "idempotency_key", "name")}
        state = _state(body["state"]["type"], body["state"]["name"], "")
        run = {"id": str(uuid4()), "flow_id": DEPLOYMENT["flow_id"], "deployment_id": DEPLOYMENT["id"], **given}
        self.runs[run["id"]] = {**run, "state": state, "expected_start_time": f"{datetime.now(UTC)}"}
        return self.runs[run["id"]]

    def _run(self, run: Json) -> Json:
        return {**run, "state_type": run["state"]["type"], "state_name": run["state"]["name"]}

    def add(self, count: int, kind: str, **parameters: Any) -> list[str]:
        """So many runs in a state; their ids."""
        made = []
        for number in range(count):
            key = f"{len(self.runs)}-{number}"
            state = {"type": kind, "name": kind.title()}
            run = self._made({"parameters": parameters, "idempotency_key": key, "name": key, "state": state})
            made.append(run["id"])
        return made


def _state(kind: str, name: str, message: str) -> Json:
    return {"id": str(uuid4()), "type": kind, "name": name, "message": message, "timestamp": f"{datetime.now(UTC)}"}


def _fits(run: Json, wanted: Json) -> bool:
    def any_of(name: str) -> list[Any] | None:
        found: list[Any] | None = (wanted.get(name) or {}).get("any_")
        return found

    identity = wanted.get("id") or {}
    types = ((wanted.get("state") or {}).get("type") or {}).get("any_")
    before = (wanted.get("expected_start_time") or {}).get("before_")
    return not (
        (before and datetime.fromisoformat(run["expected_start_time"]) > datetime.fromisoformat(before))
        or (identity.get("any_") is not None and run["id"] not in identity["any_"])
        or run["id"] in (identity.get("not_any_") or [])
        or (types is not None and run["state"]["type"] not in types)
        or ((keys := any_of("idempotency_key")) is not None and run["idempotency_key"] not in keys)
        or ((of := any_of("deployment_id")) is not None and UUID(run["deployment_id"]) not in map(UUID, of))
    )


def _json(body: Any) -> httpx.Response:
    return httpx.Response(200, json=body)
