"""`python -m services.bootstrap --profile local`: work pools, limits, blocks, deployments and automations."""

import argparse
import sys

import httpx
from prefect import get_client
from prefect.exceptions import PrefectHTTPStatusError

from blocks import connections
from blocks.errors import PlatformError
from flows.dbt_transform import WAREHOUSE_SLOT
from services.bootstrap.automations import automations, save_automations
from services.bootstrap.deployments import HEARTBEAT, OURS, declared, register, remove_others
from services.bootstrap.plan import plan
from services.bootstrap.pools import work_pool


def main() -> int:
    """Bring the server that PREFECT_API_URL names up to date; 1 where the blocks could not be saved."""
    parser = argparse.ArgumentParser(prog="python -m services.bootstrap", description=main.__doc__)
    parser.add_argument("--profile", required=True, help="name under which the environment's connections are saved")
    parser.add_argument("--plan", action="store_true", help="say what would change, and change nothing")
    options = parser.parse_args()
    return _plan(options.profile) if options.plan else _apply(options.profile)


def _plan(profile: str) -> int:
    try:
        for line in plan(profile):
            print(line, flush=True)
    except (PlatformError, PrefectHTTPStatusError, httpx.TransportError) as error:
        print(f"There is no plan: {error}", file=sys.stderr)
        return 1
    return 0


def _apply(profile: str) -> int:
    deployments = declared()
    with get_client(sync_client=True) as client:
        for pool in sorted({each.work_pool.name for each in deployments}):
            client.create_work_pool(work_pool(pool), overwrite=True)
        client.upsert_global_concurrency_limit_by_name(WAREHOUSE_SLOT, 1)
        if connections.main(["--name", profile]):
            return 1
        for each in deployments:
            print(f"registered {register(each, profile)}")
        for name in remove_others(client, deployments):
            print(f"removed {name}, which prefect.yaml no longer has")
        save_automations(client, automations(OURS, HEARTBEAT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
