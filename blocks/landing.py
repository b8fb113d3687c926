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
"""What boto3 raises where each answer is a redirect: it asks for the bucket's region, and is redirected again."""
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
"""What boto3 raises, or what reading its answer does, when S3 does not answer or what answers is not S3."""
LOOKS_AT_ONCE = 10


CURSORS = "_cursors/"
"""Where in the bucket sensors keep their cursors."""
REMOVED = "_removed/"
"""Where in the bucket files are that a person has taken out, each below its key."""


class LandingUnavailable(PlatformError):
    """S3 does not answer, or refuses."""


class LandingReadOnly(PlatformError):
    """These credentials may not write or delete an object of the bucket."""


@dataclass(frozen=True)
class AwsAccess:
    """Where AWS, or what stands in for it, is asked and as whom; what is empty comes by AWS's usual chain."""

    endpoint_url: str = ""
    region: str = ""
    access_key_id: str = ""
    secret_access_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)

    def session(self) -> boto3.Session:
        """A session of its own."""
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
    """One version of one object: `key` within the bucket, `etag` without quotes, `size` in bytes.

    S3 dates an object by the start of its upload, to the second.
    """

    key: str = Field(description="the object's key, e.g. inbound/orders/orders-2024-01-31.csv.gz")
    etag: str = Field("", description="the version's ETag, without quotes")
    size: int = Field(0, description="bytes")
    last_modified: datetime | None = Field(None, description="as S3 dates the object")

    @model_validator(mode="before")
    @classmethod
    def _unquoted(cls, given: Any) -> Any:
        if isinstance(given, dict) and "quoted_key" in given:
            rest = {name: value for name, value in given.items() if name != "quoted_key"}
            return {**rest, "key": unquote(str(given["quoted_key"]))}
        return given

    @model_serializer(mode="wrap")
    def _quoted(self, serialized: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """S3 takes U+0000 in a key; PostgreSQL, and so Prefect's server, takes it in no text."""
        fields: dict[str, Any] = serialized(self)
        return {**fields, "key": quote(self.key), "quoted_key": quote(self.key)} if "\0" in self.key else fields

    @property
    def date(self) -> datetime:
        """As S3 dates the object, to the second: some servers tell a fraction of it in a listing, and not by HEAD."""
        return (self.last_modified or BEGINNING).replace(microsecond=0)


def s3_client(bucket: str, access: AwsAccess, attempts: int = 6, seconds: float = 60) -> "S3Client":
    """An S3 client for the landing bucket.

    Args:
        bucket: for messages.
        access: who may read it.
        attempts: of a call that is not answered.
        seconds: that each attempt waits for an answer.

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
    """What answered a call with success is not AWS, nor what stands in for it."""

    fmt = "{operation} was answered without {missing}: a proxy's page, perhaps"


REQUIRED = {
    "GetObject": "ETag",
    "HeadObject": "ETag",
    "PutObject": "ETag",
    "ListObjectsV2": "IsTruncated",
    "GetQueueAttributes": "Attributes",
    "GetQueueUrl": "QueueUrl",
    "SendMessage": "MessageId",
}
"""What each answer has; botocore takes any page with status 200 for an empty answer."""


def check_answers(client: Client) -> Client:
    """Have a client raise NotAws for an answer that is somebody else's; the client itself."""

    def check(model: Any, parsed: Mapping[str, Any], http_response: Any, **_: Any) -> None:
        # Where no message has come, the answer of SQS is an empty object.
        if model.service_model.service_name == "sqs" and not http_response.content.lstrip().startswith(b"{"):
            raise NotAws(operation=model.name, missing="JSON")
        missing = REQUIRED.get(model.name)
        if missing and missing not in parsed and parsed["ResponseMetadata"]["HTTPStatusCode"] < 300:
            raise NotAws(operation=model.name, missing=missing)

    client.meta.events.register("after-call", check)
    return client


def watched(key: str, prefix: str, pattern: str) -> bool:
    """Whether a key is a file below a prefix and the rest of it matches a glob. A sensor's cursor is not a file."""
    if not key or key.endswith("/") or key.startswith((CURSORS, REMOVED)):
        return False
    return key.startswith(prefix) and fnmatchcase(key.removeprefix(prefix), pattern)


def not_data(file: LandedFile) -> str:
    """Why a file that brought no row need not have: it is a marker, hidden or empty; without such a reason, nothing."""
    if file.etag and not file.size:
        return "it is empty"
    return "its name begins like those of markers and hidden files" if _name(file.key).startswith(("_", ".")) else ""


def _name(key: str) -> str:
    return key.rpartition("/")[2]


def listing(
    s3: "S3Client", bucket: str, prefix: str, pattern: str = "*", since: datetime = BEGINNING, after: str = ""
) -> Iterator[LandedFile]:
    """The files below a prefix that match a pattern, are dated at `since` or later, and whose keys come after `after`.

    They come in the order of keys; one S3 page is in memory at a time.

    Raises:
        LandingUnavailable: S3 does not answer, or the bucket is not there or not ours to list.
    """
    for item in _items(s3, bucket, prefix, after):
        if item["LastModified"] >= since and watched(item["Key"], prefix, pattern):
            yield _file(item["Key"], item["Size"], item)


def objects(s3: "S3Client", bucket: str, prefix: str) -> Iterator[LandedFile]:
    """All objects below a prefix, in the order of keys.

    Raises:
        LandingUnavailable: as `listing` does.
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
    """Each key with its file as it is now, None where it is not there, or why S3 does not show it.

    Some requests are made at a time; that S3 refuses one says nothing of the others. That a file is not there is
    confirmed by a listing: a HEAD answers 404 for a bucket, or a proxy, too.
    """
    with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
        return list(pool.map(lambda key: (key, _look_up(s3, bucket, key)), keys))


Place = Literal["moved", "aside", "nowhere"]


def set_aside(s3: "S3Client", bucket: str, key: str) -> Place:
    """Move an object below REMOVED, where nothing reads it; return whether this moved it, or where it was.

    Raises:
        LandingReadOnly: these credentials may not move it.
        LandingUnavailable: S3 does not answer.
    """
    aside = f"{REMOVED}{key}"
    try:
        there = {each.key for name in (key, aside) for each in objects(s3, bucket, name)}
        if key in there:
            s3.copy({"Bucket": bucket, "Key": key}, bucket, aside)
            s3.delete_object(Bucket=bucket, Key=key)
    except NOT_S3 as error:
        if isinstance(error, ClientError) and error.response["Error"]["Code"] in ("403", "AccessDenied"):
            raise LandingReadOnly(f"s3://{bucket}/{key} may not be moved: {error}.") from error
        raise unavailable(bucket, error) from error
    return "moved" if key in there else "aside" if aside in there else "nowhere"


def served_at(answer: Mapping[str, Any]) -> datetime:
    """When S3 answered, by its own clock: the one that dates objects."""
    return http_date(answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date"))


def http_date(header: str | None) -> datetime:
    """A Date header's time; this machine's if a server tells none that can be read."""
    try:
        date = parsedate_to_datetime(header or "")
    except (ValueError, TypeError):
        return datetime.now(UTC)
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def unavailable(bucket: str, error: Exception) -> LandingUnavailable:
    """S3's error in words: which bucket, and what to check."""
    return LandingUnavailable(f"The landing bucket s3://{bucket} cannot be used: {said(error)}. {remedy(error)}")


def said(error: Exception) -> str:
    """Return what S3's error says."""
    return "each request is answered by a redirect" if is_redirected(error) else str(error)


def is_redirected(error: Exception) -> bool:
    """Whether each answer is a redirect; what of boto3 or of its HTTP client meets the limit first is chance."""
    return isinstance(error, REDIRECTED) or "maximum recursion depth" in str(error)


REMEDIES = {
    **dict.fromkeys(
        ("SlowDown", "ServiceUnavailable", "InternalError", "500", "502", "503", "504"),
        "S3 is not available for the moment. Ask again; if it stays so, check S3_ENDPOINT_URL and any proxy.",
    ),
    **dict.fromkeys(
        ("ExpiredToken", "InvalidToken", "TokenRefreshRequired"),
        "The temporary key has expired, or the token is another's: replace AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY "
        "and AWS_SESSION_TOKEN together, then run `make up`.",
    ),
    **dict.fromkeys(
        ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"),
        "The bucket is in another region: set AWS_DEFAULT_REGION to the bucket's, and S3_ENDPOINT_URL to nothing or to "
        "that region's endpoint.",
    ),
    "NoSuchBucket": "Correct S3_BUCKET, or make the bucket.",
    "AccessDenied": "Give the user or role the rights of docs/production/aws-platform.json: s3:ListBucket on the "
    "bucket, s3:GetObject below the prefix, and both s3:GetObject and s3:PutObject below _cursors/.",
    "InvalidAccessKeyId": "Correct AWS_ACCESS_KEY_ID.",
    "SignatureDoesNotMatch": "Correct AWS_SECRET_ACCESS_KEY.",
    "RequestTimeTooSkewed": "Let this machine's clock be set by NTP.",
}
"""What helps, by the code of S3's answer."""


def remedy(error: Exception) -> str:
    """Return what helps against S3's error."""
    if is_redirected(error):
        return (
            "Write S3_ENDPOINT_URL as the address that it redirects to, often https:// for http://, or as the endpoint "
            "of the bucket's region."
        )
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
    return REMEDIES.get(
        code,
        "Check S3_ENDPOINT_URL (empty means AWS), S3_BUCKET, AWS_DEFAULT_REGION and the AWS credentials; `make dev` "
        "starts an S3 of its own.",
    )


def _parse_date(text: str) -> datetime:
    """What boto3 does itself, without guessing at the form first: of a listing's time that is more than half."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return parse_timestamp(text)


def _look_up(s3: "S3Client", bucket: str, key: str) -> LandedFile | LandingUnavailable | None:
    try:
        answer = s3.head_object(Bucket=bucket, Key=key)
        return _file(key, answer["ContentLength"], answer)
    except NOT_S3 as error:
        if not isinstance(error, ClientError) or error.response["Error"]["Code"] not in ("404", "NoSuchKey"):
            return unavailable(bucket, error)
    try:
        return next((file for file in listing(s3, bucket, key) if file.key == key), None)
    except LandingUnavailable as error:
        return error


def _file(key: str, size: int, answer: Mapping[str, Any]) -> LandedFile:
    return LandedFile(key=key, etag=answer["ETag"].strip('"'), size=size, last_modified=answer["LastModified"])
