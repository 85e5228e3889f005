"""``webhook``: receivers of events, from the command line."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.database import connect
from hammerwork_cli.features.event.model import DELIVERIES, EventType
from hammerwork_cli.features.event.samples import sample
from hammerwork_cli.features.webhook.commands.changes import DEFAULT_EVENTS
from hammerwork_cli.features.webhook.queries import GIVEN_UP_AFTER
from hammerwork_cli.runtime.delivery.allowed import Allowed
from tests.allowing import ALL
from tests.commands.test_contract import WEBHOOKS, validate
from tests.conftest import all_databases, each_row
from tests.jobs import NOW, execute, identity, job, rows, write
from tests.runtime.delivery.webhooks.receivers import Receiving, answer

Run = Callable[..., Any]
URL = "https://chat.example/hook/path-of-secrets"
WEBHOOK_KEYS = {
    "id",
    "name",
    "url",
    "events",
    "secret",
    "enabled",
    "delivered",
    "failed",
    "failing_since",
    "last_answer",
}
DELIVERY_KEYS = ["job_id", "type", "status", "attempts", "answered_at", "answer"]


@pytest.fixture(autouse=True)
def allowing_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of the host allow everything."""
    monkeypatch.setattr(Allowed, "of", lambda *_, **__: ALL)


@pytest.fixture
def receiving() -> Iterator[Callable[..., Receiving]]:
    with ExitStack() as stack:
        yield lambda *scripts: stack.enter_context(Receiving(*scripts))


def add(run: Run, url: str, *words: str, name: str = "chat", to: str = URL) -> str:
    done = run("webhook", "add", "--name", name, "--url", to, *words, url=url)
    assert done.exit_code == 0, done.stderr
    found: str = done.stdout.strip()
    return found


@pytest.fixture
def chat_url(run: Run, lite_url: str) -> str:
    """A database with the webhook ``chat``."""
    add(run, lite_url)
    return lite_url


def kept(folder: Path, *secrets: str) -> list[str]:
    """Secrets in files, as options name them."""
    files = [folder / f"secret-{number}" for number, _ in enumerate(secrets)]
    for file, secret in zip(files, secrets, strict=True):
        file.write_text(secret)
    return [f"@{file}" for file in files]


def show(run: Run, url: str, name: str = "chat") -> dict[str, Any]:
    found: dict[str, Any] = run("webhook", "show", name, "--format", "json", url=url).json
    return found


def deliver(url: str, number: int, status: str = "Pending", *, webhook: str, **columns: Any) -> None:
    """Inserts a delivery, as the writer of events does."""
    payload = {"webhook": webhook, "name": "chat", "event": {"id": identity(number), "type": "job.dead", "data": {}}}
    write(url, job(number, JobStatus(status), queue=DELIVERIES, payload=json.dumps(payload), max_attempts=9, **columns))


# Adding and changing.


def test_adding_prints_the_id_alone_and_the_secret_once(run: Run, lite_url: str) -> None:
    done = run("webhook", "add", "--name", "chat", "--url", URL, url=lite_url)
    assert done.exit_code == 0
    found = show(run, lite_url, done.stdout.strip())
    assert found.keys() >= WEBHOOK_KEYS
    assert (found["name"], found["secret"], found["signed"]) == ("chat", "***", True)
    assert found["events"] == ["job.dead", "job.timed_out", "job.failed", "cron.missed", "cron.failed"]
    secret = done.stderr.partition("Secret (not shown again): ")[2].split()[0]
    assert secret.startswith("whsec_")
    assert "worker start --upkeep-only" in done.stderr
    for words in ("list", "list --detailed", "show chat", "show chat --format json", "stats", "deliveries chat"):
        shown = run("webhook", *words.split(), "--debug", url=lite_url)
        assert secret.removeprefix("whsec_") not in shown.stdout + shown.stderr


def test_a_webhooks_url_given_as_that_of_the_database_is_refused_with_the_option_for_it(run: Run) -> None:
    for words in ((), ("--name", "talk")):
        refused = run("webhook", "update", "-w", "chat", "-u", "https://h.example/", *words)
        assert refused.exit_code == 3
        assert "--url https://example.org/hook" in refused.stderr


