"""If S3 refuses a source, the error says how to correct the configuration."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from services.airbyte.load.messages import s3_failure

TASK = cast(Any, SimpleNamespace(bucket="acme", s3=SimpleNamespace(endpoint_url="")))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("NoSuchBucket", "bucket's name"),
        ("AccessDenied", "list the bucket and read it"),
        ("SignatureDoesNotMatch", "access key"),
        ("ExpiredToken", "temporary access key and its token"),
        ("PermanentRedirect", "region"),
    ],
)
def test_a_refusal_of_s3_that_another_try_does_not_change_says_what_mends_it(code: str, said: str) -> None:
    kind, text = s3_failure(ClientError({"Error": {"Code": code}}, "GetObject"), TASK)
    assert kind == "config_error"
    assert said in text


def test_a_stumble_of_s3_is_worth_another_try() -> None:
    assert s3_failure(ClientError({"Error": {"Code": "SlowDown"}}, "GetObject"), TASK)[0] == "transient_error"
