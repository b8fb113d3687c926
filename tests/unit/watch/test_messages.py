"""What a message looks like for each receiver, and what is left out of it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from blocks.errors import ConfigurationError
from blocks.incidents import Incident, Message
from blocks.webhook import MOST, Format, body, format_of
from services.watch.machine import declared_ends, end_of
from services.watch.reasons import reason
from services.watch.results import fall

FLOW = "Flow run encountered an exception: "
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
INCIDENT = Incident(
    key="worker_gone/local",
    kind="worker_gone",
    what="No worker asks for work <!channel>.",
    since=NOW,
    impact="New rows wait.",
    where="http://127.0.0.1:4200/",
    command="make up",
)
BEGUN = Message.of(INCIDENT, "local")
VALUE = "alice@example.com"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://hooks.slack.com/services/T/B/x", "slack"),
        ("https://discord.com/api/webhooks/1/x", "discord"),
        ("https://prod-1.westeurope.logic.azure.com/workflows/x", "teams"),
        ("https://acme.webhook.office.com/webhookb2/x", "teams"),
        ("https://hooks.slack.com.example.com/x", "json"),
        ("http://alerts:8090/", "json"),
    ],
)
def test_the_receivers_host_decides_the_format_unless_one_is_chosen(url: str, expected: str) -> None:
    assert format_of(SecretStr(url)) == expected
    assert format_of(SecretStr(url), "discord") == "discord"


def test_each_receiver_gets_the_body_that_it_takes() -> None:
    assert body(BEGUN, "slack")["text"].startswith("[local] No worker asks for work &lt;!channel&gt;.")
    assert body(BEGUN, "discord")["allowed_mentions"] == {"parse": []}
    card = body(BEGUN, "teams")["attachments"][0]
    assert card["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert [block["type"] for block in card["content"]["body"]] == ["TextBlock"] * 5
    plain = body(BEGUN, "json")
    assert {"id", "state", "key", "kind", "what", "since", "impact", "where", "command", "text"} <= plain.keys()
    json.dumps(plain)


@pytest.mark.parametrize("filling", ["x", "&", "\U0001f6a8", "日"])
@pytest.mark.parametrize("kind", ["slack", "discord", "teams"])
def test_a_long_message_is_cut_to_what_its_receiver_takes_and_keeps_where_to_look(kind: Format, filling: str) -> None:
    long = INCIDENT.model_copy(update={"what": "No worker: " + filling * 30_000})
    for message in (Message.of(long, "local"), Message.of(long, "local", until=NOW)):
        made = body(message, kind)
        sent = json.dumps(made, ensure_ascii=False).encode()
        assert len(sent) < 28_000  # what Teams takes
        text = made.get("text") or made.get("content") or str(made)
        assert "No worker: " in text
        assert "2026-11-28 12:00 UTC" in text
        assert message.state == "over" or "make up" in text
        if kind != "teams":
            assert MOST[kind] - 10 < len(text.encode("utf-16-le")) // 2 <= MOST[kind] or filling == "&"


def test_a_message_with_every_part_too_long_still_fits() -> None:
    long = INCIDENT.model_copy(update=dict.fromkeys(("what", "where", "command", "impact"), "x" * 5000))
    assert len(body(Message.of(long, "local"), "discord")["content"]) <= MOST["discord"]


def test_a_message_has_an_id_of_its_own_for_each_incidents_beginning_and_end() -> None:
    again = Message.of(INCIDENT.model_copy(update={"since": NOW + timedelta(hours=1)}), "local")
    over = Message.of(INCIDENT, "local", until=NOW)
    assert len({BEGUN.id, over.id, again.id}) == 3
    assert Message.of(INCIDENT, "local").id == BEGUN.id
    assert "OVER" in over.text


def test_the_end_of_an_incident_has_its_date() -> None:
    over = Message.of(INCIDENT, "local", until=INCIDENT.since + timedelta(days=3))
    assert f"began at {INCIDENT.since:%Y-%m-%d}" in over.text
    assert f"ended at {INCIDENT.since + timedelta(days=3):%Y-%m-%d}" in over.text


@pytest.mark.parametrize(
    "text",
    [
        f"SyncFailed: Airbyte job 12 of 'NYC' failed: inbound/flights/a.csv, line 3: '{VALUE}' is no integer.",
        f'DbtFailed: `dbt build` could not run: Conversion Error: Could not convert string "{VALUE}" to INT32',
        f"DbtFailed: `dbt build` failed on stg_a (error): Numeric value '{VALUE}' is unknown; b (fail): Got 2 results.",
        f"ValueError: {VALUE}",
        f'PublishFailed: The table x cannot be written: "{VALUE}"',
        f"KeyError: {VALUE}\nTraceback …",
        f"SyncFailed: job 1 failed: inbound/a.csv, line 3: 'O'Brien/{VALUE}.csv' is no integer.",
        f'SyncFailed: job 1 failed: inbound/a.csv, line 3: "x/{VALUE}.json" is no date.',
        f"""SyncFailed: job 1 of 'NYC' failed: inbound/a.csv: its header is ['12" x 6\' {VALUE}/pin-9.csv', 'b1'].""",
        f"""SyncFailed: job 1 of 'NYC' failed: inbound/a.csv has no column: "12"" x 6' {VALUE}/pin-9.csv",b1.""",
    ],
)
def test_no_value_of_a_row_is_in_a_reason(text: str) -> None:
    told = reason("Failed", FLOW + text)
    assert VALUE not in told.text
    assert told.text


def test_a_reason_names_files_lines_nodes_and_the_errors_own_text_where_it_is_safe() -> None:
    found = reason("Failed", FLOW + "SyncFailed: job 1 failed: inbound/a/b.csv, line 3: 'x'.")
    assert "inbound/a/b.csv, line 3" in found.text
    found = reason("Failed", FLOW + "DbtFailed: `dbt build` failed on a (fail): x; b (error): y.")
    assert found.text == "dbt failed on a (fail), b (error)."
    assert found.is_refusal
    found = reason("Failed", FLOW + "SyncFailed: job 1 of 'NYC' failed: the file isn't whole: inbound/a/b.csv.gz.")
    assert "inbound/a/b.csv.gz" in found.text
    text = "CountsDiffer: The row counts of this run do not add up. flights: 2 of 3 rows are in raw."
    assert reason("Failed", FLOW + text).text == text.removeprefix("CountsDiffer: ")
    text = "Airbyte does not answer at http://airbyte:8006. Start it."
    assert reason("Failed", f"Flow run encountered an exception: AirbyteUnavailable: {text}").text == text


def test_a_reason_is_the_same_whatever_the_jobs_number_and_another_for_another_file() -> None:
    def of(job: int, file: str) -> str:
        message = f"{FLOW}SyncFailed: Airbyte job {job} of 'NYC' failed: {file}, line 3: bad."
        return reason("Failed", message).id

    assert of(1, "inbound/flights/a.csv") == of(22, "inbound/flights/a.csv")
    assert of(1, "inbound/flights/2013-01-01.csv") != of(1, "inbound/flights/2013-01-02.csv")


def test_a_fall_is_seen_against_the_same_hours_of_other_days_alone() -> None:
    daily = [(NOW - timedelta(days=day, minutes=day), 1000) for day in range(1, 7)]
    assert fall([*daily, (NOW, 400)], 0.5) == (400, 1000)
    assert fall([*daily, (NOW, 600)], 0.5) is None
    assert fall([*daily, (NOW, 0)], 0.5) is None
    assert fall([(NOW - timedelta(days=1), 27_000), (NOW, 5)], 0.5) is None
    assert fall([(NOW - timedelta(hours=hour), 10 + hour) for hour in range(10)], 0.5) is None


def test_the_end_of_a_secret_is_read_from_a_token_a_certificate_or_the_profile() -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    signed = made.not_valid_before(NOW).not_valid_after(NOW + timedelta(days=3)).sign(key, hashes.SHA256())
    assert end_of(signed.public_bytes(serialization.Encoding.PEM).decode()) == NOW + timedelta(days=3)
    assert end_of("no.token.here") is None
    assert end_of("") is None
    assert declared_ends("A:2027-01-31,B:2027-06-30").keys() == {"A", "B"}
    with pytest.raises(ConfigurationError, match="NAME:2027-01-31"):
        declared_ends("A=soon")
