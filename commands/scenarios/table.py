"""Renders the table in docs/scenarios.md from the scenarios."""

from commands.scenarios.catalog import Scenario
from commands.scenarios.every import SCENARIOS


def table() -> str:
    """Return a Markdown table with a row for each scenario."""
    rows = [
        f"| `{each.name}` | {each.fails} | {each.does} | {_alert(each)} | [{each.report}]({each.incident}) |"
        for each in SCENARIOS.values()
    ]
    return "\n".join(
        ["| `NAME=` | what fails | what the platform does | alert | modelled on |", "| --- " * 5 + "|", *rows]
    )


def _alert(scenario: Scenario) -> str:
    return f"`{scenario.alert}`" if scenario.alert else "none"
