"""If S3 refuses the platform, the error says how to correct the profile."""

import pytest
from botocore.exceptions import ClientError

from blocks.landing import unavailable


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("ExpiredToken", ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")),
        ("PermanentRedirect", ("AWS_DEFAULT_REGION", "S3_ENDPOINT_URL")),
        ("AuthorizationHeaderMalformed", ("AWS_DEFAULT_REGION", "S3_ENDPOINT_URL")),
        ("AccessDenied", ("aws-platform.json",)),
        ("NoSuchBucket", ("S3_BUCKET",)),
    ],
)
def test_a_refusal_of_s3_names_the_values_that_mend_it(code: str, names: tuple[str, ...]) -> None:
    said = str(unavailable("landing", ClientError({"Error": {"Code": code}}, "ListObjectsV2")))
    assert all(name in said for name in ("s3://landing", code, *names))
