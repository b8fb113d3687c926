"""The grants of docs/production are those that the code needs, and no others."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import sqlglot
import yaml
from botocore.session import get_session
from sqlglot import expressions

from blocks.snowflake_warehouse import published_schema
from commands.doctor.warehouse import DBT_SCHEMAS
from tests.readme import PROJECT

TRANSFORMER = "data_platform_transformer"
GRANTS = PROJECT / "docs" / "production"
DOCUMENT = (PROJECT / "docs" / "production.md").read_text()
# What IAM calls the permission for an operation, where that is not the operation's own name. Sources:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html and
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
PERMISSION = {
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}


def called(*files: Path) -> set[str]:
    """The permissions for all operations of S3 and SQS that the files' code names, as a method or a paginator."""
    text = "".join(file.read_text() for file in files)
    names = set(re.findall(r"\.(\w+)\(", text)) | set(re.findall(r"get_paginator\(\"(\w+)\"", text))
    found = set()
    for service in ("s3", "sqs"):
        client = boto3.client(service, "us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
        operations = client.meta.method_to_api_mapping
        found |= {f"{service}:{operations[name]}" for name in names & set(operations)}
    return {PERMISSION.get(each, each) for each in found}


def statements(policy: str) -> Iterator[tuple[str, str]]:
    """Each permission of a policy with each of its resources."""
    for each in json.loads((GRANTS / policy).read_text())["Statement"]:
        assert each["Effect"] == "Allow"
        for action in _list(each["Action"]):
            for resource in _list(each["Resource"]):
                yield action, resource


def _list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def test_the_platforms_policy_has_the_permissions_for_what_its_code_calls_and_no_other() -> None:
    # `make drop` is run by a person with rights to the landing files, and only a stand-in's bucket is backed up.
    others = {"land.py", "landing_archive.py"}
    code = [f for folder in ("blocks", "flows") for f in (PROJECT / folder).rglob("*.py") if f.name not in others]
    assert {action for action, _ in statements("aws-platform.json")} == called(*code)


def test_airbytes_policy_has_the_permissions_for_what_its_stand_in_calls_and_no_other() -> None:
    assert {action for action, _ in statements("aws-airbyte.json")} == called(
        PROJECT / "services" / "airbyte" / "load" / "source_s3.py"
    )


@pytest.mark.parametrize("policy", ["aws-platform.json", "aws-airbyte.json"])
def test_a_policy_is_for_one_bucket_and_names_no_action_by_a_wildcard(policy: str) -> None:
    for action, resource in statements(policy):
        assert action.partition(":")[0] in get_session().get_available_services()
        assert "*" not in action
        assert re.fullmatch(r"arn:aws:(s3:::my-data-lake-landing(/\w+/\*)?|sqs:[\w-]+:\d{12}:[\w-]+)", resource)


def test_the_platform_writes_nothing_but_cursors() -> None:
    writes = [
        resource
        for action, resource in statements("aws-platform.json")
        if action in ("s3:PutObject", "s3:DeleteObject")
    ]
    assert writes == ["arn:aws:s3:::my-data-lake-landing/_cursors/*"] * 2


def test_the_document_names_every_call_of_airbyte_that_the_client_makes_and_no_other() -> None:
    code = "".join(each.read_text() for each in (PROJECT / "blocks" / "airbyte").glob("*.py"))
    made = {("GET", path) for path in re.findall(r"_get\(f?\"(/[^\"]+)", code)}
    made |= set(re.findall(r"_(?:send|repeated)\(\s*\"(\w+)\", f?\"(?:\{base\})?(/[^\"]+)", code))
    made |= {("POST", path) for path in re.findall(r"_ask_mock\(\"(/[^\"]+)", code)}
    made |= {("POST", path) for path in re.findall(r"_http\.post\(f\"\{self\.server_url\}(/[^\"]+)", code)}
    named = set(re.findall(r"^\| `([A-Z]+) (/[^`]+)`", DOCUMENT, re.MULTILINE))
    assert len(made) > 5
    assert named == {(method, re.sub(r"\{\w+\}", "{id}", path)) for method, path in made}


def granted() -> set[tuple[str, str, str, str]]:
    """Each grant of the SQL file: privilege, kind of object, object, role; parsed as Snowflake's dialect."""
    found = set()
    for statement in sqlglot.parse((GRANTS / "snowflake-grants.sql").read_text(), dialect="snowflake"):
        text = statement.sql(dialect="snowflake") if isinstance(statement, expressions.Expression) else ""
        match = re.fullmatch(
            r"grant (.+) on (?:(all|future) tables in )?(\w+) ([\w.]+) to role (\w+)", text.lower().replace('"', "")
        )
        for privilege in match[1].split(", ") if match else []:
            found.add((privilege, f"{match[2] or ''} {match[3]}".strip(), match[4], match[5]))
    return found


def test_the_platform_may_write_each_schema_that_dbt_builds_or_readers_have_and_no_other() -> None:
    project = yaml.safe_load((PROJECT / "dbt_project" / "dbt_project.yml").read_text())
    custom = set(re.findall(r"'\+schema': '(\w+)'", str(project)))
    assert set(DBT_SCHEMAS) == {"", *(f"_{name.upper()}" for name in custom)}
    built = "data_platform.analytics"
    views = {built, *(f"{built}_{name}" for name in custom)}
    for privilege, schemas in (("create table", views | {published_schema(built).lower()}), ("create view", views)):
        where = {(what, name) for each, what, name, role in granted() if (each, role) == (privilege, TRANSFORMER)}
        assert where == {("schema", name) for name in schemas}


def test_each_role_of_snowflake_has_its_own_grants_and_none_has_all() -> None:
    by_role: dict[str, set[str]] = {}
    for privilege, _, _, role in granted():
        by_role.setdefault(role, set()).add(privilege)
    assert by_role == {
        "data_platform_loader": {"usage", "create schema", "create table", "create stage", "create file format"},
        TRANSFORMER: {"usage", "select", "create table", "create view"},
        "data_platform_reader": {"usage", "select"},
    }


def test_no_table_of_raw_is_written_by_the_platform() -> None:
    raw = {privilege for privilege, _, name, role in granted() if (name, role) == ("data_platform.raw", TRANSFORMER)}
    assert raw == {"usage", "select"}
