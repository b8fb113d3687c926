"""The page's routes. The page only reads: its one POST runs a query on the published copy, in a child process."""

import csv
import io
import re
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from anyio import CancelScope, CapacityLimiter, create_task_group, to_thread
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from blocks.duckdb_file import broken, quoted
from blocks.errors import USER, counted, shown
from blocks.names import Names
from blocks.published import LIMITS, Answer, QueryFailed, change
from blocks.settings import Settings, make
from blocks.snowflake_warehouse import published_schema
from blocks.words import ago, span
from services.console import data, plot
from services.console.facts import Facts
from services.console.lineage import FILES, Docs
from services.console.query import ask
from services.guard.asgi import Guard
from services.guard.login import Login
from services.guard.rules import Refusal
from services.watch.prefect_api import Prefect

HERE = Path(__file__).parent
MAX_BODY_MB = 0.1
AT_ONCE, WAITING = 2, 6
"""How many queries run at the same time, and how many wait for them."""
SHOWN_ROWS, SHOWN_COLUMNS, SHOWN_SIZE = 200, 100, 100_000
"""How many rows, columns and characters of HTML of an answer the page shows. The CSV file has the whole answer."""
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "x-frame-options": "DENY",
}
READY_MADE = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src data:; connect-src data: blob:; worker-src blob:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'; sandbox allow-scripts"
)
"""For the files of dbt and dbt-colibri, which contain their scripts.

They cannot connect to any address, and have no origin. So a script in, say, a column's name cannot harm this page.
"""
IN_SNOWFLAKE = "The rows are in Snowflake, and this page has no login for it. Use `make sql` with this profile."


