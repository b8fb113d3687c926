"""The port on which each service listens, in its container and by default on this machine.

This module needs only the standard library. The Dockerfile, docker-compose.yml and the profiles repeat these numbers,
and a test compares them.
"""

PREFECT = 4200
AIRBYTE = 8006
S3 = 4566
CONSOLE = 8300
SNOWFLAKE = 8085
ALERTS = 8090

BY_SERVICE = {
    "prefect-server": PREFECT,
    "airbyte": AIRBYTE,
    "localstack": S3,
    "console": CONSOLE,
    "snowflake": SNOWFLAKE,
    "alerts": ALERTS,
}
"""The ports by the services' names in docker-compose.yml."""
