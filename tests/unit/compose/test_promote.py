"""`make promote` before the first `make up`: it compares what it can, and names the command that starts the server."""

from pathlib import Path

import pytest

from commands.compose.command_line import Compose
from commands.compose.profile import Profile
from commands.compose.promote import promote


@pytest.mark.parametrize("apply", [False, True])
def test_promote_before_the_first_start_names_the_command_that_starts_the_server(
    production: Profile, docker: Path, capfd: pytest.CaptureFixture[str], apply: bool
) -> None:
    (docker / "commit").write_text("abc")
    assert promote(Compose(production, project="acme"), "local", apply) == int(apply)
    said = capfd.readouterr().out
    assert "DBT_TARGET: dev -> snowflake" in said
    assert "`make up PROFILE=production` starts it" in said
    assert ("APPLY=1 needs a running server" in said) == apply
    asked = (docker / "told").read_text()
    assert "services.bootstrap --profile production --models" in asked
    assert "--plan" not in asked
