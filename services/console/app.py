"""The page's addresses. It only reads: the one POST runs a query, in a child process, on the published copy."""

import csv
import hmac
import io
import re
from base64 import b64decode
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from blocks.duckdb_file import quoted
from blocks.errors import USER
from blocks.names import Names
from blocks.settings import PrefectServer, Settings
from blocks.warehouse import published_schema
from services.console import data, plot, words
from services.console.facts import Facts
from services.console.lineage import FILES, Docs
from services.console.query import MEMORY_MB, ROWS, SECONDS, Answer, QueryFailed, ask
from services.guard.asgi import Guard
from services.watch.prefect_api import Prefect

HERE = Path(__file__).parent
MAX_BODY_MB = 0.1
SHOWN_ROWS, SHOWN_CELLS, SHOWN_CELL = 200, 2_000, 200
"""How much of an answer the page shows; the CSV file has all of it."""
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with no-referrer, a browser would hide from the guard that a form is our own
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
READY_MADE = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src data:; connect-src data: blob:; worker-src blob:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""For dbt's and dbt-colibri's files, which hold their scripts within; they reach no address at all."""


class Page:
    """The page of one platform.

    Args:
        prefect: its server.
        settings: the environment's.
        names: of the platform's things on the server.
        profile: its name, for people.
        airbyte: address of the mock Airbyte's API for people on this machine; empty where nobody may ask it.
    """

    def __init__(self, prefect: Prefect, settings: Settings, names: Names, profile: str, airbyte: str = "") -> None:
        self.settings, self.profile, self.airbyte, self.prefect = settings, profile or "local", airbyte, prefect
        self.facts = Facts(prefect, settings, names)
        self.published = settings.published_path
        self.docs = Docs(settings.docs_dir or self.published.parent / "docs")
        self.in_snowflake = settings.dbt_target == "snowflake"
        self.templates = Environment(
            loader=PackageLoader("services.console"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True,
        )  # fmt: skip
        self.templates.filters |= {"ago": words.ago, "change": words.change, "number": words.number,
                                   "span": words.span, "sparkline": plot.sparkline}  # fmt: skip
        self.templates.tests |= {"search": lambda text, pattern: bool(re.search(pattern, text))}

    def show(self, template: str, status: int = 200, **more: Any) -> HTMLResponse:
        """A page from a template."""
        prefect = self.prefect.page("/")
        common = {
            "now": datetime.now(UTC),
            "platform": self.profile,
            "prefect": prefect if prefect.startswith("http") else "",
            "airbyte": self.airbyte,
            "docs": self.docs,
            "limits": f"{SECONDS:g} s, {MEMORY_MB} MB and {ROWS:,} rows",
            "in_snowflake": self.in_snowflake,
        }
        return HTMLResponse(self.templates.get_template(template).render(**common, **more), status)

    def tables(self) -> list[data.Table]:
        """The published tables; in Snowflake, as the last publication left them."""
        if not self.in_snowflake:
            return data.tables(self.published)
        newest = self.facts.now().publications[:1]
        return [data.Table(each["table"], each["rows"], each["columns"]) for one in newest for each in one.tables]

    # -- what answers -------------------------------------------------------------------------------------

    def home(self, _: Request) -> Response:
        """How it is."""
        return self.show("home.html", facts=self.facts.now(), tables=self.tables(), leads=leads(self.settings))

    def tests(self, _: Request) -> Response:
        """Every test and model with its history."""
        return self.show("tests.html", facts=self.facts.now())

    def table(self, request: Request) -> Response:
        """One published table."""
        name = request.path_params["name"]
        found = next((each for each in self.tables() if each.name == name), None)
        if found is None:
            raise HTTPException(404, f"There is no published table {name}.")
        profile = None if self.in_snowflake else data.profile(self.published, name)
        facts = self.facts.now()
        versions = [(each, row) for each in facts.publications for row in each.changed if row["table"] == name]
        return self.show(
            "table.html",
            table=found,
            relation=quoted(name),
            facts=facts,
            profile=profile,
            model=self.docs.model(name),
            versions=versions[:8],
            tables={each.name.rpartition(".")[2]: each.name for each in self.tables()},
        )

    def form(self, request: Request) -> Response:
        """The SQL box; a query in the address is only put into it."""
        return self.show("sql.html", sql=request.query_params.get("q", ""), answer=None, error="", tables=self.tables())

    async def run(self, request: Request) -> Response:
        """Run a query, and show its rows or return them as CSV."""
        form = dict(parse_qsl((await request.body()).decode(errors="replace")))
        return await run_in_threadpool(self._run, form.get("q", ""), form.get("as") == "csv")

    def _run(self, sql: str, as_csv: bool) -> Response:
        answer, error = None, ""
        try:
            if self.in_snowflake:
                raise QueryFailed("The tables of this profile are in Snowflake, and this page holds no login to it. "
                                  f"Use `make sql PROFILE={self.profile}`.")  # fmt: skip
            answer = ask(self.published, sql)
        except QueryFailed as failure:
            error = str(failure)
        if answer and as_csv:
            return Response(_csv(answer), media_type="text/csv", headers=_ATTACHED)
        return self.show(
            "sql.html",
            status=400 if error else 200,
            sql=sql,
            error=error,
            answer=answer and shorter(answer),
            total=len(answer.rows) if answer else 0,
            most=ROWS,
            plot=answer and plot.draw(answer),
            tables=self.tables(),
        )

    def ready_made(self, request: Request) -> Response:
        """dbt's docs or dbt-colibri's lineage, as the last publication left them."""
        if (
            request.path_params["kind"] not in FILES
        ):  # dbt's page asks for images by names that its script fills in later
            return FileResponse(HERE / "static" / "icon.svg")
        file = self.docs.file(request.path_params["kind"])
        if file is None:
            raise HTTPException(404, "The docs are written after a publication. None has written them yet.")
        return FileResponse(file, media_type="text/html", headers={"content-security-policy": READY_MADE})

    def failed(self, _: Request, error: Exception) -> Response:
        """The page of an error."""
        status, detail = getattr(error, "status_code", 500), getattr(error, "detail", "")
        return self.show("error.html", status, code=status, detail=detail or "The page failed; its log has the reason.")


def leads(settings: Settings) -> dict[str, str]:
    """Where each part of the data path leads, without a login that an address may have."""
    if settings.dbt_target == "snowflake":
        raw = f"Snowflake {settings.snowflake_account}, {settings.snowflake_database}"
        models = f"{raw}.{settings.snowflake_schema}"
        published = published_schema(models)
    else:
        raw, models, published = map(str, (settings.lake_dir, settings.warehouse_path, settings.published_path))
    s3 = f"s3://{settings.s3_bucket}/{settings.s3_prefix}"
    return {
        "landing": f"{s3} at {USER.sub('//', settings.s3_endpoint_url)}" if settings.s3_endpoint_url else s3,
        "sync": USER.sub("//", settings.airbyte_server_url),
        "raw": raw,
        "models": models,
        "published": published,
    }


_ATTACHED = {"content-disposition": 'attachment; filename="result.csv"'}


def _csv(answer: Answer) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(answer.columns)
    writer.writerows(answer.rows)
    return text.getvalue()


def shorter(answer: Answer) -> Answer:
    """As much of an answer as the page shows."""
    most = max(min(SHOWN_ROWS, SHOWN_CELLS // max(len(answer.columns), 1)), 1)
    cells = [[_short(value) for value in row] for row in answer.rows[:most]]
    return Answer(answer.columns, answer.types, cells, answer.more or len(answer.rows) > most, answer.seconds)


def _short(value: Any) -> Any:
    return f"{value[:SHOWN_CELL]}…" if isinstance(value, str) and len(value) > SHOWN_CELL else value


class Headers:
    """Adds the security headers to every answer that does not have them."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the class."""

        async def added(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, added)


