"""`python -m services.bootstrap --profile local`: work pools, limits, blocks, deployments and automations."""

import argparse
import sys

from prefect import get_client

from blocks import connections
from flows.dbt_transform import WAREHOUSE_SLOT
from services.bootstrap.automations import save_automations
from services.bootstrap.deployments import declared, register, remove_others
from services.bootstrap.pools import work_pool


def main() -> int:
    """Bring the server that PREFECT_API_URL names up to date; 1 where the blocks could not be saved."""
    parser = argparse.ArgumentParser(prog="python -m services.bootstrap", description=main.__doc__)
    parser.add_argument("--profile", required=True, help="name under which the environment's connections are saved")
    profile = parser.parse_args().profile
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
        save_automations(client)
    return 0


if __name__ == "__main__":
    sys.exit(main())
