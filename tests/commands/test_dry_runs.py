"""Each verb with ``--dry-run`` says what it would change, and changes nothing."""

from collections.abc import Callable
from typing import Any

Run = Callable[..., Any]
MADE = (
    "webhook add --name chat --url https://h.example/",
    "streaming add --name lake -b command --command cat --no-test",
    "cron create -q mail -j {} -s @daily --name night",
    "archive set-policy --queue mail --action delete --older-than 30d --yes",
)
LISTS = ("webhook list", "streaming list", "cron list", "archive policies")
SAID = {
    "webhook remove chat": "Would remove chat.\n",
    "webhook replay chat": "0 events would be delivered again.\n",
    "streaming remove lake": "Would remove lake.\n",
    "cron disable night": "night would be disabled.\n",
    "cron disable --all": "night would be disabled.\n",
    "cron enable night": "night was already enabled.\n",
    "archive remove-policy --queue mail": "Would remove the policy of mail.\n",
    "maintenance reindex": "Would ",
}


def test_a_dry_run_says_what_would_change_and_changes_nothing(run: Run, migrated_url: str) -> None:
    for line in MADE:
        done = run(*line.split(), url=migrated_url)
        assert done.exit_code == 0, done.stderr

    def state() -> list[Any]:
        return [run(*line.split(), "--format", "json", url=migrated_url).json for line in LISTS]

    before = state()
    for words, said in SAID.items():
        done = run(*words.split(), "--dry-run", url=migrated_url)
        assert (done.exit_code, done.stdout[: len(said)]) == (0, said), (words, done)
        assert run(*words.split(), "--dry-run", "--format", "json", url=migrated_url).exit_code == 0
    assert state() == before
