"""What a worker may believe of itself and of others, by its own clock (docs/explain/liveness.md)."""

from hammerwork_cli.features.worker.queries.registry import Heartbeat
from hammerwork_cli.runtime.worker.lease import Lease, Observer


def heartbeat(worker: str, number: int, lease: float | None = 10.0) -> Heartbeat:
    return Heartbeat(worker, worker, number, None, lease)


def lease_of_an_observer(seconds: float = 10.0, until: int = 100) -> Lease:
    """A lease that was renewed each second."""
    lease = Lease(seconds, now=0)
    for second in range(until + 1):
        lease.renew(second, second)
    return lease


def test_a_lease_is_held_until_its_last_heartbeat_that_was_answered_was_sent_a_lease_ago() -> None:
    lease = Lease(10, now=0)
    assert lease.is_held(9.9)
    assert not lease.is_held(10)
    lease.renew(sent=4, answered=5)
    assert lease.is_held(13.9)
    assert not lease.is_held(14)


def test_heartbeats_succeed_at_present_while_the_last_answer_is_half_a_lease_old_at_most() -> None:
    lease = Lease(10, now=0)
    lease.renew(sent=4, answered=5)
    assert lease.is_fresh(10)
    assert not lease.is_fresh(10.1)


def test_a_pause_of_more_than_half_a_lease_breaks_the_row_of_heartbeats() -> None:
    lease = Lease(10, now=0)
    lease.renew(sent=4, answered=5)
    assert lease.unbroken_since == 0
    lease.renew(sent=9, answered=10.1)
    assert lease.unbroken_since == 10.1
    lease.renew(sent=15, answered=15.1)
    assert lease.unbroken_since == 10.1


def test_a_worker_is_lost_that_was_silent_for_a_whole_lease() -> None:
    observer = Observer("own", lease_of_an_observer())
    silent = heartbeat("silent", 7)
    assert observer.look([silent], 90) == []
    assert observer.look([silent], 99.9) == []
    assert observer.look([silent], 100) == [silent]


def test_each_heartbeat_begins_the_observation_anew() -> None:
    observer = Observer("own", lease_of_an_observer())
    assert observer.look([heartbeat("other", 1)], 90) == []
    assert observer.look([heartbeat("other", 2)], 95) == []
    assert observer.look([heartbeat("other", 2)], 100) == []
    assert observer.look([heartbeat("other", 2)], 105) == [heartbeat("other", 2)]


def test_the_longer_lease_of_the_two_counts() -> None:
    long, short, unknown = heartbeat("long", 1, 20.0), heartbeat("short", 1, 1.0), heartbeat("unknown", 1, None)
    observer = Observer("own", lease_of_an_observer())
    for now, lost in ((80, []), (89.9, []), (90, [short, unknown]), (100, [long, short, unknown])):
        assert observer.look([long, short, unknown], now) == lost, now


def test_the_observers_own_lease_counts_for_a_worker_that_nobody_knows() -> None:
    lease = Lease(0.5, now=0)
    for tenths in range(1, 20):
        lease.renew(tenths / 10, tenths / 10)
    observer = Observer("own", lease)
    assert observer.look([heartbeat("unknown", 1, None)], 1.3) == []
    assert observer.look([heartbeat("unknown", 1, None)], 1.9) == [heartbeat("unknown", 1, None)]


def test_an_observer_does_not_judge_itself() -> None:
    observer = Observer("own", lease_of_an_observer())
    assert observer.look([heartbeat("own", 1), heartbeat("other", 1)], 80) == []
    assert observer.look([heartbeat("own", 1), heartbeat("other", 1)], 100) == [heartbeat("other", 1)]


def test_nobody_is_lost_while_the_observer_itself_is_silent_or_was() -> None:
    lease = lease_of_an_observer(until=80)
    observer = Observer("own", lease)
    silent = heartbeat("silent", 1)
    observer.look([silent], 80)
    assert observer.look([silent], 95) == []
    lease.renew(95, 95)
    assert observer.look([silent], 95) == []
    for second in range(96, 105):
        lease.renew(second, second)
    assert observer.look([silent], 104) == []
    lease.renew(105, 105)
    assert observer.look([silent], 105) == [silent]


def test_who_was_away_for_a_look_or_is_forgotten_is_observed_anew() -> None:
    observer = Observer("own", lease_of_an_observer())
    away, forgotten = heartbeat("away", 1), heartbeat("forgotten", 1)
    observer.look([away, forgotten], 80)
    observer.look([forgotten], 85)
    observer.forget("forgotten")
    assert observer.look([away, forgotten], 92) == []
    assert observer.look([away, forgotten], 101) == []
    assert observer.look([away, forgotten], 102) == [away, forgotten]


def test_who_has_not_been_seen_to_beat_is_undecided() -> None:
    observer = Observer("own", lease_of_an_observer())
    observer.look([heartbeat("own", 1), heartbeat("one", 1), heartbeat("two", 1)], 80)
    assert observer.undecided == ["one", "two"]
    observer.look([heartbeat("one", 2), heartbeat("two", 1)], 81)
    assert observer.undecided == ["two"]
    observer.look([heartbeat("one", 2), heartbeat("two", 1)], 82)
    assert observer.undecided == ["two"]
    observer.look([heartbeat("two", 1)], 83)
    observer.look([heartbeat("one", 2), heartbeat("two", 1)], 84)
    assert observer.undecided == ["one", "two"]


def test_a_worker_whose_jobs_others_took_holds_its_lease_once_it_has_compared() -> None:
    lease = Lease(10, now=0)
    lease.renew(sent=20, answered=20, was_lost=True)
    assert (lease.is_doubted, lease.is_held(21)) == (True, False)
    compared = lease.doubts
    lease.renew(sent=22, answered=22, was_lost=True)  # while it compares
    lease.compared = compared
    assert not lease.is_held(23)
    lease.compared = lease.doubts
    assert lease.is_held(23)
