"""Codecs of chosen queues: what is stored, and who reads it."""

import asyncio
import base64
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import (
    AsyncQueue,
    Codec,
    CodecError,
    Compressed,
    ConflictError,
    EncryptionKeys,
    Handlers,
    Job,
    Queue,
    RetryStrategy,
    SpawnConfig,
    SpawnContext,
    UsageError,
    Worker,
)
from tests.runtime.conftest import Stage, mariadb_too

Run = Callable[..., Any]


@dataclass
class Sealed:
    """A team's own envelope: never the same twice, as with a nonce."""

    name: str = "sealed"
    key: int = 7

    def encode(self, data: bytes) -> bytes:
        return os.urandom(4) + bytes(byte ^ self.key for byte in data)

    def decode(self, data: bytes) -> bytes:
        return bytes(byte ^ self.key for byte in data[4:])


CARD = {"card": "4111", "amounts": [1, 2.5], "name": "Zoë"}


def stored(stage: Stage, job: Job, column: str = "payload") -> Any:
    value = stage.one(job, column)
    return json.loads(value) if isinstance(value, str) else value


@pytest.fixture
def sealing() -> Handlers:
    app = Handlers()
    app.codec("cards", Sealed())

    @app.job("cards")
    def charge(job: Job, context: SpawnContext) -> dict[str, Any]:
        assert job.spawn_config is not None
        assert job.spawn_config.max_spawn_count == 5
        if "early" not in job.payload:
            early = Job("cards", CARD | {"early": True}).with_spawn_config(SpawnConfig(max_spawn_count=5))
            context.spawn(early, key="a")
        return {"charged": job.payload["card"]}

    @app.job("plain")
    async def plain(job: Job, context: SpawnContext) -> Any:
        return [job.payload, list(context.results().values())]

    @app.spawn("cards")
    def receipts(context: SpawnContext) -> Iterator[Job]:
        if "early" not in context.parent_job.payload:
            yield Job("plain", context.result)

    return app


@mariadb_too
def test_payloads_and_results_are_encoded_where_they_are_stored_and_decoded_for_programs(
    stage: Stage, sealing: Handlers
) -> None:
    with Queue(stage.url, codecs=sealing.codecs) as queue:
        config = SpawnConfig(max_spawn_count=5)
        job = queue.enqueue(Job("cards", CARD).with_spawn_config(config))
        after = queue.enqueue(Job("plain").depends_on(job))
        (other,) = queue.enqueue_many([Job("cards", "text").depends_on(after)])
        Worker(stage.url, sealing, queues=["cards", "plain"], drain=True, poll_interval=0.05, max_jobs=4).run()
        envelope = stored(stage, job)
        assert envelope.keys() == {"_codec", "data", "_spawn_config"}
        assert envelope["_codec"] == "sealed"
        assert json.loads(Sealed().decode(base64.b64decode(envelope["data"]))) == CARD
        assert stored(stage, other).keys() == {"_codec", "data"}
        result = stored(stage, job, "result_data")
        assert Sealed().decode(base64.b64decode(result["data"])) == b'{"charged":"4111"}'
        assert (queue.get(job).payload, queue.get(job).spawn_config) == (CARD, config)
        assert queue.get(other).payload == "text"
        assert queue.get(job).result == queue.results([job])[job.id] == {"charged": "4111"}
        assert queue.get(after).result == [None, [{"charged": "4111"}]]
        children = {(child.queue, child.payload.get("early")) for child in queue.children(job) if child.id != after.id}
        assert children == {("cards", True), ("plain", None)}
    found = stage.queue.get(job)
    assert found.status == "Completed"
    for read in (lambda: found.payload, lambda: found.result, lambda: stage.queue.results([job])):
        with pytest.raises(CodecError, match=r"The codec 'sealed' is missing here, .*\. Known: none\."):
            read()


def test_an_attempt_without_the_codec_fails_with_its_name_and_another_one_follows(lite: Stage) -> None:
    with Queue(lite.url, codecs={"cards": Sealed()}) as queue:
        job = queue.enqueue(Job("cards", CARD, max_attempts=3))
    app, calls = Handlers(), []
    app.register_job("cards", lambda job: calls.append(job.payload))
    lite.work(app, retry=RetryStrategy.fixed(timedelta(hours=1)))
    assert (lite.one(job, "status, attempts"), calls) == (("Pending", 1), [])
    assert lite.one(job, "error_message") == (
        "The codec 'sealed' is missing here, by which this was encoded. Known: none."
    )
    lite.execute("UPDATE hammerwork_jobs SET scheduled_at = created_at")
    app.codec("other queue", Sealed("newer"), Sealed())
    lite.work(app)
    assert (lite.status(job), calls) == (["Completed"], [CARD])


