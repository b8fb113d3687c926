"""Whether containers can be started here."""

import subprocess

COMMANDS = (("docker", "version", "--format", "{{.Server.Version}}"), ("docker", "compose", "version"))


def engine_problem() -> str | None:
    """Why the platform's containers cannot be started here; None where they can."""
    for command in COMMANDS:
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=20)  # noqa: S603
        except FileNotFoundError:
            return "Docker is not installed"
        except subprocess.TimeoutExpired:
            return "the Docker engine does not answer"
        except subprocess.CalledProcessError as error:
            return f"`{' '.join(command[:2])}` fails: {error.stderr.strip()}"
    return None
