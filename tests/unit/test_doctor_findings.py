"""What the doctor reports about network errors, a store, a clock, a package and a disk."""

from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from blocks.errors import PlatformError
from commands.doctor.__main__ import with_network_advice
from commands.doctor.finding import Finding
from commands.doctor.landing import conditional_write
from commands.doctor.machine import skew, versions
from commands.doctor.warehouse import room


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ("SSL validation failed [SSL: CERTIFICATE_VERIFY_FAILED] unable to get local issuer certificate", "CA_FILE"),
        ("SSLError([('SSL routines', '', 'certificate verify failed')])", "CA_FILE"),
        ("certificate verify failed: certificate has expired", "clock"),
        ("Hostname mismatch, certificate is not valid for 'a.example.com'", "another host name"),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", "Write http://"),
        ("407 Proxy Authentication Required", "~/.docker/config.json"),
        ("250001 (08001): Failed to connect to DB: 390144 (08001): JWT token is invalid. [0ce9eb56]", "RSA_PUBLIC_KEY"),
        ("250001 (08001): Incorrect username or password was specified.", "SNOWFLAKE_PASSWORD"),
        ("Role 'R' specified in the connect string does not exist or not authorized.", "Grant SNOWFLAKE_ROLE"),
        ("390318 (08001): OAuth access token expired. [1172562260498]", "SNOWFLAKE_OAUTH_TOKEN"),
        ("Multi-factor authentication is required for this account.", "SNOWFLAKE_PRIVATE_KEY"),
        ("390422 (08001): Incoming request with IP 192.0.2.1 is not allowed to access Snowflake.", "network policy"),
        ("290404 (08001): None: 404 Not Found: post acme.snowflakecomputing.com:443/session", "ORGANIZATION-ACCOUNT"),
        ("000606 (57P03): No active warehouse selected in the current session.", "SNOWFLAKE_WAREHOUSE"),
        ("ConnectError: Connection refused", "through the proxy http://proxy.example.com:3128"),
        ("no answer within 45 s", "through the proxy http://proxy.example.com:3128"),
    ],
)
def test_certificates_and_proxies_on_the_way_and_refused_log_ins_are_told_with_what_helps(
    said: str, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hidden@proxy.example.com:3128")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    finding = with_network_advice(Finding("s3 listing", "fail", said, "Check it."), {"s3": "https://s3.example.com"})
    assert fix in finding.fix
    assert "hidden" not in finding.fix
    assert fix in str(PlatformError(said)) or "proxy.example" in fix
    assert (
        "proxy"
        not in with_network_advice(Finding("s3 listing", "fail", "x refused"), {"s3": "https://127.0.0.1:9"}).fix
    )


class Store:
    """An S3 that answers a conditional write with an error, or with none."""

    def __init__(self, code: str = "") -> None:
        self.code, self.keys = code, set[str]()

    def put_object(self, Bucket: str, Key: str, **_: object) -> None:
        if self.code:
            raise ClientError({"Error": {"Code": self.code}}, "PutObject")
        self.keys.add(Key)

    def delete_object(self, Bucket: str, Key: str) -> None:
        self.keys.discard(Key)


@pytest.mark.parametrize(
    ("code", "state", "fix"),
    [
        ("PreconditionFailed", "ok", ""),
        ("", "fail", "If-Match"),
        ("NotImplemented", "fail", "If-Match"),
        ("AccessDenied", "fail", "s3:PutObject"),
    ],
)
def test_a_store_without_conditional_writes_is_told_and_keeps_nothing(code: str, state: str, fix: str) -> None:
    store = Store(code)
    finding = conditional_write(store, "bucket")
    assert finding.state == state
    assert fix in finding.fix
    assert store.keys == set()


@pytest.mark.parametrize(("seconds", "state"), [(0.4, "ok"), (-30, "warn"), (600, "fail"), (-600, "fail")])
def test_a_clock_that_is_minutes_off_fails_whichever_way(seconds: float, state: str) -> None:
    assert skew("S3", seconds).state == state


def test_a_package_that_the_target_needs_and_is_not_installed_is_named() -> None:
    there, missing = versions(["prefect", "dbt-of-tomorrow"])
    assert there.state == "ok"
    assert (missing.state, missing.said) == ("fail", "dbt-of-tomorrow is not installed")


@pytest.mark.parametrize(("free", "state"), [(50, "ok"), (2, "warn"), (0.2, "fail")])
def test_a_disk_that_is_nearly_full_is_told_before_it_is_full(free: float, state: str) -> None:
    assert room(int(free * (1 << 30)), Path("/data")).state == state
