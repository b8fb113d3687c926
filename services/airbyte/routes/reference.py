"""The API's reference as one self-contained HTML page, generated from Airbyte's OpenAPI document."""

from functools import cache
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from services.airbyte.operations import OPERATIONS, Operation

DOCUMENT = Path(__file__).parents[1] / "openapi" / "public-api.yaml"
STYLE = """body { font: 15px/1.45 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
details { border-bottom: 1px solid #ddd; padding: .3rem 0 } summary { cursor: pointer } code, pre { font-size: 13px }
pre { background: #f5f5f7; padding: .6rem; overflow: auto } .state { color: #6f6e77 }"""


@cache
def page() -> str:
    """Return the page. The first call takes a second or two."""
    document = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
    groups = groupby(sorted(OPERATIONS, key=_group), key=_group)
    parts = [f"<h2>{escape(name)}</h2>" + "".join(_operation(o, document) for o in group) for name, group in groups]
    schemas = "".join(_schema(name, schema) for name, schema in sorted(document["components"]["schemas"].items()))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Airbyte API of the mock</title>'
        f'<style>{STYLE}</style><h1>Airbyte API v1</h1><p><a href="/">Mock Airbyte</a> · paths are below '
        '<code>/api/public/v1</code> · <a href="/openapi.yaml">OpenAPI document</a>, © Airbyte, Inc., '
        '<a href="/openapi-license.txt">Elastic License 2.0</a></p>'
        f"{''.join(parts)}<h2>Schemas</h2>{schemas}</html>"
    )


def _group(operation: Operation) -> str:
    return operation.path.strip("/").split("/")[0] or "root"


def _operation(operation: Operation, document: dict[str, Any]) -> str:
    spec = document["paths"][operation.path][operation.method.lower()]
    shared = document["paths"][operation.path].get("parameters", [])
    lines = [_parameter(each) for each in [*shared, *spec.get("parameters", [])]]
    body = _content(spec.get("requestBody", {}))
    answers = "".join(
        f"<li><b>{code}</b> {escape(answer.get('description', ''))} {_content(answer)}</li>"
        for code, answer in spec["responses"].items()
    )
    return (
        f'<details id="{operation.name}"><summary><code><b>{operation.method}</b> {escape(operation.path)}</code> '
        f'{escape(spec.get("summary", ""))} <span class="state">{escape(operation.state)}</span></summary>'
        f"<p>{escape(spec.get('description', ''))}</p><ul>{''.join(lines)}</ul>"
        f"{f'<p>Body: {body}</p>' if body else ''}<p>Answers:</p><ul>{answers}</ul></details>"
    )


def _parameter(parameter: dict[str, Any]) -> str:
    required = ", required" if parameter.get("required") else ""
    description = escape(parameter.get("description", ""))
    return f"<li><code>{escape(parameter['name'])}</code> ({parameter['in']}{required}) {description}</li>"


def _content(spec: dict[str, Any]) -> str:
    named = [(kind, content.get("schema", {})) for kind, content in spec.get("content", {}).items()]
    return ", ".join(f"<code>{escape(kind)}</code> {_link(schema)}" for kind, schema in named)


def _link(schema: dict[str, Any]) -> str:
    name = escape(schema.get("$ref", "").rsplit("/", 1)[-1])
    return f'<a href="#schema-{name}">{name}</a>' if name else ""


def _schema(name: str, schema: dict[str, Any]) -> str:
    text = escape(yaml.safe_dump(schema, sort_keys=False, allow_unicode=True))
    return (
        f'<details id="schema-{escape(name)}"><summary><code>{escape(name)}</code></summary><pre>{text}</pre></details>'
    )