def test_no_command_shows_the_path_of_a_url_which_may_be_a_secret(run: Run, lite_url: str) -> None:
    def shown(*words: str) -> str:
        done = run("webhook", *words, url=lite_url)
        assert done.exit_code == 0, done.stderr
        return str(done.stdout + done.stderr)

    for form in ("table", "json"):
        made = shown("add", "--name", "chat", "--url", f"{URL}?token=of-secrets", "--format", form)
        outputs = [
            *(shown("list", *more, "--format", form) for more in ((), ("--detailed",))),
            shown("show", "chat", "--format", form),
            shown("update", "chat", "--url", f"{URL}/2", "--format", form),
            shown("disable", "chat", "--format", form),
            shown("enable", "chat", "--format", form),
            shown("remove", "chat", "--yes", "--format", form),
        ]
        assert all("of-secrets" not in text for text in (made, *outputs))
        assert all("https://chat.example/***" in text for text in outputs[:3])
    add(run, lite_url, to="https://h.example:8443/")
    assert show(run, lite_url)["url"] == "https://h.example:8443"


@pytest.mark.parametrize("words", [("--format", "json"), ("--quiet",)])
def test_a_secret_that_was_made_is_printed_whatever_the_output(run: Run, lite_url: str, words: tuple[str, ...]) -> None:
    done = run("webhook", "add", "--name", "chat", "--url", URL, *words, url=lite_url)
    assert (done.stdout + done.stderr).count("whsec_") == 1
    if "json" in words:
        assert (done.json["created_at"] is not None, done.stderr) == (True, "")


