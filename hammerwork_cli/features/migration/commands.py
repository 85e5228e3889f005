"""``hammerwork migration``: the tables."""

from itertools import chain
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import Format, FormatOption, YesOption
from hammerwork_cli.cli.progress import progress_bar
from hammerwork_cli.cli.verb import group
from hammerwork_cli.database import Database
from hammerwork_cli.errors import ShownAnswerError
from hammerwork_cli.features.migration import queries as migrations
from hammerwork_cli.features.migration import views as shown
from hammerwork_cli.features.migration.model import Migration, MigrationState, RustVersion
from hammerwork_cli.view.text import count, plural, visible

app = group(
    "migration status",
    "migration run --dry-run",
    "migration run",
)

RustOption = Annotated[
    RustVersion | None,
    typer.Option("--rust", help="Include the migrations of this version of the Rust program."),
]


@app.verb("run")
def run(
    context: Context,
    drop: Annotated[
        bool, typer.Option("-d", "--drop", help="First drop all tables of the migrations, with all jobs.")
    ] = False,
    yes: YesOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, or what --drop would remove; change nothing.")
    ] = False,
    rust: RustOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Apply missing migrations, finish interrupted ones, and create tables and columns that applied ones lack.

    The command shares its records with hammerwork (Rust): each program sees which migrations the other applied, and
    Rust workers continue to work on the tables. --rust 3 also applies the migrations of version 3, so you do not need
    the Rust program for them. You can run the command twice, even at the same time; runs of either program wait for
    each other.

    \b
    Examples:
      hammerwork migration run
      hammerwork migration run -u postgresql://app@db.example.org/jobs
      hammerwork migration run --rust 3 --dry-run
      hammerwork migration run --drop --dry-run
    """
    database = context.database(create=not dry_run, changes=not dry_run)
    if dry_run:
        _look(context, database, form, drop=drop, rust=rust)
        return
    if drop:
        _drop(context, database, form, yes=yes)
    warnings: dict[str, list[str]] = {}

    def warn(migration: Migration, text: str) -> None:
        warnings.setdefault(migration.id, []).append(text)
        context.note(visible(text))

    rewrites = {row.migration.id: [*shown.rewrite_texts([row])] for row in migrations.plan(database, rust)}
    for text in chain.from_iterable(rewrites.values()):
        context.note(f"{text}.")

    def tell(migration: Migration, done: int, total: int) -> None:
        todo = rewrites.get(migration.id) or [f"Alters or indexes a table for {migration.id}"]
        context.busy_with = f"{'. '.join(todo)}, unless it waits for a lock of another session"
        report(migration.id, done, total)

    with progress_bar(context) as report:
        applied = migrations.run(
            database,
            tell,
            lambda who: _note_wait(context, who),
            warn,
            rust,
        )
    states = [state for state in migrations.status(database) if state.migration in applied]
    warned = [state._replace(warnings=tuple(warnings.get(state.migration.id, ()))) for state in states]
    _show(context, warned, form)
    for warning in shown.fit_warnings(migrations.rust_fit(database), rust):
        context.note(warning)


@app.verb("status")
def status(
    context: Context,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 unless every migration is applied.")] = False,
    rust: RustOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show every migration: applied, incomplete, pending, or partial (interrupted, or applied without a record).

    An incomplete migration is recorded as applied, but some of its tables, columns or indexes are missing. `migration
    run` creates them, applies pending migrations and finishes partial ones. A note says which version of the Rust
    program the tables suit. --rust 3 also shows the migrations that version 3 lacks.

    \b
    Examples:
      hammerwork migration status
      hammerwork migration status --check --quiet || hammerwork migration run
      hammerwork migration status --rust 3 --check
      hammerwork migration status --format json | jq -e 'all(.applied)'
    """
    database = context.database()
    states = migrations.status(database, rust)
    _show(context, states, form)
    if form is Format.TABLE and not all(state.applied for state in states):
        context.note(shown.unapplied_text(states, rust))
    _note_fit(context, database, rust)
    unapplied = sum(not state.applied for state in states)
    if check and unapplied:
        raise ShownAnswerError(f"{unapplied} of {plural(len(states), 'migration')} are not applied.")


@app.verb("plan")
def plan(context: Context, rust: RustOption = None, form: FormatOption = Format.TABLE) -> None:
    """Show the statements that `migration run` would send, below a summary. Changes nothing.

    \b
    Examples:
      hammerwork migration plan
      hammerwork migration plan --format json | jq -r '.[].id'
    """
    _plan(context, context.database(), form, rust)


def _note_wait(context: Context, who: str) -> None:
    context.note(f"{who} is in progress. Waiting for it to end, for ten minutes at most.")


def _note_fit(context: Context, database: Database, rust: RustVersion | None) -> None:
    fit = migrations.rust_fit(database)
    if text := shown.fit_text(fit):
        context.note(text)
    for warning in shown.fit_warnings(fit, rust):
        context.note(warning)


def _show(context: Context, states: list[MigrationState], form: Format) -> None:
    context.show(
        states,
        form,
        columns=shown.STATES,
        shape=shown.MIGRATION_STATE,
        empty="Nothing to do: every migration is applied.",
    )


def _plan(context: Context, database: Database, form: Format, rust: RustVersion | None) -> None:
    planned = migrations.plan(database, rust)
    if form is not Format.TABLE:
        context.data(map(shown.MIGRATION_PLAN.record, planned), form, shown.MIGRATION_PLAN.columns)
    elif planned:
        context.lines(map(context.runnable, shown.plan_text(planned, rust)))
    else:
        context.note("Nothing to do: every migration is applied.")
    _note_fit(context, database, rust)


def _look(context: Context, database: Database, form: Format, *, drop: bool, rust: RustVersion | None) -> None:
    if not drop:
        _plan(context, database, form, rust)
        return
    context.show(
        migrations.contents(database),
        form,
        columns=shown.TABLES,
        shape=shown.TABLE,
        empty="There is nothing to remove.",
    )


def _drop(context: Context, database: Database, form: Format, *, yes: bool) -> None:
    found = migrations.contents(database)
    if not found:
        return
    for row in found:
        context.note(f"  {row.table}: {plural(row.rows, 'row')}")
    jobs = sum(row.rows for row in found if row.table == "hammerwork_jobs")
    question = f"Remove these {count(len(found))} tables and {plural(jobs, 'job')} for good?"
    context.confirm(question, yes=yes, form=form, plan=shown.TABLE.records(found))
    migrations.drop(database, lambda who: _note_wait(context, who))