class Page:
    """The page of one platform.

    Args:
        prefect: the platform's Prefect server.
        settings: the settings from the environment.
        names: names of the platform's objects on the server.
        profile: name of the profile, as people know it.
        airbyte: address of the mock Airbyte's page on this machine, or "" if people may not see one.
        s3_url: address of LocalStack on this machine, or "" if there is none or the settings have it.
    """

    def __init__(
        self, prefect: Prefect, settings: Settings, names: Names, profile: str, airbyte: str = "", s3_url: str = ""
    ) -> None:
        self.settings, self.profile, self.prefect = settings, profile, prefect
        self.airbyte, self.s3_url = airbyte, s3_url
        self.published = settings.published_path
        self.env = _from_here(settings.alerts_dir.parent / "env")
        self.docs = Docs(settings.docs_dir or self.published.parent / "docs")
        self.facts = Facts(prefect, settings, names, self.docs)
        self.turns = CapacityLimiter(AT_ONCE)
        self.in_snowflake = settings.dbt_target == "snowflake"
        self.templates = Environment(
            loader=PackageLoader("services.console"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True,
        )  # fmt: skip
        self.templates.globals |= {"page": self, "limits": LIMITS, "most_columns": SHOWN_COLUMNS, "make": make}
        self.templates.filters |= {each.__name__: each for each in FILTERS}

    def show(self, template: str, status: int = 200, **more: Any) -> HTMLResponse:
        """Render a page from a template."""
        return HTMLResponse(self.templates.get_template(template).render(now=datetime.now(UTC), **more), status)

    def tables(self) -> list[data.Table]:
        """Return the published tables. For Snowflake, return them as of the last publication."""
        if not self.in_snowflake:
            return data.tables(self.published)
        newest = [each for one in self.facts.now().publications[:1] for each in one["tables"]]
        return [data.Table(each["table"], each["rows"], each["columns"]) for each in newest if each["columns"]]

    # -- request handlers ---------------------------------------------------------------------------------

    def home(self, _: Request) -> Response:
        return self.show("home.html", **self._checked(), leads=leads(self.settings, self.s3_url, self.airbyte))

    def tests(self, _: Request) -> Response:
        return self.show("tests.html", **self._checked())

    def _checked(self) -> dict[str, Any]:
        facts = self.facts.now()
        failing, broken = ([one for one in each if one["is_bad"]] for each in (facts.tests, facts.models))
        statuses = [each["status"] for each in facts.tests]
        return {"facts": facts, "failing": failing, "broken": broken, "statuses": statuses, **self._named()}

    def table(self, request: Request) -> Response:
        """Show one published table."""
        name, tables, facts = request.path_params["name"], self.tables(), self.facts.now()
        found = next((each for each in tables if each.name == name), None)
        if found is None:
            raise HTTPException(404, f"There is no published table {name}.")
        versions = [(each, row) for each in facts.publications for row in each["changed"] if row["table"] == name]
        profile = data.Profile(problem=IN_SNOWFLAKE) if self.in_snowflake else data.profile(self.published, found)
        shown = {"table": found, "facts": facts, "profile": profile, "versions": versions, **self._named(tables)}
        return self.show("table.html", 200, with_files={each.model for each in tables if each.files}, **shown)

    def _named(self, tables: list[data.Table] | None = None) -> dict[str, Any]:
        """Return the published tables, and their names by model."""
        tables = self.tables() if tables is None else tables
        return {"tables": tables, "by_model": {each.model: each.name for each in tables}}

    def form(self, request: Request) -> Response:
        """Show the SQL box. A query in the address is filled in, but not run."""
        return self._sql(request.query_params.get("q", ""))

    async def run(self, request: Request) -> Response:
        """Run a query, and show its rows or return them as CSV. The query is cancelled if the reader leaves."""
        form = dict(parse_qsl((await request.body()).decode(errors="replace")))
        sql, error = form.get("q", ""), ""
        answer: Answer | None = None
        try:
            async with create_task_group() as tasks:
                tasks.start_soon(_until_left, request, tasks.cancel_scope)
                answer = await self._ask(sql)
                tasks.cancel_scope.cancel()
        except* QueryFailed as failed:
            error = str(failed.exceptions[0])
        if answer and form.get("as") == "csv":
            return _csv(answer)
        return await to_thread.run_sync(self._sql, sql, answer, error)

    async def _ask(self, sql: str) -> Answer:
        if self.in_snowflake:
            raise QueryFailed(IN_SNOWFLAKE)
        if self.turns.statistics().tasks_waiting >= WAITING:
            raise QueryFailed(f"{AT_ONCE} queries are running and {WAITING} are waiting. Try again in a minute.")
        async with self.turns:
            return await ask(self.published, sql)

    def _sql(self, sql: str, answer: Answer | None = None, error: str = "") -> Response:
        status, tables, drawn = 400 if error else 200, self.tables(), answer and plot.draw(answer)
        most = room(answer.rows) if answer else 0
        return self.show("sql.html", status, sql=sql, error=error, answer=answer, most=most, plot=drawn, tables=tables)

    def ready_made(self, request: Request) -> Response:
        """Return dbt's docs or dbt-colibri's lineage, as of the last publication."""
        kind = request.path_params["kind"]
        file = self.docs.file(kind) if kind in FILES else None
        if file is None:
            raise HTTPException(404, "These docs do not exist yet. They are written after a publication.")
        return FileResponse(file, media_type="text/html", headers={"content-security-policy": READY_MADE})

    def failed(self, _: Request, error: Exception) -> Response:
        """Show an error."""
        status, detail = getattr(error, "status_code", 500), "The page failed. Its log has the reason."
        if isinstance(error, HTTPException | QueryFailed):
            detail = getattr(error, "detail", "") or broken(str(error), self.published) or str(error)
        return self.show("base.html", status, code=status, detail=detail)


def _from_here(path: Path) -> str:
    """Return a path as a person types it where `make` works."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


async def _until_left(request: Request, scope: CancelScope) -> None:
    """Cancel the scope when the reader disconnects. The request's body must have been read."""
    await request.receive()
    scope.cancel()


def leads(settings: Settings, s3_url: str = "", airbyte: str = "") -> dict[str, str]:
    """Return the address of each part of the data path. A login in an address is removed."""
    places: list[Any] = [settings.lake_dir, settings.warehouse_path, settings.published_path]
    if settings.dbt_target == "snowflake":
        raw = f"Snowflake {settings.snowflake_account}, {settings.snowflake_database}"
        models = f"{raw}.{settings.snowflake_schema}"
        places = [raw, models, published_schema(models)]
    s3 = f"s3://{settings.s3_bucket}/{settings.s3_prefix}"
    s3 += f" at {s3_url or settings.s3_endpoint_url}" if settings.s3_endpoint_url else ""
    parts = ("landing", "sync", "raw", "models", "published")
    plain = [USER.sub("//", str(place)) for place in (s3, airbyte or settings.airbyte_server_url, *places)]
    return dict(zip(parts, plain, strict=True))


def code(text: str) -> Markup:
    """Return a text with the commands in backticks as code."""
    return Markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped just now


def labelled(cells: str, heads: list[str]) -> Markup:
    """Return a row's cells with the names of their columns, which a narrow window shows beside them."""
    names = (f' data-label="{escape(head.lstrip("#"))}"' for head in heads)
    return Markup(re.sub(r"<t[hd]\b", lambda cell: cell[0] + next(names, ""), cells))  # noqa: S704 - escaped already


def leading(text: str, start: str) -> Markup:
    """Turn the addresses that begin with `start` into links, but no others, since a file's name may look like one."""
    parts = re.split(rf"({re.escape(start)}\S*)", text) if start.startswith("http") else [text]
    return Markup("").join(
        Markup('<a href="{0}">{0}</a>').format(each) if at % 2 else each for at, each in enumerate(parts)
    )


def room(rows: list[list[Any]]) -> int:
    """Return how many rows fit on the page."""
    sizes = (sum(len(escape(str(cell)[:200])) + 20 for cell in row[:SHOWN_COLUMNS]) for row in rows[:SHOWN_ROWS])
    return sum(size <= SHOWN_SIZE for size in accumulate(sizes)) or 1


FILTERS = (ago, change, code, counted, labelled, leading, quoted, shown, span)


def _csv(answer: Answer) -> Response:
    text, name = io.StringIO(), f"first-{len(answer.rows)}-rows.csv" if answer.more else "result.csv"
    csv.writer(text).writerows([answer.columns, *answer.rows])
    headers = {"content-disposition": f'attachment; filename="{name}"', "x-more-rows": str(answer.more).lower()}
    return Response(text.getvalue(), media_type="text/csv", headers=headers)


def refused(refusal: Refusal) -> Response:
    """Return the page for a request that is refused unread. It shows nothing about the platform before the login."""
    head = f"<!doctype html><html lang=en><title>{refusal.status}</title><link rel=stylesheet href=/static/page.css>"
    text = f"{head}<h1>{refusal.status}</h1><p>{escape(refusal.message)}</p><a href=/sql>Back to SQL</a>"
    return HTMLResponse(text, refusal.status)


def create_app(page: Page) -> Guard:
    """Return the page behind the login and the guard."""
    routes = [
        Route("/", page.home),
        Route("/tests", page.tests),
        Route("/tables/{name:path}", page.table),
        Route("/sql", page.form),
        Route("/sql", page.run, methods=["POST"]),
        Route("/ready-made/{kind:path}", page.ready_made),
        Route("/health", lambda _: PlainTextResponse("ok")),
        Mount("/static", StaticFiles(directory=HERE / "static")),
    ]
    app = Starlette(routes=routes, exception_handlers=dict.fromkeys((HTTPException, QueryFailed, 500), page.failed))
    server = page.prefect.server
    login = Login(app, server.api_auth_string.get_secret_value(), server.api_key.get_secret_value())
    return Guard(login, MAX_BODY_MB, pages=True, other_types="/sql", page=refused, headers=HEADERS)
