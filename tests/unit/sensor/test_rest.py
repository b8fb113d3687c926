"""How long a sensor that stays rests between two listings."""

from types import SimpleNamespace

import pytest

from flows.sensors import s3_sensor

ARRIVALS = object()


@pytest.mark.parametrize(
    ("took", "arrivals", "until"),
    [(0.1, None, 5), (2.0, None, 10), (9.0, None, 19), (20.0, ARRIVALS, 20)],
    ids=["a short listing", "a long one", "a very long one", "a wait for events"],
)
def test_a_large_bucket_keeps_no_processor_busy(
    monkeypatch: pytest.MonkeyPatch, took: float, arrivals: object, until: float
) -> None:
    clock, rests = [0.0], list[float]()

    def poll() -> None:
        clock[0] += took

    def rest(until: float, _: object) -> None:
        rests.append(until)
        raise KeyboardInterrupt

    monkeypatch.setattr(s3_sensor, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(s3_sensor, "_rest", rest)
    sensor = SimpleNamespace(watch=SimpleNamespace(bucket="b", prefix="p/"), arrivals=arrivals, poll=poll)
    with pytest.raises(KeyboardInterrupt):
        s3_sensor.watch_forever(sensor, lambda: sensor, 5)  # type: ignore[arg-type, return-value]
    assert rests == [pytest.approx(until)]
