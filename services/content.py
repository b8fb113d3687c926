"""Where the user's content stands: a dbt project, files that land, and the connections that load them."""

from pathlib import Path

PROJECT = Path(__file__).parents[1]
LANDING = PROJECT / "localstack" / "landing"
CONNECTIONS_FILE = Path("localstack", "connections.yaml")
"""From the folder of a checkout."""
CONNECTIONS = PROJECT / CONNECTIONS_FILE
BUCKET, PREFIX = "my-data-lake-landing", "inbound/"
"""Where the connections' sources read unless the user changes them; a profile may name another bucket and prefix."""