def test_each_option_is_stored(run: Run, lite_url: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k3y\n")
    words = "-m put --events DEAD,tree.failed -q mail,a -r high --header X-Team=ops,dev --header Accept=text/plain"
    words += f" --api-key @{tmp_path / 'key'} --body cloudevents --include-payload --timeout 5s --max-retries 2"
    add(run, lite_url, *words.split(), "--secret", "env:CHAT_SECRET")
    found = show(run, lite_url)
    assert {name: found[name] for name in ("method", "events", "queues", "priorities", "body", "secret")} == {
        "method": "PUT",
        "events": ["job.dead", "tree.failed"],
        "queues": ["mail", "a"],
        "priorities": ["high"],
        "body": "cloudevents",
        "secret": "env:CHAT_SECRET",
    }
    assert (found["timeout_seconds"], found["max_retries"], found["include_payload"]) == (5, 2, True)
    assert found["headers"] == {"X-Team": "***", "Accept": "***"}
    assert found["auth"] == {"header": "X-API-Key", "key": "***"}
    changed = run("webhook", "update", "chat", "--no-include-payload", "--name", "talk", "--queue", "b", url=lite_url)
    assert changed.stdout == "Changed talk.\n"
    after = show(run, lite_url, "talk")
    assert (after["queues"], after["include_payload"], after["events"]) == (["b"], False, found["events"])
    assert after["updated_by"]
    assert run("webhook", "update", "talk", "--clear", "events,queue,priority,header,auth", url=lite_url).exit_code == 0
    cleared = show(run, lite_url, "talk")
    assert [cleared[name] for name in ("queues", "priorities", "headers", "auth")] == [[], [], {}, None]
    assert cleared["events"] == ["job.dead", "job.timed_out", "job.failed", "cron.missed", "cron.failed"]
    for option in ("--events", "--queue"):
        refused = run("webhook", "update", "talk", option, "", url=lite_url)
        assert refused.stderr == f"Error: {option} needs a name.\n  Name one, or write --clear {option[2:]}.\n"
    for words in (("--clear", "name"), ("--clear", "queue", "--queue", "a")):
        assert run("webhook", "update", "talk", *words, url=lite_url).exit_code == 2


PLAIN = "Others can read {} on your command line. Write env:NAME, @FILE, or - for stdin."


@each_row(
    ("words", "noted"),
    [
        ("--secret {}", "--secret"),
        ("--auth-token {}", "--auth-token"),
        ("--basic-auth {}", "--basic-auth"),
        ("--api-key {}", "--api-key"),
        ("--header Authorization={}", "--header Authorization"),
        ("--headers X-Team={},x-api-key={}", "--header x-api-key"),
        ("--secret {} --auth-token {} --header Cookie={}", "--secret and --auth-token and --header Cookie"),
        ("--header X-Team={}", None),
    ],
)
def test_secrets_that_stand_on_the_command_line_are_taken_with_one_note(
    run: Run, lite_url: str, words: str, noted: str | None
) -> None:
    add = ["webhook", "add", "--name", "page", "--url", "https://h.example"]
    for value, notes in (("me:s3cret", [PLAIN.format(noted)] if noted else []), ("env:HOOK_SECRET", [])):
        done = run(*add, *words.format(*[value] * 3).split(), url=lite_url)
        assert done.exit_code == 0
        assert [line for line in done.stderr.splitlines() if "Others can read" in line] == notes
        assert run("webhook", "remove", "page", "--yes", url=lite_url).exit_code == 0


def test_the_secret_of_a_header_is_read_from_a_file_or_stdin(hammerwork: Run, lite_url: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("Bearer s3cret\n", encoding="utf-8")
    words = ["--header", f"X-One=@{tmp_path / 'token'}", "--header", "Authorization=-"]
    add = ["webhook", "add", "--name", "page", "--url", "https://h.example", *words]
    done = hammerwork(*add, url=lite_url, input="Bearer other\n")
    assert (done.exit_code, "Others can read" in done.stderr) == (0, False)
    with closing(connect(lite_url)) as database:
        ((stored,),) = database.query("SELECT headers FROM hammerwork_webhooks")
    assert json.loads(stored) == {"X-One": "Bearer s3cret", "Authorization": "Bearer other"}


@each_row(
    ("words", "said", "code"),
    [
        ("--name a --url https://h.example --events tree.complete", "Did you mean tree.completed?", 2),
        ("--name a --url https://h.example --events job.complete", "Did you mean completed?", 2),
        ("--name a --url https://h.example --events dead,nope", "There is no event 'nope'. One of: enqueued,", 2),
        ("--name a --url https:///hook", "The URL has no host.", 2),
        ("--name a --url ftp://h.example", "URL", 2),
        ("--name a --url http://h.example/", "--insecure", 2),
        ("--name a --url https://10.0.0.1/", "--allow-private", 2),
        ("--name a -u https://h.example/", "Write --url https://example.org/hook: -u names the database here.", 2),
        ("--name chat --url https://h.example", "'chat'. Change it with: hammerwork webhook update chat", 6),
        ("--name a --url https://h.example --template {", "The template", 2),
        ('--name a --url https://h.example --template {"a":"{{event.typo}}"}', "names no field", 2),
        ('--name a --url https://h.example --template {"a":"{{event.data.quue}}"}', "Did you mean queue?", 2),
        ("--name a --url https://h.example --secret=", "--secret is empty.", 2),
        (
            "--name a --url https://h.example --auth-token env:PGPASSWORD",
            "--auth-token names PGPASSWORD, which opens",
            2,
        ),
        ("--name a --url https://h.example --auth-token env:A --basic-auth env:B", "one of --auth-token", 2),
        ("--name a --url https://h.example --header Host=x", "cannot set the header Host", 2),
        ("--name a --url https://h.example --header =x", "The name of a header is empty.", 2),
        ("--name a --url https://h.example --header x", "The header 'x' has no value.", 2),
        ("--name a --url https://h.example --timeout 10m", "1 to 300 seconds", 2),
    ],
)
def test_a_webhook_that_cannot_work_is_refused_and_not_stored(
    run: Run, chat_url: str, words: str, said: str, code: int
) -> None:
    refused = run("webhook", "add", *words.split(), url=chat_url)
    assert (refused.exit_code, refused.stdout) == (code, "")
    assert said in " ".join(refused.stderr.split())
    assert len(refused.stderr.splitlines()) <= 3
    assert [one["name"] for one in run("webhook", "list", "--format", "json", url=chat_url).json] == ["chat"]


def test_the_queue_of_deliveries_gets_a_limit_and_a_policy_unless_it_has_them(run: Run, lite_url: str) -> None:
    add(run, lite_url)

    def of_queue(*words: str) -> Any:
        return run(*words, "--format", "json", url=lite_url).json[0]

    limit = of_queue("queue", "limit", DELIVERIES)
    assert (limit["concurrency"], limit["per"]) == (4, "webhook")
    assert of_queue("archive", "policies", "--queue", DELIVERIES)["action"] == "delete"
    assert run("queue", "limit", DELIVERIES, "--concurrency", "2", url=lite_url).exit_code == 0
    add(run, lite_url, name="other")
    assert of_queue("queue", "limit", DELIVERIES)["concurrency"] == 2


def test_a_webhook_for_each_job_is_noted(run: Run, lite_url: str) -> None:
    noted = run("webhook", "add", "--name", "a", "--url", URL, "--events", "completed", url=lite_url)
    assert "A delivery costs as much as a job" in noted.stderr
    words = ("--events", "completed", "--queue", "mail")
    assert "costs" not in run("webhook", "add", "--name", "b", "--url", URL, *words, url=lite_url).stderr


@all_databases
def test_a_note_says_that_trees_and_batches_enqueued_before_may_end_without_an_event(
    run: Run, migrated_url: str
) -> None:
    said = "enqueued before now may end without an event."
    command = ("--backend", "command", "--command", "true", "--no-test")

    def noted(*words: str) -> str:
        return str(run(*words, url=migrated_url).stderr)

    assert said not in noted("webhook", "add", "--name", "a", "--url", URL, "--events", "tree.failed,batch.ended")
    write(migrated_url, job(1))
    for group, more in (("webhook", ("--url", URL)), ("streaming", command)):
        adds = (group, "add", *more, "--events")
        assert f"Trees, batches {said}" in noted(*adds, "batch.ended,tree.failed,tree.completed", "--name", "b")
        assert f"Batches, workflows {said}" in noted(*adds, "batch.ended,workflow.ended", "--name", "c")
        assert said not in noted(*adds, "dead", "--name", "d")
        assert f"Workflows {said}" in noted(group, "update", "d", "--events", "dead,workflow.ended")
        assert said not in noted(group, "update", "d", "--events", "workflow.ended")


def test_a_note_says_that_no_worker_sends_what_is_to_be_sent_again(run: Run, lite_url: str) -> None:
    said = "worker start --upkeep-only"
    webhook = add(run, lite_url)
    command = ("--backend", "command", "--command", "true", "--no-test")
    run("streaming", "add", "--name", "chat", *command, url=lite_url)
    for group in ("webhook", "streaming"):
        for verb in ("disable", "enable", "replay"):
            noted = run(group, verb, "chat", *(["--yes"] if verb == "replay" else []), url=lite_url)
            assert (noted.exit_code, said in noted.stderr) == (0, verb == "enable")
    deliver(lite_url, 1, "Dead", webhook=webhook)
    write(lite_url, job(2, JobStatus.COMPLETED))
    for group in ("webhook", "streaming"):
        noted = run(group, "replay", "chat", "--since", "100d", "--yes", url=lite_url)
        assert (noted.stdout, said in noted.stderr) == (noted.stdout, True)


def test_nothing_to_change_or_somebody_unknown_is_an_error(run: Run, lite_url: str) -> None:
    add(run, lite_url)
    assert run("webhook", "update", "chat", url=lite_url).exit_code == 2
    for words in ("show", "update --max-retries 1", "rotate-secret", "enable", "disable", "remove --yes"):
        verb, *more = words.split()
        missing = run("webhook", verb, "nobody", *more, url=lite_url)
        assert (missing.exit_code, missing.stdout) == (5, "")
        assert missing.stderr == "Error: There is no webhook 'nobody'.\n  To list them: hammerwork webhook list\n"
        assert run("webhook", verb, *more, url=lite_url).exit_code == 2
    assert run("webhook", "show", "-w", "chat", url=lite_url).exit_code == 0
    assert run("webhook", "show", "chat", "-w", "other", url=lite_url).exit_code == 2


@all_databases
def test_a_webhook_is_disabled_enabled_and_removed_by_name_or_id(run: Run, migrated_url: str) -> None:
    webhook = add(run, migrated_url, name="Chat é")
    add(run, migrated_url, name="chat é")
    assert run("webhook", "disable", "Chat é", "--reason", "it moves", url=migrated_url).stdout == "Disabled Chat é.\n"
    assert show(run, migrated_url, webhook)["disabled_reason"] == "it moves"
    assert show(run, migrated_url, "chat é")["enabled"]
    assert run("webhook", "disable", webhook, url=migrated_url).stdout == "Already disabled: Chat é.\n"
    assert run("webhook", "enable", webhook, url=migrated_url).stdout == "Enabled Chat é.\n"
    assert run("webhook", "remove", webhook, url=migrated_url).exit_code == 2
    assert run("webhook", "remove", webhook, "--yes", url=migrated_url).stdout == "Removed Chat é.\n"
    assert [one["name"] for one in run("webhook", "list", "--format", "json", url=migrated_url).json] == ["chat é"]


@all_databases
def test_both_secrets_sign_while_a_secret_is_changed(
    run: Run, migrated_url: str, receiving: Any, tmp_path: Path
) -> None:
    receiver = receiving(answer())
    old_secret, other, third = kept(tmp_path, "old-secret", "another", "given-secret")
    add(run, migrated_url, "--secret", old_secret, "--allow-private", to=receiver.url)
    rotated = run("webhook", "rotate-secret", "chat", "--keep-old", "1h", url=migrated_url)
    new = rotated.stdout.strip()
    assert new.startswith("whsec_")
    assert run("webhook", "test", "chat", "--event-type", "dead", url=migrated_url).exit_code == 0
    arrived = receiver.arrived[-1]
    (tmp_path / "body").write_bytes(arrived.body)
    (tmp_path / "headers").write_text("\n".join(f"{name}: {value}" for name, value in arrived.headers.items()))
    files = ("--headers", str(tmp_path / "headers"), "--body", str(tmp_path / "body"))
    for secret in (old_secret, *kept(tmp_path, new)):
        assert run("webhook", "verify", "--secret", secret, *files).stdout == "The signature is valid.\n"
    wrong = run("webhook", "verify", "--secret", other, *files)
    assert (wrong.exit_code, "does not match this body, id, timestamp or secret" in wrong.stderr) == (1, True)
    rotate = ("webhook", "rotate-secret", "chat", "--secret", third, "--keep-old", "0s")
    early = run(*rotate, url=migrated_url)
    assert (early.exit_code, "To drop the previous one: --force" in early.stderr) == (6, True)
    given = run(*rotate, "--force", url=migrated_url)
    assert (given.exit_code, "given-secret" in given.stdout) == (0, False)
    assert "signs too" not in run("webhook", "show", "chat", url=migrated_url).stdout
    assert run(*rotate, url=migrated_url).exit_code == 0


def test_an_old_secret_signs_too_only_where_a_request_has_room_for_both(
    run: Run, lite_url: str, receiving: Any
) -> None:
    receiver = receiving(answer())
    rotate = ("webhook", "rotate-secret", "chat", "--secret", "env:HOME")
    said = "The old secret no longer signs"

    def kept() -> tuple[bool, bool, int]:
        """What ``show`` says, and how many signatures a request has."""
        run("webhook", "test", "chat", url=lite_url)
        headers = {name.lower(): value for name, value in receiver.arrived[-1].headers.items()}
        signatures = headers.get("webhook-signature", headers.get("x-hammerwork-signature", "")).split()
        text = run("webhook", "show", "chat", url=lite_url).stdout
        return "signs too" in text, show(run, lite_url)["old_secret_until"] is not None, len(signatures)

    add(run, lite_url, "--secret", "env:PATH", "--allow-private", "--body", "original", to=receiver.url)
    refused = run(*rotate, "--keep-old", "1h", url=lite_url)
    assert (refused.exit_code, "The old secret cannot sign too" in refused.stderr) == (2, True)
    assert said in run(*rotate, url=lite_url).stderr
    assert kept() == (False, False, 1)
    assert run("webhook", "update", "chat", "--body", "standard", url=lite_url).exit_code == 0
    assert kept() == (True, True, 2)
    assert said in run("webhook", "update", "chat", "--body", "original", url=lite_url).stderr
    assert kept() == (False, False, 1)
    assert said not in run("webhook", "update", "chat", "--method", "put", url=lite_url).stderr


# Deliveries.


@all_databases
def test_deliveries_are_listed_counted_and_made_again(run: Run, migrated_url: str) -> None:
    webhook, other = add(run, migrated_url), add(run, migrated_url, name="other")
    result = {"result_data": json.dumps({"status": 204, "answer": "thanks"})}
    deliver(migrated_url, 1, "Completed", webhook=webhook)
    execute(migrated_url, f"UPDATE hammerwork_jobs SET result_data = '{json.dumps(json.loads(result['result_data']))}'")
    deliver(migrated_url, 2, "Dead", webhook=webhook)
    deliver(migrated_url, 3, webhook=webhook)
    deliver(migrated_url, 4, "Dead", webhook=other)
    env = {"HAMMERWORK_NOW": (NOW + timedelta(minutes=1)).isoformat()}

    def ask(*words: str) -> Any:
        return run("webhook", *words, "--format", "json", url=migrated_url, env=env).json

    found = ask("deliveries", "chat")
    assert [(one["job_id"], one["status"]) for one in found] == [
        (identity(1), "Completed"),
        (identity(2), "Dead"),
        (identity(3), "Pending"),
    ]
    assert list(found[0])[:6] == DELIVERY_KEYS
    assert (found[0]["type"], found[0]["answer"], found[0]["http_status"]) == ("job.dead", "thanks", 204)
    assert (found[1]["answer"], found[1]["attempts"], found[2]["answered_at"]) == ("broken 2", 3, None)
    assert [one["job_id"] for one in ask("deliveries", "chat", "--failed")] == [identity(2)]
    assert [(one["job_id"], one["webhook"]) for one in ask("deliveries", "--failed")] == [
        (identity(2), "chat"),
        (identity(4), "other"),
    ]
    assert [one["job_id"] for one in ask("deliveries", "chat", "--since", "150s")] == [identity(1)]
    stats = {one["name"]: one for one in ask("stats", "--since", "1d")}
    counts = ("deliveries", "delivered", "open", "given_up")
    assert [stats["chat"][name] for name in counts] == [3, 1, 1, 1]
    assert [stats["other"][name] for name in counts] == [1, 0, 0, 1]

    def replay(*words: str) -> Any:
        return run("webhook", "replay", "chat", *words, url=migrated_url, env=env)

    assert "Deliver 1 event to chat again?" in replay().stderr
    assert replay("--yes").stdout == "1 event will be delivered again.\n"
    assert dict(rows(migrated_url))[identity(2)] == "Pending"
    assert run("job", "cancel", identity(2), "--yes", url=migrated_url, env=env).exit_code == 0
    assert ask("deliveries", "chat", "--failed") == []
    assert replay("--yes").stdout == "0 events will be delivered again.\n"
    assert replay("--all", "--yes").stdout == "2 events will be delivered again.\n"
    assert dict(rows(migrated_url)) == {
        **dict.fromkeys(map(identity, (1, 2, 3)), "Pending"),
        identity(4): "Dead",
    }


def test_the_deliveries_of_all_webhooks_have_the_names_that_these_have_now(run: Run, lite_url: str) -> None:
    chat, gone = add(run, lite_url), add(run, lite_url, name="gone")
    deliver(lite_url, 1, webhook=chat)
    deliver(lite_url, 2, webhook=gone)
    run("webhook", "update", "chat", "--name", "talk", url=lite_url)
    run("webhook", "remove", "gone", "--yes", url=lite_url)
    lines = run("webhook", "deliveries", url=lite_url).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["webhook", "talk", "chat"]
    assert not run("webhook", "deliveries", "talk", url=lite_url).stdout.startswith("webhook")


def test_lists_without_rows_say_so(run: Run, lite_url: str) -> None:
    assert "To add one: hammerwork webhook add" in run("webhook", "list", url=lite_url).stderr
    add(run, lite_url)
    assert run("webhook", "deliveries", "chat", url=lite_url).stderr == "There are no such deliveries.\n"
    assert run("webhook", "deliveries", "chat", "--format", "json", url=lite_url).json == []


def test_a_list_says_what_is_wrong_with_a_webhook(run: Run, lite_url: str) -> None:
    add(run, lite_url)
    since = (NOW - GIVEN_UP_AFTER).strftime("%Y-%m-%d %H:%M:%S.000000")
    execute(lite_url, f"UPDATE hammerwork_webhooks SET failing_since = '{since}', last_answer = '503 over\nloaded'")
    env = {"HAMMERWORK_NOW": NOW.isoformat()}
    assert "failing for 5d: 503 over" in run("webhook", "list", url=lite_url, env=env).stdout
    assert "path-of-secrets" not in run("webhook", "list", url=lite_url, env=env).stdout


def test_a_list_on_a_terminal_says_what_is_wrong_and_leaves_out_the_events_first(
    run: Run, lite_url: str, on_terminal: Callable[..., str]
) -> None:
    add(run, lite_url, to="https://chat.example/hook")
    why = "The receiver no longer wants deliveries (410 Gone)."
    run("webhook", "disable", "chat", "--reason", why, url=lite_url)
    wide, usual = (on_terminal("webhook", "list", url=lite_url, width=width) for width in (160, 80))
    assert "job.dead, job.timed_out" in wide
    assert "events" not in usual
    for shown in (wide, usual):
        assert "https://chat.example" in shown
        assert all(word in shown for word in ["disabled:", *why.split()])
    assert "…" not in usual
    assert max(map(len, usual.splitlines())) <= 80


# Trying.


def test_a_test_shows_the_request_and_the_answer_and_fails_unless_it_is_2xx(
    run: Run, lite_url: str, receiving: Any, tmp_path: Path
) -> None:
    receiver = receiving(answer("500 Internal Server Error", b"no\x1b[31m"), answer("204 No Content"))
    token = kept(tmp_path, "t0ken-of-test")
    target = f"{receiver.url}/a/path-of-secrets?b=1"
    add(run, lite_url, "--allow-private", "--include-payload", "--auth-token", *token, to=target)
    run("webhook", "disable", "chat", url=lite_url)
    failed = run("webhook", "test", "chat", "--queue", "reports", url=lite_url)
    assert failed.exit_code == 1
    assert failed.stderr == "Error: The receiver answered 500.\n  Only 2xx means that it has the event.\n"
    assert failed.stdout.startswith("> POST ")
    assert "/a/***?b=1 HTTP/1.1\n" in failed.stdout
    assert "> Authorization: Bearer ***" in failed.stdout
    assert "< 500 after" in failed.stdout
    assert "\x1b" not in failed.stdout
    sent = json.loads(receiver.arrived[0].body)
    assert (sent["type"], sent["data"]["queue"]) == ("job.completed", "reports")
    assert sent["data"]["payload"] == {"to": "ada@example.org"}
    assert receiver.arrived[0].headers["authorization"] == "Bearer t0ken-of-test"
    write(lite_url, job(5, JobStatus.DEAD))
    done = run(
        "webhook", "test", "chat", "--event-type", "dead", "--job", identity(5)[:8], "--format", "json", url=lite_url
    )
    assert (done.exit_code, done.json["status"], done.json["event"]["data"]["error"]) == (0, 204, "broken 5")
    assert "t0ken" not in done.stdout + failed.stdout + failed.stderr


def test_a_row_with_other_values_than_texts_is_sent_as_texts(run: Run, lite_url: str, receiving: Any) -> None:
    receiver = receiving(answer())
    add(run, lite_url, "--allow-private", to=receiver.url)
    execute(lite_url, """UPDATE hammerwork_webhooks SET headers = '{"X-A": 5}', auth = '{"bearer": [1]}'""")
    assert run("webhook", "test", "chat", url=lite_url).exit_code == 0
    assert (receiver.arrived[0].headers["x-a"], receiver.arrived[0].headers["authorization"]) == ("5", "Bearer [1]")


def test_a_test_that_nobody_answers_says_why(run: Run, lite_url: str) -> None:
    add(run, lite_url, "--allow-private", to="http://127.0.0.1:1/")
    refused = run("webhook", "test", "chat", url=lite_url)
    assert (refused.exit_code, refused.stdout.splitlines()[-1][:11]) == (1, "< no answer")
    assert refused.stderr == "Error: 127.0.0.1:1 accepts no connections.\n"
    unset = add(run, lite_url, "--secret", "env:NOT_SET_ANYWHERE", name="unset")
    said = run("webhook", "test", unset, url=lite_url)
    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr.startswith("Error: The variable NOT_SET_ANYWHERE is not set. Set it for this program")


def test_a_test_about_a_job_has_an_event_of_a_job(run: Run, lite_url: str) -> None:
    write(lite_url, job(1))
    add(run, lite_url, "--allow-private", to="https://127.0.0.1:1/")
    run("streaming", "add", "--name", "chat", "--backend", "command", "--command", "cat", "--no-test", url=lite_url)
    for group in ("webhook", "streaming"):
        words = (group, "test", "chat", "--job", identity(1), "--event-type")
        for event in EventType:
            tried = run(*words, event, url=lite_url)
            refused = (2, True) if not event.is_of_job else (1, False)
            assert (tried.exit_code, f"An event {event} is not about a job." in tried.stderr) == refused


def test_an_id_means_what_has_it_whatever_has_it_as_a_name(run: Run, migrated_url: str) -> None:
    more = {
        "webhook": ("--url", URL),
        "streaming": ("--backend", "command", "--command", "cat", "--no-test"),
    }
    for group, given in more.items():
        first, second = (
            run(group, "add", "--name", name, *given, url=migrated_url).stdout.strip() for name in ("one", "two")
        )
        for verb in (("add", *given), ("update", "two")):
            refused = run(group, *verb, "--name", first, url=migrated_url)
            assert (refused.exit_code, "cannot be a UUID" in refused.stderr) == (2, True)
        # An earlier version, or SQL, has written such a name; and it is the first one in a list.
        execute(
            migrated_url,
            f"UPDATE hammerwork_{'webhooks' if group == 'webhook' else 'streams'} "
            f"SET name = '{first}' WHERE id = '{second}'",
        )
        shown = run(group, "show", first, "--format", "json", url=migrated_url)
        assert (shown.json["id"], shown.json["name"]) == (first, "one")


def test_the_example_of_each_event_fits_the_schema(run: Run) -> None:
    schema = json.loads(run("schema", "event").stdout)
    for event in EventType:
        validate(sample(event, NOW).record(), schema)


def test_an_event_that_needs_a_person_says_why_in_one_line() -> None:
    for event in (*DEFAULT_EVENTS, EventType.TREE_FAILED, EventType.JOB_RETRIED):
        data = sample(event, NOW).data
        assert len(data["reason"].splitlines()) == 1
        assert data.get("error") is None or len(data["error"].splitlines()) > 1 or data["error"] == data["reason"]


# Version 3 of hammerwork (Rust).


def test_the_webhooks_of_version_3_are_taken_over_once(run: Run, lite_url: str, tmp_path: Path) -> None:
    done = run("webhook", "import", str(WEBHOOKS), url=lite_url)
    assert (done.exit_code, done.stdout) == (0, "Added pager.\nAdded silent.\n")
    pager, silent = (show(run, lite_url, name) for name in ("pager", "silent"))
    assert (pager["body"], pager["events"], pager["queues"]) == ("original", ["job.dead", "job.failed"], ["mail"])
    assert (pager["enabled"], silent["enabled"]) == (True, False)
    again = run("webhook", "import", str(WEBHOOKS), url=lite_url)
    assert (again.exit_code, again.stdout) == (0, "No webhook was added.\n")
    notes = ["'pager' already exists, and stays as it is.", "'silent' already exists, and stays as it is."]
    assert again.stderr.splitlines()[:2] == notes
    broken = tmp_path / "webhooks.json"
    broken.write_text(json.dumps([{"name": "odd"}, 3]))
    odd = run("webhook", "import", str(broken), url=lite_url)
    assert (odd.exit_code, odd.stderr.count("was not imported")) == (1, 2)
    assert odd.stderr.endswith("Error: 2 webhooks could not be imported.\n")
    named_as_id = json.loads(WEBHOOKS.read_text())[0] | {"name": identity(1)}
    broken.write_text(json.dumps([named_as_id]))
    assert "cannot be a UUID" in run("webhook", "import", str(broken), url=lite_url).stderr


def test_the_file_of_version_3_is_found_and_config_show_names_the_command(
    run: Run, lite_url: str, tmp_path: Path
) -> None:
    env = {"HAMMERWORK_WEBHOOKS_FILE": str(WEBHOOKS)}
    assert "Take them over: hammerwork webhook import" in run("config", "show", url=lite_url, env=env).stderr
    assert run("webhook", "import", url=lite_url, env=env).stdout == "Added pager.\nAdded silent.\n"
    missing = run("webhook", "import", url=lite_url, env={"HAMMERWORK_WEBHOOKS_FILE": str(tmp_path / "none")})
    assert (missing.exit_code, missing.stdout) == (2, "")


# Secrets.


def test_no_secret_leaves_the_database(run: Run, lite_url: str, tmp_path: Path) -> None:
    secrets = ["s3cret-of-signing", "s3cret-of-token", "s3cret-of-header"]
    signing, token, new = kept(tmp_path, *secrets[:2], "s3cret-that-is-new")
    webhook = add(run, lite_url, "--secret", signing, "--auth-token", token, "--header", f"X-Key={secrets[2]}")
    assert run("webhook", "rotate-secret", "chat", "--secret", new, url=lite_url).exit_code == 0
    deliver(lite_url, 1, "Dead", webhook=webhook)
    backup = tmp_path / "backup.jsonl"
    shown = [
        run(*line.split(), url=lite_url)
        for line in (
            "webhook list --detailed --format json",
            "webhook show chat",
            "webhook show chat --format csv --debug",
            "webhook test chat --format json --debug",
            "webhook update chat --method GET --debug",
            "webhook update chat --max-retries 3 --format json",
            "webhook deliveries chat --format json",
            f"job show {identity(1)} --full --format json",
            f"job export --queue {DELIVERIES}",
            f"backup create -o {backup}",
            "webhook remove chat --yes --format json",
        )
    ]
    everything = "".join(one.stdout + one.stderr for one in shown) + backup.read_text()
    assert "s3cret" not in everything