def test_compression_is_only_for_what_becomes_shorter(lite: Stage, run: Run) -> None:
    long = {"text": "ab" * 5000}
    with Queue(lite.url, codecs={"texts": Compressed(9)}) as queue:
        short, packed = queue.enqueue_many([Job("texts", {"text": "ab"}), Job("texts", long)])
        assert queue.get(packed).payload == long
    assert stored(lite, short) == {"text": "ab"}
    envelope = stored(lite, packed)
    assert envelope["_codec"] == "zlib"
    assert len(lite.one(packed, "payload")) < 150
    assert run("job", "show", packed.id, "--format", "json", url=lite.url).json["payload"] == envelope
    with pytest.raises(UsageError, match="level must be"):
        Compressed(10)
    envelope["data"] = base64.b64encode(base64.b64decode(envelope["data"])[:-1]).decode()
    lite.execute(f"UPDATE hammerwork_jobs SET payload = '{json.dumps(envelope)}' WHERE id = '{packed.id}'")
    is_cut = pytest.raises(CodecError, match="The codec 'zlib' cannot decode: ValueError: it is cut")
    with Queue(lite.url, codecs={"texts": Compressed()}) as queue, is_cut:
        queue.get(packed).payload  # noqa: B018  it raises


def test_encryption_comes_after_the_codec(lite: Stage) -> None:
    keys = EncryptionKeys({"default": bytes(32)})
    app, seen = Handlers(), []
    app.register_job("cards", lambda job: seen.append(job.payload))
    with Queue(lite.url, encryption=keys, codecs={"cards": Sealed()}) as queue:
        job = queue.enqueue(Job("cards", CARD).with_encryption())
        with pytest.raises(UsageError, match="has a codec, after which a payload has no fields to encrypt"):
            queue.enqueue(Job("cards", CARD).with_pii_fields("card"))
        assert queue.enqueue(job).created is False
        assert queue.get(job).payload == CARD
        with Queue(lite.url, encryption=keys) as other, pytest.raises(CodecError, match="'sealed' is missing"):
            other.get(job).payload  # noqa: B018  it raises
        Worker(queue, app, drain=True, poll_interval=0.05, concurrency=1).run()
    assert seen == [CARD]


def test_an_encoded_job_is_found_by_its_id_and_its_unique_key(lite: Stage) -> None:
    with Queue(lite.url, codecs={"cards": Sealed()}) as queue:
        job = queue.enqueue(Job("cards", CARD))
        before = stored(lite, job)
        assert [queue.enqueue(Job("cards", CARD, id=job.id)).created for _ in range(2)] == [False, False]
        assert stored(lite, job) == before
        with pytest.raises(ConflictError, match="with a different payload"):
            queue.enqueue(Job("cards", {"card": "other"}, id=job.id))
        holder = queue.enqueue(Job("cards", CARD).with_unique("7"))
        queue.enqueue(Job("cards", {"card": "newer"}).with_unique("7", replace=["payload"]))
        assert stored(lite, holder).keys() == {"_codec", "data"}
        assert queue.get(holder).payload == {"card": "newer"}
    with pytest.raises(ConflictError, match="with a different payload"):  # nobody here can tell
        lite.queue.enqueue(Job("cards", CARD, id=job.id))


class Broken(Sealed):
    def encode(self, data: bytes) -> Any:
        if b"refuse" in data:
            raise ConnectionError("no key server")
        return "text" if b"text" in data else super().encode(data)


def test_an_error_of_a_codec_fails_one_attempt_or_one_call(lite: Stage) -> None:
    app = Handlers()
    app.codec("cards", Broken())

    @app.job("cards")
    async def charge(job: Job) -> Any:
        return job.payload["returns"]

    @app.spawn("spawns")
    def spawns(context: SpawnContext) -> Iterator[Job]:
        yield Job("cards", context.parent_job.payload)

    lite.enqueue(*(jobs := [Job("cards", {"returns": text}, max_attempts=1) for text in ("ok", "refuse", "text")]))
    lite.enqueue(spawning := Job("spawns", "refuse", max_attempts=1))
    lite.work(app)
    assert lite.status(*jobs, spawning) == ["Completed", "Dead", "Dead", "Dead"]
    errors = [lite.one(job, "error_message").partition("\n")[0] for job in (*jobs[1:], spawning)]
    assert errors[:2] == [
        "The codec 'sealed' cannot encode: ConnectionError: no key server",
        "The codec 'sealed' must encode to bytes, not to str.",
    ]
    assert "cannot encode: ConnectionError: no key server" in errors[2]
    refused = pytest.raises(CodecError, match="cannot encode: ConnectionError: no key server")
    with Queue(lite.url, codecs=app.codecs) as queue, refused:
        queue.enqueue_many([Job("cards", 1), Job("cards", "refuse")])
    assert len(lite.rows()) == 4


