"""The spawn configuration: built step by step, stored, read."""

import json
from datetime import timedelta

import pytest

from hammerwork_cli import SpawnConfig
from hammerwork_cli.core.input.spawn_config import STORED_KEYS
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.job.options import SPAWN_FIELDS
from tests.conftest import each_row


def test_builders_and_keywords_say_the_same():
    built = (
        SpawnConfig()
        .with_handler("batch_processor")
        .with_max_spawn_count(50)
        .with_inherit_priority(True)
        .with_inherit_queue(False)
        .with_inherit_retry_strategy(False)
        .with_inherit_timeout()
        .with_inherit_trace_context(False)
        .with_spawn_delay(timedelta(milliseconds=100))
        .with_batch_size(10)
        .with_operation_id("custom-op-123")
        .with_metadata({"image_format": "jpeg"})
        .with_max_depth(5)
        .with_max_descendants(1000)
        .with_on_error("complete")
    )
    assert built == SpawnConfig(
        handler="batch_processor",
        max_spawn_count=50,
        inherit_priority=True,
        inherit_queue=False,
        inherit_retry_strategy=False,
        inherit_timeout=True,
        inherit_trace_context=False,
        spawn_delay=timedelta(milliseconds=100),
        batch_size=10,
        operation_id="custom-op-123",
        metadata={"image_format": "jpeg"},
        max_depth=5,
        max_descendants=1000,
        on_error="complete",
    )
    assert SpawnConfig._parse(built._stored()) == built
    assert {*SPAWN_FIELDS.parts} == STORED_KEYS, "the REST API and its client know all of them"


def test_a_builder_leaves_the_configuration_it_began_with():
    plain = SpawnConfig()
    plain.with_max_spawn_count(1)
    assert plain.max_spawn_count == 100


@each_row(
    "wrong",
    [
        lambda config: config.with_max_spawn_count(-1),
        lambda config: config.with_max_spawn_count(True),
        lambda config: config.with_batch_size(0),
        lambda config: config.with_max_depth("deep"),
        lambda config: config.with_handler("h" * 256),
        lambda config: config.with_operation_id("o" * 256),
        lambda config: config.with_spawn_delay(timedelta(days=36_501)),
        lambda config: config.with_max_descendants(1.5),
        lambda config: config.with_spawn_delay(5),
        lambda config: config.with_spawn_delay(timedelta(seconds=-1)),
        lambda config: config.with_handler(""),
        lambda config: config.with_operation_id(7),
        lambda config: config.with_inherit_queue("yes"),
        lambda config: config.with_on_error("ignore"),
    ],
)
def test_a_builder_refuses_what_cannot_be_and_names_the_field(wrong):
    with pytest.raises(UsageError) as caught:
        wrong(SpawnConfig())
    assert "_" in caught.value.message or "handler" in caught.value.message


def test_no_limit_is_stored_as_null_because_that_is_what_rust_workers_read():
    assert SpawnConfig(max_spawn_count=None)._stored()["max_spawn_count"] is None


def test_a_delay_is_stored_in_milliseconds_and_one_out_of_range_reads_as_none():
    assert SpawnConfig(spawn_delay=timedelta(seconds=1.5))._stored()["spawn_delay_ms"] == 1500
    for stored in (10**30, -5, "soon", None):
        parsed = SpawnConfig._parse({"spawn_delay_ms": stored})
        assert parsed is not None
        assert parsed.spawn_delay is None


def test_limits_beyond_64_bits_are_read_as_mysql_stores_them_and_fractions_are_none():
    for stored, limit in ((1e30, int(1e30)), (2.0**63, 2**63), (1.5, None), (3.0, None), (float("inf"), None)):
        parsed = SpawnConfig._parse(json.dumps({"max_descendants": stored}))
        assert parsed is not None
        assert parsed.max_descendants == limit
    with pytest.raises(UsageError):
        SpawnConfig(max_descendants=1e30)  # type: ignore[arg-type]


def test_unknown_keys_are_kept():
    parsed = SpawnConfig._parse({"colour": "red", "spawn_delay_ms": 5})
    assert parsed is not None
    assert parsed.extra == {"colour": "red"}
    assert parsed._stored()["colour"] == "red"
