"""The landing bucket: where files arrive in S3."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import quote, unquote

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from botocore.utils import parse_timestamp
from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from blocks.errors import PlatformError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

Client = TypeVar("Client", bound=Any)

BEGINNING = datetime.min.replace(tzinfo=UTC)
REDIRECTED = RecursionError
"""What boto3 raises if every answer is a redirect: it asks for the bucket's region, and is redirected again."""
NOT_S3 = (
    BotoCoreError,
    ClientError,
    ResponseParserError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    REDIRECTED,
)
"""What boto3, or reading its answer, raises if S3 does not answer or something other than S3 answers."""
CONCURRENT_REQUESTS = 10
"""Number of concurrent requests for single objects."""


CURSORS = "_cursors/"
"""Prefix of the sensors' cursors in the bucket."""
REMOVED = "_removed/"
"""Prefix of the files that a person has removed; the rest of the key is the file's own key."""


class LandingUnavailable(PlatformError):
    """S3 does not answer, or denies the request."""


class LandingReadOnly(PlatformError):
    """The credentials do not permit writing or deleting an object in the bucket."""


@dataclass(frozen=True)
class AwsAccess:
    """The endpoint and credentials for AWS or a stand-in. Empty values follow AWS's default chain."""

    endpoint_url: str = ""
    region: str = ""
    access_key_id: str = ""
    secret_access_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)

    def session(self) -> boto3.Session:
        """Create a session."""
        session = botocore.session.get_session()
        session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_parse_date)
        return boto3.Session(
            botocore_session=session,
            region_name=self.region or None,
            aws_access_key_id=self.access_key_id or None,
            aws_secret_access_key=self.secret_access_key or None,
            aws_session_token=self.session_token or None,
        )