def test_schedules_and_callbacks_enqueue_encoded_jobs(lite: Stage) -> None:
    app = Handlers()
    for queue in ("ends", "ended", "often"):
        app.codec(queue, Sealed())
    app.register_job("ends", lambda job: job.payload)
    app.register_job("ended", lambda job: job.payload["card"])
    app.register_job("often", lambda job, context: [job.payload["card"], context.scheduled_for is not None])
    app.schedule("often", timedelta(seconds=1), Job("often", CARD), overlap="skip")
    lite.enqueue(Job("ends", 1).with_callbacks(on_complete=Job("ended", CARD)))
    Worker(lite.queue, app, poll_interval=0.05, max_jobs=3).run()
    keys = {queue: json.loads(payload) for queue, payload in lite.rows("queue_name, payload")}
    assert keys["ends"] == 1  # of a program without the codec
    assert keys["ended"].keys() == {"_codec", "data"}
    assert keys["often"].keys() == {"_codec", "data", "_schedule"}
    with Queue(lite.url, codecs=app.codecs) as queue:
        found = {job.queue: job.result for job in queue.jobs(status=["Completed"])}
    assert found == {"ends": 1, "ended": "4111", "often": ["4111", True]}


@pytest.mark.usefixtures("forked_processes")
@pytest.mark.parametrize("isolation", ["process", partial(ThreadPoolExecutor, 1)])
def test_processes_and_nodes_have_the_codecs_of_their_handlers(
    lite: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run, isolation: Any
) -> None:
    (tmp_path / "sealed_app.py").write_text(HANDLERS)
    monkeypatch.chdir(tmp_path)
    with Queue(lite.url, codecs={"cards": Sealed()}) as queue:
        job = queue.enqueue(Job("cards", CARD))
        named: Any = {"isolation": isolation, "drain": True, "poll_interval": 0.05, "concurrency": 1}
        Worker(lite.queue, "sealed_app:app", **named).run()
        assert lite.one(job, "error_message") is None
        (child,) = queue.children(job)
        assert (child.payload, child.result) == (CARD, "4111")
        (other,) = (one for one in queue.jobs("cards") if one.payload == "enqueued")
        assert stored(lite, other)["_codec"] == stored(lite, child, "result_data")["_codec"] == "sealed"
        rehearsed = run("spawn", "rehearse", job.id, "--handlers", "sealed_app:app", "--format", "json", url=lite.url)
        assert rehearsed.json["first"][0]["payload"] == CARD
    with Queue(lite.url, codecs={"others": Sealed()}) as queue, pytest.raises(UsageError) as caught:
        Worker(queue, "sealed_app:app", **named).run()
    assert "and 'others' has another one" in caught.value.message


HANDLERS = """
from hammerwork_cli import Handlers, Job
from tests.runtime.api.test_codecs import Sealed

app = Handlers()
app.codec("cards", Sealed())
app.codec("results", Sealed())

@app.job("cards")
def charge(job, context):
    if job.payload != "enqueued":
        enqueued = context.queue.enqueue(Job("cards", "enqueued"))
        assert context.queue.get(enqueued).payload == "enqueued"

@app.spawn("cards")
def receipts(context):
    if context.parent_job.payload != "enqueued":
        yield Job("results", context.parent_job.payload)

@app.job("results")
def result(job):
    return job.payload["card"]
"""


def test_coroutines_encode_and_decode_too(lite: Stage) -> None:
    async def enqueue() -> Any:
        async with AsyncQueue(lite.url, codecs={"cards": Sealed()}) as queue:
            return (await queue.get(await queue.enqueue(Job("cards", CARD)))).payload

    assert asyncio.run(enqueue()) == CARD
    assert json.loads(lite.rows("payload")[0][0])["_codec"] == "sealed"


@pytest.mark.parametrize(
    ("codecs", "said"),
    [
        ({"q": Sealed}, "A codec has a name, encode and decode"),
        ({"q": object()}, "A codec has a name, encode and decode"),
        ({"q": Sealed("")}, "must have 1 to"),
        ({"q": [Sealed(), Sealed(key=8)]}, "Two codecs have the name 'sealed'"),
        ([Sealed()], "codecs must be {queue: codec}"),
        ({"": Sealed()}, "queue"),
    ],
)
def test_an_object_that_is_not_a_codec_is_refused(codecs: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Queue("sqlite:///none.db", codecs=codecs)


def test_the_codecs_of_an_application_are_included_once() -> None:
    app, part = Handlers(), Handlers()
    part.codec("q", Sealed("new"), Sealed())
    app.include(part)
    assert app.codecs == {"q": (Sealed("new"), Sealed())}
    with pytest.raises(UsageError, match="There is already a codec of 'q'"):
        app.codec("q", Sealed())
    codec: Codec = Compressed()  # as type checkers see it
    assert codec.name == "zlib"
