"""The operations for a person with a browser: one page that loads nothing from elsewhere."""

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from services.airbyte.operations import OPERATIONS

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Mock Airbyte</title>
<style>body {{font: 15px sans-serif; margin: 2em}} td {{padding: 2px 1em 2px 0}} code {{font-size: 14px}}</style>
<h1>Mock Airbyte: the public API v1</h1>
<p>Paths are below <code>/api/public/v1</code>. An operation that is not done answers 501 and names itself.</p>
<table>{rows}</table>
</html>
"""


async def documentation(_request: Request) -> HTMLResponse:
    rows = (
        f"<tr><td><code>{each.method} {escape(each.path)}</code><td>{each.name}<td>{escape(each.state)}"
        for each in OPERATIONS
    )
    return HTMLResponse(PAGE.format(rows="\n".join(rows)))


ROUTES = [Route("/docs", documentation)]