class Login:
    """Asks for the user and password of Prefect's server, or for its API key as the password, where it has one."""

    def __init__(self, app: ASGIApp, server: PrefectServer) -> None:
        self.app = app
        self.expected = server.api_auth_string.get_secret_value() or server.api_key.get_secret_value()
        self.is_key = not server.api_auth_string.get_secret_value()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the class."""
        if scope["type"] != "http" or not self.expected or scope["path"] == "/health" or self._is_known(scope):
            await self.app(scope, receive, send)
            return
        asked = {"www-authenticate": 'Basic realm="Log in as on the Prefect server", charset="UTF-8"'}
        await PlainTextResponse("Log in with the Prefect server's user and password.", 401, asked)(scope, receive, send)

    def _is_known(self, scope: Scope) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"").partition(b" ")
        try:
            text = b64decode(given[2], validate=True) if given[0].lower() == b"basic" else b""
        except ValueError:
            return False
        if self.is_key:
            text = text.partition(b":")[2]
        return hmac.compare_digest(text, self.expected.encode())


def create_app(page: Page) -> Guard:
    """The page behind the login and the guard."""
    routes = [
        Route("/", page.home),
        Route("/tests", page.tests),
        Route("/tables/{name}", page.table),
        Route("/sql", page.form),
        Route("/sql", page.run, methods=["POST"]),
        Route("/ready-made/{kind:path}", page.ready_made),
        Route("/health", lambda _: PlainTextResponse("ok")),
        Mount("/static", StaticFiles(directory=HERE / "static")),
    ]
    handlers: dict[Any, Callable[[Request, Exception], Response | Awaitable[Response]]] = {
        HTTPException: page.failed,
        500: page.failed,
    }
    app = Starlette(routes=routes, exception_handlers=handlers)
    return Guard(Headers(Login(app, page.prefect.server)), MAX_BODY_MB, pages=True, other_types="/sql")
