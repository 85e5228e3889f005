"""A timeline as a Mermaid Gantt chart."""

from collections.abc import Iterator

from hammerwork_cli.features.spawn.models.timeline import Timeline
from hammerwork_cli.features.spawn.views.timeline import Line, TimelineStyle, folded_steps, group_lines, length
from hammerwork_cli.features.tree.views.mermaid import MAX_CHARACTERS, label, utf16_units
from hammerwork_cli.view.text import plural, short_id, shorten, visible

MAX_TASKS = 300
_NAME_CELLS = 40


def gantt(found: Timeline, style: TimelineStyle) -> tuple[str, list[str]]:
    """Draws the critical path as tasks with ``crit``, and below it the groups of siblings; returns notes beside it.

    Each job of the path is a section with a task for each of its parts; the tasks in which it waits are ``done``.

    Args:
        style: its ``least`` folds shorter jobs.
    """
    notes: list[str] = []
    steps = list(folded_steps(found.path, style))
    if sum(len(line.spans) for line in steps) > MAX_TASKS:
        steps = list(folded_steps(found.path, TimelineStyle()))
        notes.append("The shortest jobs of the critical path share a section: Mermaid would not draw them all.")
    lines = [
        "gantt\n",
        f"  title {_title(found)}\n",
        "  dateFormat x\n",
        "  axisFormat %H:%M:%S\n",
        *(line for number, step in enumerate(steps) for line in _section(step, f"s{number}")),
    ]
    room = MAX_CHARACTERS - sum(map(utf16_units, lines))
    groups = [line for line in group_lines(found.siblings or (), style) if line.spans]
    heading = "  section Groups of siblings\n"
    room -= len(heading)
    drawn: list[str] = []
    for number, group in enumerate(groups):
        task = _group(group, f"g{number}")
        room -= utf16_units(task)
        if room < 0:
            notes.append(f"{plural(len(groups) - number, 'group')} of siblings left out: the chart would be too long.")
            break
        drawn.append(task)
    return "".join(lines + ([heading] if drawn else []) + drawn), notes


def _title(found: Timeline) -> str:
    tree = found.tree
    root = tree.nodes[found.root]
    return f"{_name(visible(root.queue))} {short_id(root.id)}, {length(found.length)}"


def _name(text: str) -> str:
    """A safe text as Mermaid shows it; never empty."""
    return label(shorten(text.strip(), _NAME_CELLS)) or "-"


def _section(step: Line, name: str) -> Iterator[str]:
    queue, _, job = step.label.rpartition(" ")
    yield f"  section {_name(queue)} {label(job)}\n" if queue else f"  section {_name(job)}\n"
    for number, (part, start, end) in enumerate(step.spans):
        done = "" if part == "running" else "done, "
        task = f"{part} {length(end - start)}"
        yield f"  {task} :crit, {done}{name}p{number}, {start // 1000}, {end // 1000}\n"


def _group(group: Line, name: str) -> str:
    start, end = group.spans[0][1], group.spans[-1][2]
    return f"  {_name(group.label)} {length(end - start)} :{name}, {start // 1000}, {end // 1000}\n"
