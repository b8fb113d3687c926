"""Read a `Config` from its file and report each mistake with its file and line."""

import re
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from services.airbyte.catalog.config import Config, Destination, Source, definition
from services.airbyte.catalog.destination_config import DestinationConfiguration, LakeConfiguration
from services.content import BUCKET, PREFIX


class ConfigError(Exception):
    """The file is missing, not YAML, or invalid. The message has the file and the line."""


def load_config(path: Path, destination: Path | None = None) -> Config:
    """Read the YAML config file; `destination`, a JSON file, replaces the configuration of each lake in it.

    Raises:
        ConfigError: a file cannot be used, or a connection's destination differs from `destination`.
    """
    config = _read(path)
    return _with_destination(config, _destination(destination)) if destination else config


def with_bucket(config: Config, bucket: str, prefix: str) -> Config:
    """Return the config with this bucket and prefix in each source that has BUCKET and PREFIX; leave other sources."""

    def with_place(source: Source) -> Source:
        read = source.configuration
        if (read.bucket, read.prefix) != (BUCKET, PREFIX):
            return source
        place = read.model_copy(update={"bucket": bucket, "prefix": prefix})
        return source.model_copy(update={"configuration": place})

    return config.model_copy(update={"sources": [with_place(each) for each in config.sources]})


def _with_destination(config: Config, replacement: DestinationConfiguration) -> Config:
    destinations = [
        # A lake keeps the folder that the file declares.
        Destination(
            **{**dict(each), "configuration": replacement, "definitionId": definition({"configuration": replacement})}
        )
        if isinstance(each.configuration, LakeConfiguration) and not isinstance(replacement, LakeConfiguration)
        else each
        for each in config.destinations
    ]
    by_id = {each.destinationId: each for each in destinations}
    for connection in config.connections:
        target = by_id[connection.destinationId]
        if _address(target.configuration) != _address(replacement):
            raise ConfigError(
                f"The connection {connection.name!r} writes to the destination {target.name!r}, "
                f"{_address(target.configuration)}, but the profile's warehouse is {_address(replacement)}. "
                "Remove that destination's configuration from the file, or change the profile."
            )
    return config.model_copy(update={"destinations": destinations})


def _address(configuration: DestinationConfiguration) -> str:
    """Return the destination's address, for messages and comparisons. It contains no secret."""
    if isinstance(configuration, LakeConfiguration):
        return "the lake"
    return f"{configuration.database}.{configuration.schema_} at {configuration.host}".lower()


def _destination(file: Path) -> DestinationConfiguration:
    try:
        return TypeAdapter[DestinationConfiguration](DestinationConfiguration).validate_json(file.read_bytes())
    except OSError as error:
        raise ConfigError(f"Cannot read {file}: {error.strerror}") from None
    except ValidationError as error:
        errors = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)]
        raise ConfigError(f"{file} is not a valid destination configuration: {'; '.join(errors)}") from None


def _read(path: Path) -> Config:
    try:
        node = yaml.compose(text := path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        return Config.model_validate(yaml.safe_load(text) or {})
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from None
    except ValidationError as error:
        located = [(_line(node, e["loc"]) if e["loc"] else _line_of(text, e["msg"]), e) for e in relevant_errors(error)]
        errors = [f"{path}:{line}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for line, e in located]
        raise ConfigError("\n".join(errors)) from None


def relevant_errors(error: ValidationError) -> list[ErrorDetails]:
    """Return the errors, without those of defaults that depend on an invalid field: they repeat that field's error."""
    return [each for each in error.errors(include_url=False) if each["type"] != "default_factory_not_called"]


def _line(node: yaml.Node | None, loc: tuple[int | str, ...]) -> int:
    """Return the line of the deepest node of `loc` that exists in the file."""
    line = 1
    for step in loc:
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            node = node.value[step]
        elif isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == step), node)
        if node is None:
            break
        line = node.start_mark.line + 1
    return line


def _line_of(text: str, message: str) -> int:
    """Return the last line with the id or name at the end of the message: it conflicts with the earlier lines."""
    found = re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}|(?<=')[^']+(?=')|\w+$", message)
    return text.rpartition(found[-1])[0].count("\n") + 1 if found else 1
