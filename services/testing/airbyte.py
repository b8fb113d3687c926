"""The mock Airbyte in a container of its own."""

from pathlib import Path
from typing import Any, Self

from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import HttpWaitStrategy

from services import ports


class AirbyteContainer(DockerContainer):
    """A mock Airbyte that reads S3 and writes Parquet. Its port is published on 127.0.0.1 only.

    Use it in a `with` block. Build the image with `docker build --target airbyte -t mock-airbyte .`.

    Args:
        image: the mock's image.
        kwargs: arguments of `testcontainers.core.container.DockerContainer`, e.g. `network`.
    """

    def __init__(self, image: str = "mock-airbyte", **kwargs: Any) -> None:
        super().__init__(image, **kwargs)
        self.with_env("MOCK_AIRBYTE_FAULTS", "true")
        self.waiting_for(HttpWaitStrategy(ports.AIRBYTE, "/api/public/v1/health"))

    def with_s3(self, endpoint_url: str, access_key_id: str, secret_access_key: str, region: str = "us-east-1") -> Self:
        """Read sources from this S3. Its address must be reachable from inside the container."""
        return self.with_envs(
            MOCK_AIRBYTE_S3_ENDPOINT_URL=endpoint_url,
            MOCK_AIRBYTE_S3_ACCESS_KEY_ID=access_key_id,
            MOCK_AIRBYTE_S3_SECRET_ACCESS_KEY=secret_access_key,
            MOCK_AIRBYTE_S3_REGION=region,
        )

    def with_config(self, file: Path) -> Self:
        """Use a YAML file of your own that declares workspaces, sources, destinations and connections."""
        return self.with_volume_mapping(file.absolute(), "/config.yaml").with_env("MOCK_AIRBYTE_CONFIG", "/config.yaml")

    @property
    def url(self) -> str:
        """Base URL of the public API."""
        return f"http://{self.get_container_host_ip()}:{self.get_exposed_port(ports.AIRBYTE)}/api/public/v1"

    @property
    def faults_url(self) -> str:
        """Address for creating faults."""
        return f"http://{self.get_container_host_ip()}:{self.get_exposed_port(ports.AIRBYTE)}/_mock/faults"

    def get_container_host_ip(self) -> str:
        """Return the host of the port. testcontainers guesses wrong if the test itself runs in a container."""
        return "127.0.0.1"

    def _configure(self) -> None:
        # The names by which other containers in the network reach this one.
        self.with_env("GUARD_NAMES", ",".join(self._network_aliases or ()))
        # with_exposed_ports would publish the port on every address of the host.
        self.ports = {f"{ports.AIRBYTE}/tcp": ("127.0.0.1", None)}  # type: ignore[dict-item]
