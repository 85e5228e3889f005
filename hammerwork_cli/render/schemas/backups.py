"""What files of jobs did."""

from hammerwork_cli.render.schemas.jobs import STATUS
from hammerwork_cli.render.schemas.words import count, counts, flag, instant, job_id, list_of, null_or, record, text

IMPORT = record(
    {
        "dry_run": flag(),
        "id": null_or(job_id("Id of the exported job in this database; null in a dry run")),
        "jobs": count(),
        "by": list_of(record({"queue": text(), "status": STATUS, "jobs": count()})),
        "records": counts("Other records, by table of the file"),
        "outside": list_of(job_id(), "Parents that the file does not have"),
        "unscheduled": count("Jobs that lost their schedule"),
        "mentioned": count("Jobs of the file whose old ids payloads mention"),
    }
)
_RECORDS = counts("Rows by table of the file")
_HEADER = {
    "kind": null_or(text("", "backup", "tree")),
    "created_at": null_or(instant()),
    "server": null_or(text("Product and version")),
}
BACKUP = record({"file": text(), "records": _RECORDS})
BACKUP_FILE = record({"name": text(), "bytes": count(), **_HEADER})
VERIFIED = record(
    {
        "file": text(),
        "whole": flag(),
        "error": null_or(text("Error in the file")),
        **_HEADER,
        "records": _RECORDS,
        "oldest": null_or(instant("First creation of a job")),
        "newest": null_or(instant("Last creation of a job")),
        "sha256": null_or(text()),
    }
)
RESTORED = record(
    {
        "dry_run": flag(),
        "by": list_of(record({"queue": text(), "status": STATUS, "jobs": count()}), "Jobs of the file"),
        "records": _RECORDS,
        "written": count("Records"),
        "existed": count("Records that already existed and were kept"),
        "replaced": count("Records that existed and were replaced"),
        "reset": count("Running jobs that become Pending"),
    }
)
COPIED = record(
    {
        "dry_run": flag(),
        "written": null_or(count("Records; null if nothing was copied")),
        "existed": null_or(count("Records that already existed and were kept")),
        "equal": {"type": ["boolean", "null"], "description": "Null in a dry run"},
        "compared": _RECORDS,
        "missing": counts("Rows that the copy lacks"),
        "different": counts("Rows of which the copy has another value"),
        "more": counts("Rows that only the copy has"),
        "columns": {
            "type": "object",
            "additionalProperties": list_of(text()),
            "description": "Table -> the columns in which rows differ",
        },
        "examples": list_of(text(), "Keys of some rows that are missing or different"),
    }
)
