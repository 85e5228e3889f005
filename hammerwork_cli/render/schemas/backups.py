"""What files of jobs did."""

from hammerwork_cli.render.schemas.jobs import STATUS
from hammerwork_cli.render.schemas.words import count, counts, flag, job_id, list_of, null_or, record, text

IMPORT = record(
    {
        "dry_run": flag(),
        "id": null_or(job_id("Of the exported job, as it is in this database; null in a dry run")),
        "jobs": count(),
        "by": list_of(record({"queue": text(), "status": STATUS, "jobs": count()})),
        "records": counts("Other records, by table of the file"),
        "outside": list_of(job_id(), "Parents that the file does not have"),
        "unscheduled": count("Jobs that lost their schedule"),
        "mentioned": count("Jobs of the file whose old ids payloads mention"),
    }
)