class LandedFile(BaseModel):
    """One version of one object. S3 dates an object by the start of its upload, to the second."""

    key: str = Field(description="the object's key, e.g. inbound/orders/orders-2024-01-31.csv.gz")
    etag: str = Field("", description="the version's ETag, without quotes")
    size: int = Field(0, description="size in bytes")
    last_modified: datetime | None = Field(None, description="the object's date in S3")

    @model_validator(mode="before")
    @classmethod
    def _unquoted(cls, given: Any) -> Any:
        if isinstance(given, dict) and "quoted_key" in given:
            rest = {name: value for name, value in given.items() if name != "quoted_key"}
            return {**rest, "key": unquote(str(given["quoted_key"]))}
        return given

    @model_serializer(mode="wrap")
    def _quoted(self, serialized: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Quote a key with U+0000: S3 accepts it in a key, but PostgreSQL, and so Prefect's server, in no text."""
        fields: dict[str, Any] = serialized(self)
        return {**fields, "key": quote(self.key), "quoted_key": quote(self.key)} if "\0" in self.key else fields

    @property
    def date(self) -> datetime:
        """The object's date in S3, to the second: some servers give fractions in listings, but not in HEAD answers."""
        return (self.last_modified or BEGINNING).replace(microsecond=0)


def s3_client(bucket: str, access: AwsAccess, attempts: int = 6, seconds: float = 60) -> "S3Client":
    """Create an S3 client for the landing bucket.

    Args:
        bucket: name of the bucket, for messages.
        access: the endpoint and credentials.
        attempts: number of attempts for a call without an answer.
        seconds: timeout of each attempt.

    Raises:
        LandingUnavailable: the endpoint is not a URL, or AWS's own configuration cannot be read.
    """
    config = Config(
        retries={"total_max_attempts": attempts, "mode": "standard"}, connect_timeout=5, read_timeout=seconds
    )
    try:
        client = access.session().client("s3", endpoint_url=access.endpoint_url or None, config=config)
    except (BotoCoreError, ValueError) as error:
        raise unavailable(bucket, error) from error
    return check_answers(client)


class NotAws(BotoCoreError):
    """A call succeeded, but neither AWS nor a stand-in for it gave the answer."""

    fmt = "the answer to {operation} has no {missing}, so it may be a proxy's page"


REQUIRED = {
    "GetObject": "ETag",
    "HeadObject": "ETag",
    "PutObject": "ETag",
    "ListObjectsV2": "IsTruncated",
    "GetQueueAttributes": "Attributes",
    "GetQueueUrl": "QueueUrl",
    "SendMessage": "MessageId",
}
"""A field that each answer has. botocore reads any page with status 200 as an empty answer."""


def check_answers(client: Client) -> Client:
    """Make a client raise NotAws if an answer is not from AWS or a stand-in, and return it."""

    def check(model: Any, parsed: Mapping[str, Any], http_response: Any, **_: Any) -> None:
        # If there are no messages, SQS answers with an empty object.
        if model.service_model.service_name == "sqs" and not http_response.content.lstrip().startswith(b"{"):
            raise NotAws(operation=model.name, missing="JSON")
        missing = REQUIRED.get(model.name)
        if missing and missing not in parsed and parsed["ResponseMetadata"]["HTTPStatusCode"] < 300:
            raise NotAws(operation=model.name, missing=missing)

    client.meta.events.register("after-call", check)
    return client


def is_watched(key: str, prefix: str, pattern: str) -> bool:
    """Return whether a key is below a prefix and the rest of it matches a glob. A sensor's own objects do not match."""
    if not key or key.endswith("/") or key.startswith((CURSORS, REMOVED)):
        return False
    return key.startswith(prefix) and fnmatchcase(key.removeprefix(prefix), pattern)


def why_without_rows(file: LandedFile) -> str:
    """Return why a file may bring no rows: it is empty, a marker or hidden. Return "" for any other file."""
    if file.etag and not file.size:
        return "it is empty"
    return "its name begins like a marker's or hidden file's" if _name(file.key).startswith(("_", ".")) else ""


def _name(key: str) -> str:
    return key.rpartition("/")[2]


def listing(
    s3: "S3Client", bucket: str, prefix: str, pattern: str = "*", since: datetime = BEGINNING, after: str = ""
) -> Iterator[LandedFile]:
    """Yield the files below a prefix that match a pattern, are dated at `since` or later, and have keys after `after`.

    The files come in key order. One page of S3's listing is in memory at a time.

    Raises:
        LandingUnavailable: S3 does not answer, the bucket does not exist, or listing it is not permitted.
    """
    for item in _items(s3, bucket, prefix, after):
        if item["LastModified"] >= since and is_watched(item["Key"], prefix, pattern):
            yield _file(item["Key"], item["Size"], item)


def objects(s3: "S3Client", bucket: str, prefix: str) -> Iterator[LandedFile]:
    """Yield all objects below a prefix, in key order.

    Raises:
        LandingUnavailable: see `listing`.
    """
    for item in _items(s3, bucket, prefix):
        yield _file(item["Key"], item["Size"], item)


def _items(s3: "S3Client", bucket: str, prefix: str, after: str = "") -> Iterator["ObjectTypeDef"]:
    try:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, StartAfter=after):
            yield from page.get("Contents", [])
    except NOT_S3 as error:
        raise unavailable(bucket, error) from error


def look_up(
    s3: "S3Client", bucket: str, keys: Iterable[str]
) -> list[tuple[str, LandedFile | LandingUnavailable | None]]:
    """Return each key with its current file, None if there is no such file, or the error.

    The requests run concurrently, and an error for one key does not affect the others. A listing confirms that a file
    is missing, since a HEAD request also gets 404 for a missing bucket or from a proxy.
    """
    with ThreadPoolExecutor(CONCURRENT_REQUESTS) as pool:
        return list(pool.map(lambda key: (key, _look_up(s3, bucket, key)), keys))


Place = Literal["moved", "aside", "nowhere"]


def set_aside(s3: "S3Client", bucket: str, key: str) -> Place:
    """Move an object below REMOVED, where nothing reads it. Return "aside" if it was moved there before.

    Raises:
        LandingReadOnly: the credentials do not permit it.
        LandingUnavailable: S3 does not answer.
    """
    aside = f"{REMOVED}{key}"
    try:
        there = {each.key for name in (key, aside) for each in objects(s3, bucket, name)}
        if key in there:
            s3.copy({"Bucket": bucket, "Key": key}, bucket, aside)
            s3.delete_object(Bucket=bucket, Key=key)
    except NOT_S3 as error:
        if code_of(error) in ("403", "AccessDenied"):
            raise LandingReadOnly(f"s3://{bucket}/{key} was not moved, because S3 denies it: {error}.") from error
        raise unavailable(bucket, error) from error
    return "moved" if key in there else "aside" if aside in there else "nowhere"


