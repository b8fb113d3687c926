"""Check the systems that the environment connects to: `python -m commands.doctor --profile production`.

The exit code is 0 if no check fails; a warning is not a failure. Nothing is changed anywhere.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial

from prefect.settings import PREFECT_API_URL

from blocks.errors import PlatformError, printable, remedy
from blocks.host import through_proxy
from blocks.settings import Settings
from blocks.systems import airbyte_from, dbt_from, landing_from, snowflake_from
from commands.compose.values import SNOWFLAKE_DOMAIN
from commands.doctor.airbyte import airbyte, sources
from commands.doctor.alerts import alerts
from commands.doctor.finding import Check, Finding, run
from commands.doctor.landing import landing
from commands.doctor.machine import clock, versions
from commands.doctor.prefect import prefect
from commands.doctor.warehouse import disk, duckdb_warehouse, snowflake_warehouse

UNREACHED = re.compile(r"answer|connect|proxy|time|refused|resolve|name or service|\b(403|50[234])\b", re.IGNORECASE)
"""Matches errors of a system that was not reached, possibly because of a proxy."""

SECONDS = 45.0
"""The deadline of each check. The Airbyte client, for example, tries a silent server four times."""


def checks(profile: str, settings: Settings) -> dict[str, Check]:
    """Return every check for these settings, by name."""
    project, read = settings.dbt_project_dir, sources(settings.dbt_project_dir)
    snowflake = settings.dbt_target == "snowflake"
    warehouse: Check = partial(duckdb_warehouse, dbt_from(settings), read)
    if snowflake:
        warehouse = partial(snowflake_warehouse, snowflake_from(settings), read)
    return {
        "s3": partial(landing, landing_from(settings)),
        "airbyte": partial(airbyte, airbyte_from(settings), project),
        "warehouse": warehouse,
        "prefect": partial(prefect, profile, settings),
        "clock": partial(clock, addresses(settings)),
        "versions": partial(versions, ("dbt-core", "dbt-snowflake" if snowflake else "dbt-duckdb", "prefect")),
        "alerts": partial(alerts, settings),
        "disk": partial(disk, settings.warehouse_path.parent),
    }


def addresses(settings: Settings) -> dict[str, str]:
    """Return the HTTP address of each system, by name."""
    found = {
        "S3": settings.s3_endpoint_url or "https://s3.amazonaws.com",
        "Airbyte": settings.airbyte_server_url,
        "Prefect": f"{PREFECT_API_URL.value()}/health",
    }
    if settings.dbt_target == "snowflake":
        host = settings.snowflake_host or f"{settings.snowflake_account}{SNOWFLAKE_DOMAIN}"
        found["Snowflake"] = f"{settings.snowflake_protocol}://{host}"
    return found


def with_network_advice(finding: Finding, places: Mapping[str, str]) -> Finding:
    """Return a failed finding with advice about certificates and proxies, where it applies."""
    if finding.state != "fail":
        return finding
    if helps := remedy(finding.said):
        return replace(finding, fix=helps)
    way = places.get(finding.check.partition(" ")[0], "") if UNREACHED.search(finding.said) else ""
    return replace(finding, fix=f"{finding.fix}{through_proxy(way)}")


def main(arguments: list[str] | None = None) -> int:
    """Run every check and print its findings. Return 1 if one fails."""
    parser = argparse.ArgumentParser(prog="python -m commands.doctor", description=__doc__)
    parser.add_argument("--profile", required=True, help="name that the blocks are saved under")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    options = parser.parse_args(arguments)
    try:
        settings = Settings()
        places = {name.lower(): url for name, url in addresses(settings).items()}
        findings = [with_network_advice(each, places) for each in run(checks(options.profile, settings), SECONDS)]
    except PlatformError as error:
        findings = [Finding("settings", "fail", str(error), "Follow the advice in the message.")]
    findings = [replace(each, said=printable(each.said), fix=printable(each.fix)) for each in findings]
    if options.json:
        print(json.dumps([asdict(each) for each in findings]))
    else:
        for each in findings:
            print(f"{each.state:<5} {each.check}: {each.said}" + (f"\n      fix: {each.fix}" if each.fix else ""))
    return int(any(each.state == "fail" for each in findings))


if __name__ == "__main__":
    sys.exit(main())
