"""dbt by hand, with the settings of the flows."""

import pytest

from blocks.dbt.command_line import OFFLINE, OTHERS, RECORDED
from blocks.dbt_command import main


def test_snowflake_without_its_values_stops_with_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBT_TARGET", "snowflake")
    monkeypatch.delenv("SNOWFLAKE_ACCOUNT", raising=False)
    with pytest.raises(SystemExit, match="SNOWFLAKE_ACCOUNT"):
        main(["build"])


def test_a_wrong_setting_stops_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHNESS_THRESHOLD_HOURS", "soon")
    with pytest.raises(SystemExit, match="FRESHNESS_THRESHOLD_HOURS is 'soon'"):
        main(["debug"])


def test_without_a_command_dbt_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([])
    assert end.value.code == 0
    assert "Usage: dbt" in capsys.readouterr().out


def test_every_command_of_dbt_is_known() -> None:
    from dbt.cli.main import cli

    assert {"", *cli.commands} == RECORDED | OFFLINE | OTHERS
