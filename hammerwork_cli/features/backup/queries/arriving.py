"""Changes a record on its way into another database: new ids, another queue, another chance to run."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import blake2b
from os import urandom
from typing import TYPE_CHECKING, Any, NamedTuple

from hammerwork_cli.core.encryption import SEALED_COLUMNS, Sealed
from hammerwork_cli.core.input.limits import LONGEST_NAME
from hammerwork_cli.core.input.reading import UUID_PATTERN
from hammerwork_cli.core.payloads import unpacked
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.archive.models.rows import restored, to_run_again
from hammerwork_cli.features.backup.models.tables import TABLES, ColumnKind, OtherColumns, Record, given_back, unclaimed
from hammerwork_cli.features.tree.ancestry import Ancestry
from hammerwork_cli.features.tree.queries.joins import is_join, marks
from hammerwork_cli.features.tree.queries.release import spawner_of

if TYPE_CHECKING:
    from hammerwork_cli.core.encryption import Keys

_ID = re.compile(UUID_PATTERN)


class ImportOptions(NamedTuple):
    pending: bool = False  # every job runs again; otherwise all stay as they were
    new_ids: bool = False  # every job gets another id
    prefix: str = ""  # begins the names of queues
    without: tuple[str, ...] = ()  # columns to leave out, of those that this version does not know


@dataclass(slots=True)
class IncomingRecords:
    """Changes the records of a file as the options of an import say."""

    options: ImportOptions
    now: datetime
    # Word of a table -> the columns of this database that this version does not know.
    others: Mapping[str, OtherColumns]
    keys: "Keys | None" = None  # for payloads that are encrypted, and belong to the id and the queue of their jobs
    known: set[str] = field(default_factory=set)  # the ids that the file itself gives to jobs and records
    jobs: set[str] = field(default_factory=set)  # the ids of jobs among them
    parents: set[str] = field(default_factory=set)  # the ids of jobs that have children in the file
    mentioned: set[str] = field(default_factory=set)  # ids of jobs that were found in payloads
    unscheduled: int = 0  # jobs that lost their schedule
    _salt: bytes = field(default_factory=lambda: urandom(16))

    def id(self, old: str) -> str:
        """The id in place of one of the file; others stay."""
        if not self.options.new_ids or old not in self.known:
            return old
        digits = blake2b(old.encode(), key=self._salt, digest_size=16).hexdigest()
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

    def changed(self, word: str, values: Record) -> tuple[str, Record]:
        """The word of the table and the values of a row that arrives."""
        came_as = values
        if word in {"jobs", "archive"}:
            values = values | {"ancestry": self._counted_here(values["ancestry"])}
            word, values = self._job(word, values)
        elif word == "requests" and self.options.pending and values["state"] in {"pending", "running"}:
            values = values | {
                "state": "failed",
                "ended_at": self.now,
                "error_message": "not taken along by job import",
            }
        elif word == "requests":
            values = given_back(values)
        if self.options.prefix and values.get("queue_name") is not None:
            values = values | {"queue_name": self.options.prefix + values["queue_name"]}
            if len(values["queue_name"]) > LONGEST_NAME:
                raise UsageError(f"With the prefix, the name of its queue has more than {LONGEST_NAME} characters.")
        if self.options.new_ids:
            values = self._with_new_ids(word, values)
        if word in {"jobs", "archive"} and values["is_encrypted"]:
            values = self._encrypted(came_as, values)
        return word, values

    def _counted_here(self, ancestry: str | None) -> str | None:
        """The place of a job without the joins that are not in the file: they have not counted it."""
        outside = set(marks(ancestry)) - self.jobs
        if not outside:
            return ancestry
        place = Ancestry.unplaced(ancestry)
        joins, joined = (tuple(join for join in found if join in self.jobs) for found in (place.joins, place.joined))
        return place._replace(joins=joins, joined=joined).stored()

    def _encrypted(self, old: Record, new: Record) -> Record:
        """A job whose payload is encrypted, in a form that can be decrypted with its new id and queue."""
        if (old["id"], old["queue_name"]) == (new["id"], new["queue_name"]):
            return new
        text = old["payload"] if isinstance(old["payload"], str) else unpacked(old["payload"]) or "null"
        sealed = Sealed(text, *(old[name] for name in SEALED_COLUMNS))
        if not sealed.is_bound:
            return new
        if self.keys is None:
            raise UsageError(
                f"Its payload is encrypted for its id and its queue ({sealed}): with --encryption-key, it is encrypted"
                " anew."
            )
        plain = self.keys._opened(sealed, old["id"], old["queue_name"])
        how = replace(sealed.encryption, key_id=old["encryption_key_id"])
        _, columns = self.keys._sealed(plain, new["id"], new["queue_name"], how, self.now)
        kept = ("retention_policy", "retention_delete_at")
        return new | {name: value for name, value in columns._asdict().items() if name not in kept}

    def _job(self, word: str, values: Record) -> tuple[str, Record]:
        if values["recurring"] or values["cron_schedule"]:
            # Beside the recurring job of the other database, this one would run twice at each time.
            self.unscheduled += 1
            values |= {"recurring": False, "cron_schedule": None, "timezone": None, "next_run_at": None}
        if self.options.new_ids:
            self._look_for_ids(values["payload"])
        if not self.options.pending:
            return word, unclaimed(values) if word == "jobs" else values
        if word == "archive":
            values = self._unarchived(values)
        elif values["payload"] is None:
            raise UsageError("It has no payload.")
        parents = tuple(parent for parent in values["depends_on"] or () if parent in self.jobs)
        waits = bool(parents) and (set(parents) != {spawner_of(values["ancestry"])} or is_join(values["ancestry"]))
        state = "waiting" if waits else "satisfied" if parents else "none"
        return "jobs", to_run_again(values, self.now, state) | {"depends_on": parents}

    def _unarchived(self, values: Record) -> Record:
        """A row of the archive as one of the job table."""
        job = restored(values, self.others.get("jobs", {}), self.options.without)
        if job is None:
            raise UsageError("The payload of an archived job cannot be read: it can only be imported as it was.")
        return job

    def _look_for_ids(self, payload: Any) -> None:
        for found in _ID.findall(payload) if isinstance(payload, str) else ():
            if found.lower() in self.jobs:
                self.mentioned.add(found.lower())

    def _with_new_ids(self, word: str, values: Record) -> Record:
        changed = dict(values)
        others = {name: other.kind for name, other in self.others.get(word, {}).items()}
        for name, kind in (*TABLES[word].columns.items(), *others.items()):
            value = values.get(name)
            if value is not None and (kind is ColumnKind.ID or (name in others and value in self.known)):
                changed[name] = self.id(value)  # MySQL has ids in columns of texts
            elif value is not None and kind is ColumnKind.IDS:
                changed[name] = tuple(map(self.id, value))
        if values.get("ancestry") is not None:
            changed["ancestry"] = _ID.sub(lambda found: self.id(found[0].lower()), values["ancestry"])
        return changed


def spawn_record(job: str, now: datetime, identity: str, children: int) -> Record:
    """A record that lets a parent not spawn again the children that it was imported with."""
    made: Record = dict.fromkeys(TABLES["operations"].columns)
    return made | {
        "id": identity,
        "parent_id": job,
        "root_id": job,
        "depth": 0,
        "occurrence": "",
        "outcome": "spawned",
        "children": children,
        "started_at": now,
        "ended_at": now,
    }
