"""Scenarios with files that are broken, late, empty or duplicated."""

import gzip

from commands.scenarios import disturb
from commands.scenarios.catalog import scenario
from commands.scenarios.orders import Orders
from commands.scenarios.stage import Stage


def malformed(orders: Orders) -> bytes:
    """Return the file with a row that ends after two columns."""
    return gzip.compress(f"{orders.text}1,2026-02-01\n".encode())


def corrected(orders: Orders) -> Orders:
    """Return the same orders in another file, with other values."""
    return orders.changed(name=orders.name.replace(".csv", "-corrected.csv"), amount=2)


@scenario(
    fails="one file among good ones has a malformed row",
    does="fails the run with file and line, publishes the good file, and loads the corrected one",
    incident="https://github.com/airbytehq/airbyte/issues/29680",
    report="source-s3 skipped a file that it could not read, without an error",
    soak=disturb.spoil(malformed),
)
def file_malformed(stage: Stage) -> None:
    bad, good = stage.orders(), stage.orders()
    bad_key = stage.land(bad, malformed(bad))
    stage.land(good)
    stage.fails(bad_key, bad.name)
    stage.unpublished(bad)
    stage.step("correct the file")
    stage.land(bad)
    stage.await_published(bad, good)


@scenario(
    fails="an upload was cut off: a gzip file ends early",
    does="fails the run with the file's name and publishes none of its rows; the complete file is loaded",
    incident="https://github.com/pinterest/secor/issues/252",
    report="gzip files on S3 ended early, and each job that read one stopped",
    soak=disturb.spoil(lambda orders: orders.content[:-8]),
)
def file_cut_off(stage: Stage) -> None:
    orders = stage.orders(50)
    key = stage.land(orders, orders.content[:-8])
    stage.fails(key, orders.name)
    stage.unpublished(orders)
    stage.step("repeat the upload")
    stage.land(orders)
    stage.await_published(orders)


@scenario(
    fails="a file has a header but no rows",
    does="parks the batch with the file's name, and publishes the other files",
    incident="https://github.com/airbytehq/airbyte/issues/13171",
    report="one file without rows failed the sync of all others",
    alert="batch_parked",
)
def file_empty(stage: Stage) -> None:
    empty, good = stage.orders(0), stage.orders()
    stage.land(good)
    key = stage.land(empty)
    reason = stage.await_parked()
    stage.expect(empty.name in reason, f"a reason that names {empty.name}", reason)
    stage.await_published(good)
    stage.await_alert("batch_parked")
    stage.remove(key)
    stage.forget()


@scenario(
    fails="the same file is delivered twice",
    does="notices the second delivery and loads no row again",
    incident="https://github.com/HumanCellAtlas/data-store/issues/1410",
    report="each new object was announced three times, and processed three times",
    soak=disturb.replace(lambda orders: orders),
)
def file_delivered_twice(stage: Stage) -> None:
    orders = stage.orders()
    stage.land(orders)
    stage.await_published(orders)
    stage.settle()
    stage.land(orders)
    stage.settle()


@scenario(
    fails="a file is replaced while its run is active",
    does="publishes the newer content, each row once",
    incident="https://github.com/ClickHouse/ClickHouse/pull/107934",
    report="an object that was overwritten while it was read gave wrong rows without an error",
    soak=disturb.replace(lambda orders: orders.changed(amount=2)),
)
def file_replaced(stage: Stage) -> None:
    first = stage.orders(amount=1)
    key = stage.land(first)
    stage.run_for(key, "RUNNING")
    second = first.changed(amount=2)
    stage.land(second)
    stage.await_published(second)


@scenario(
    fails="yesterday's file arrives after today's",
    does="loads it when it arrives; no file is skipped because of its date",
    incident="https://github.com/airbytehq/airbyte/issues/5365",
    report="a file that appeared late was never loaded, because newer ones were",
)
def file_late(stage: Stage) -> None:
    today, yesterday = stage.orders(day=20), stage.orders(day=19)
    stage.land(today)
    stage.await_published(today)
    stage.land(yesterday)
    stage.await_published(yesterday)


@scenario(
    fails="two files have the same orders with different values",
    does="keeps both in raw, and publishes only the values of the newer file",
    incident="https://github.com/airbytehq/airbyte/issues/22112",
    report="records with one primary key appeared more than once in the final table",
    soak=disturb.replace(corrected),
)
def file_same_keys(stage: Stage) -> None:
    first = stage.orders(amount=1)
    stage.land(first)
    stage.await_published(first)
    second = corrected(first)
    stage.land(second)
    stage.await_published(second)


@scenario(
    fails="one new file has an additional column, and another lacks one",
    does="loads both: raw keeps the additional column, and the missing one is null",
    incident="https://github.com/airbytehq/airbyte/pull/14669",
    report="source-s3 failed on columns that the stream's schema did not have",
)
def file_other_columns(stage: Stage) -> None:
    more, fewer = stage.orders(), stage.orders(note="")
    wider = "\n".join(
        f"{line},{'channel' if not number else 'shop'}" for number, line in enumerate(more.text.splitlines())
    )
    narrower = "\n".join(",".join(cells[:3] + cells[4:]) for cells in (x.split(",") for x in fewer.text.splitlines()))
    plain = [each.changed(name=each.name.removesuffix(".gz")) for each in (more, fewer)]
    stage.land(plain[0], f"{wider}\n".encode())
    stage.land(plain[1], f"{narrower}\n".encode())
    stage.await_published(*plain)


@scenario(
    fails="many files arrive within one second",
    does="processes each of them once, although S3 gives them the same date",
    incident="https://github.com/logstash-plugins/logstash-input-s3/issues/57",
    report="of several files with the same date, only the first was read",
)
def files_in_one_second(stage: Stage) -> None:
    files = [stage.orders() for _ in range(10)]
    for each in files:
        stage.land(each)
    stage.await_published(*files)


@scenario(
    fails="a file has values that fail dbt's tests",
    does="fails the run with the test's name; readers keep their tables until the file is corrected",
    incident="https://github.com/dbt-labs/dbt-core/issues/1054",
    report="dbt tests tables after building them, so readers already had the bad rows",
    soak=disturb.spoil(lambda orders: orders.changed(region="nowhere").content),
)
def file_fails_tests(stage: Stage) -> None:
    wrong = stage.orders(region="nowhere")
    stage.fails(stage.land(wrong), "DbtFailed", "accepted_values_orders_region")
    stage.unpublished(wrong)
    stage.step("correct the file")
    right = wrong.changed(region="south")
    stage.land(right)
    stage.await_published(right)