def served_at(answer: Mapping[str, Any]) -> datetime:
    """Return when S3 answered, by S3's clock, which also dates objects."""
    return http_date(answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date"))


def http_date(header: str | None) -> datetime:
    """Parse a Date header. Return this machine's time if the header is missing or malformed."""
    try:
        date = parsedate_to_datetime(header or "")
    except (ValueError, TypeError):
        return datetime.now(UTC)
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def unavailable(bucket: str, error: Exception) -> LandingUnavailable:
    """Create the error for S3's error, with the bucket and what to check."""
    return LandingUnavailable(f"The landing bucket s3://{bucket} cannot be used: {error_text(error)}. {remedy(error)}")


def code_of(error: Exception) -> str:
    """Return S3's code of an error, e.g. AccessDenied; "" if S3 did not answer."""
    return error.response["Error"]["Code"] if isinstance(error, ClientError) else ""


def error_text(error: Exception) -> str:
    """Return the text of S3's error."""
    return "every request is redirected" if is_redirected(error) else str(error)


def is_redirected(error: Exception) -> bool:
    """Return whether every answer is a redirect. Either boto3 or its HTTP client reaches the recursion limit first."""
    return isinstance(error, REDIRECTED) or "maximum recursion depth" in str(error)


REMEDIES = {
    **dict.fromkeys(
        ("SlowDown", "ServiceUnavailable", "InternalError", "500", "502", "503", "504"),
        "S3 is not available at the moment. Try again. If the error persists, check S3_ENDPOINT_URL and any proxy.",
    ),
    **dict.fromkeys(
        ("ExpiredToken", "InvalidToken", "TokenRefreshRequired"),
        "The temporary key has expired, or the token belongs to another key. Replace AWS_ACCESS_KEY_ID, "
        "AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN together, then run `make up`.",
    ),
    **dict.fromkeys(
        ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"),
        "The bucket is in another region. Set AWS_DEFAULT_REGION to the bucket's region. Leave S3_ENDPOINT_URL empty, "
        "or set it to that region's endpoint.",
    ),
    "NoSuchBucket": "Correct S3_BUCKET, or create the bucket.",
    "AccessDenied": "Grant the user or role the permissions in docs/production/aws-platform.json: s3:ListBucket on the "
    "bucket, s3:GetObject below the prefix, and both s3:GetObject and s3:PutObject below _cursors/.",
    "InvalidAccessKeyId": "Correct AWS_ACCESS_KEY_ID.",
    "SignatureDoesNotMatch": "Correct AWS_SECRET_ACCESS_KEY.",
    "RequestTimeTooSkewed": "Synchronize this machine's clock with NTP.",
}
"""What to do, by the error code in S3's answer."""


def remedy(error: Exception) -> str:
    """Return what to do about S3's error."""
    if is_redirected(error):
        return (
            "Set S3_ENDPOINT_URL to the address in the redirect, often with https:// instead of http://, or to the "
            "endpoint of the bucket's region."
        )
    return REMEDIES.get(
        code_of(error),
        "Check S3_ENDPOINT_URL (empty means AWS), S3_BUCKET, AWS_DEFAULT_REGION and the AWS credentials. `make dev` "
        "starts a local S3.",
    )


def _parse_date(text: str) -> datetime:
    """Parse a date. boto3's own parser first guesses the format, which takes more than half of a listing's time."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return parse_timestamp(text)


def _look_up(s3: "S3Client", bucket: str, key: str) -> LandedFile | LandingUnavailable | None:
    try:
        answer = s3.head_object(Bucket=bucket, Key=key)
        return _file(key, answer["ContentLength"], answer)
    except NOT_S3 as error:
        if code_of(error) not in ("404", "NoSuchKey"):
            return unavailable(bucket, error)
    try:
        return next((file for file in listing(s3, bucket, key) if file.key == key), None)
    except LandingUnavailable as error:
        return error


def _file(key: str, size: int, answer: Mapping[str, Any]) -> LandedFile:
    return LandedFile(key=key, etag=answer["ETag"].strip('"'), size=size, last_modified=answer["LastModified"])
