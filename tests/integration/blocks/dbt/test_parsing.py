"""What dbt parses ahead or remembers of a project is used only while it is right."""

import pytest

from blocks.dbt.errors import DbtFailed
from blocks.dbt.project import Dbt
from blocks.turns import turn
from tests.integration.blocks.dbt.project import Project, each


def test_a_project_is_parsed_ahead_for_one_command_with_the_same_options(project: Project) -> None:
    options = ("--vars", "{test_all: true}")
    project.dbt.parse_ahead(*options)
    project.write("models/more.sql", "select 1 as id")

    def built(options: tuple[str, ...]) -> bool:
        return "more" in [node.name for node in project.dbt.run("build", options=options).nodes]

    assert not built(options)
    assert built(options)
    project.dbt.parse_ahead(*options)
    project.write("models/more.sql", "this cannot be parsed: {{ ")
    with pytest.raises(DbtFailed):
        built(())
    project.dbt.parse_ahead()
    with pytest.raises(DbtFailed):
        built(())
    project.write("models/more.sql", "select 1 as id")
    project.dbt.parse_ahead()
    project.dbt.run("deps")
    project.write("models/another.sql", "select 1 as id")
    assert "another" in [node.name for node in project.dbt.run("build").nodes]


@each
def test_a_project_is_parsed_anew_where_what_dbt_remembers_of_it_is_wrong(project: Project) -> None:
    from dbt.contracts.graph.manifest import Manifest

    project.dbt.run("build")
    remembered = project.folder / "target" / "partial_parse.msgpack"
    manifest = Manifest.from_msgpack(remembered.read_bytes())
    (gone,) = (name for name in manifest.nodes if name.endswith(".orders"))
    del manifest.nodes[gone]
    remembered.write_bytes(manifest.to_msgpack())
    assert {"orders", "totals"} <= {node.name for node in project.dbt.run("build").nodes}
    assert any("parses the whole project again" in line for line in project.lines)
    project.write("models/totals.sql", "select * from {{ ref('missing') }}")
    with pytest.raises(DbtFailed, match="missing"):
        project.dbt.run("build")


def test_nothing_is_parsed_ahead_while_another_command_uses_the_warehouse(project: Project) -> None:
    dbt = Dbt(project.folder, "dev", project.dbt.variables, project.lines.append, warehouse=project.warehouse)
    with turn(project.warehouse, 0, print):
        dbt.parse_ahead()
    project.write("models/more.sql", "select 1 as id")
    assert "more" in [node.name for node in dbt.run("build").nodes]
