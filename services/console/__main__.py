"""`python -m services.console --port 8300`: serve the page until the process ends."""

import argparse
from urllib.parse import urlsplit

from blocks.names import Names
from blocks.settings import PrefectServer, Settings
from services.console.app import Page, create_app
from services.guard.rules import LOOPBACK
from services.quiet import serve
from services.watch.prefect_api import Prefect

SECONDS = 5.0
"""Timeout for an answer from Prefect. It is short because a person waits for the page."""


def main() -> None:
    """Serve the page until the process ends."""
    parser = argparse.ArgumentParser(prog="python -m services.console", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--profile", default="", help="name of the profile")
    parser.add_argument("--airbyte-port", default="", help="port of the mock Airbyte on this machine")
    parser.add_argument("--s3-port", default="", help="port of LocalStack on this machine")
    options = parser.parse_args()
    settings, server = Settings(), PrefectServer()
    profile = options.profile
    names = Names.of(profile, server.api_url, settings.prefect_namespace)
    url = urlsplit(settings.airbyte_server_url)
    # A real Airbyte, or one that asks for a token, has no page for people.
    has_page = not settings.airbyte_client_id and url.hostname in ("airbyte", *LOOPBACK)
    airbyte = f"http://127.0.0.1:{options.airbyte_port or url.port}/" if has_page else ""
    is_localstack = urlsplit(settings.s3_endpoint_url).hostname == "localstack"
    s3_url = f"http://127.0.0.1:{options.s3_port}" if is_localstack and options.s3_port else ""
    page = Page(Prefect(server, seconds=SECONDS), settings, names, profile, airbyte, s3_url)
    serve(create_app(page), options.host, options.port)


if __name__ == "__main__":
    main()
