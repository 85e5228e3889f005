"""``hammerwork spawn compare``."""

import re
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import Format, FormatOption
from hammerwork_cli.errors import ShownAnswerError, UsageError
from hammerwork_cli.features.spawn.commands.arguments import charset_option
from hammerwork_cli.features.tree.views.picture import Charset


def compare(
    context: Context,
    a: Annotated[str, typer.Argument(metavar="A", help="A job of the first tree, the baseline.")],
    b: Annotated[str, typer.Argument(metavar="B", help="A job of the second tree.")],
    fail_above: Annotated[
        str | None,
        typer.Option("--fail-above", metavar="PERCENT", help="Exit with 1 if B took this much longer than A: 20%."),
    ] = None,
    charset: Annotated[Charset | None, charset_option("table")] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    Times are those of `spawn timeline`. A tree with open jobs counts until now. With --fail-above, the exit code is 1
    when B took longer than A by more than that; otherwise it is 0.

    \b
    Examples:
      hammerwork spawn compare 178ebfc3 2e16ca09
      hammerwork spawn compare 178ebfc3 2e16ca09 --fail-above 20%
      hammerwork spawn compare 178ebfc3 2e16ca09 --format json | jq .change
    """
    from hammerwork_cli.features.job.queries import listing
    from hammerwork_cli.features.spawn.models.comparison import Comparison
    from hammerwork_cli.features.spawn.queries import timeline
    from hammerwork_cli.features.spawn.views import comparison as views

    most = _share(fail_above)
    database = context.database()
    now = context.now(database)
    first, second = (listing.resolve(database, job) for job in (a, b))
    found = Comparison(timeline.timeline(database, first, now=now), timeline.timeline(database, second, now=now))
    context.answer(
        views.COMPARISON.record(views.JudgedComparison(found, most)),
        form,
        lambda: views.comparison_text(
            found, charset=charset or context.charset, width=context.width, colour=context.colour
        ),
    )
    if most is not None and found.exceeds(most):
        raise ShownAnswerError(views.verdict(found))


def _share(text: str | None) -> float | None:
    """Reads a percentage as a part of a whole: 0.2 for ``20%`` or ``20``."""
    if text is None:
        return None
    number = text.strip().removesuffix("%").rstrip()
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", number):
        raise UsageError(f"{text[:40]!r} is not a percentage.", hint="Write --fail-above 20%.")
    return float(number) / 100
