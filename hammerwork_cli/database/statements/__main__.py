"""``python -m hammerwork_cli.database.statements``: prints a statement as a database gets it, or the names of all."""

import argparse
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from difflib import get_close_matches

from hammerwork_cli.database.statements import (
    FOLDER,
    GROWN,
    NAME,
    TOKEN,
    StatementLine,
    blocks,
    file_of,
    load,
    subject_of,
)

DIALECTS = ("postgresql", "mysql", "sqlite")
WAYS = frozenset({"by_gin", "by_scan"})
_DESCRIPTION = """\
Prints a statement as a database gets it, with the names of its values. Without NAME, prints the names of all
statements; with the name of a file or folder, of those in it.
"""
_TAGS = "variant to print, such as postgresql original; default: each database after all migrations"
_GIVEN = "leave out the lines for which these values are not enough; default: print all, with their conditions"


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints what the arguments ask for; a wrong name or tag ends the program with exit code 2."""
    parser = argparse.ArgumentParser("python -m hammerwork_cli.database.statements", description=_DESCRIPTION)
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="such as spawn.operations.list")
    parser.add_argument("--tags", nargs="+", metavar="TAG", help=_TAGS)
    parser.add_argument("--given", nargs="*", metavar="VALUE", help=_GIVEN)
    wanted = parser.parse_args(arguments)
    try:
        lines = list(_listed(wanted.name)) or list(_printed(wanted.name, wanted.tags, wanted.given))
    except LookupError as error:
        parser.error(error.args[0])
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def subjects() -> list[str]:
    """The subjects of all files, as the names of statements begin."""
    files = [(file.parts[-3], file.stem) for file in FOLDER.glob("*/sql/*.sql")]
    return ["shared", *sorted(name if name == feature else f"{feature}.{name}" for feature, name in files)]


def fragments() -> set[str]:
    """The blocks that are parts of others; all others are statements."""
    return {
        f"{subject_of(subject, token['block'])}.{token['block']}"
        for subject in subjects()
        for variants in blocks(subject).values()
        for _, sql in variants
        for token in TOKEN.finditer(sql)
        if token["block"]
    }


def _listed(start: str) -> Iterator[str]:
    parts = fragments()
    for subject in subjects():
        if f"{subject}.".startswith(f"{start}." if start else ""):
            for name, sentence in _sentences(subject).items():
                if f"{subject}.{name}" not in parts:
                    yield f"{subject}.{name}: {sentence}"


def _sentences(subject: str) -> dict[str, str]:
    """Name -> the first sentence of the comment of its first variant."""
    text = file_of(subject).read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for head in NAME.finditer(text):
        comment = re.match(r"(?:\n--.*)*", text[head.end() :])
        words = " ".join(line.removeprefix("--").strip() for line in (comment[0] if comment else "").splitlines())
        found.setdefault(head["name"], re.split(r"(?<=\.) ", words.strip())[0])
    return found


def _printed(name: str, tags: Sequence[str] | None, given: Collection[str] | None) -> Iterator[str]:
    """The text for each database, once where several get the same."""
    variants = _variants(name)
    _check(tags or (), _known_tags(), "tag")
    texts: dict[str, list[str]] = {}
    conditions: set[str] = set()
    for dialect in [dialect for dialect in DIALECTS if dialect in (tags or DIALECTS)] or DIALECTS:
        chosen = _complete({dialect, *(("current",) if tags is None else set(tags) - set(DIALECTS))})
        if any(wanted <= chosen for wanted in variants):
            lines = load(name, chosen)
            conditions |= {line.condition for line in lines if line.condition}
            texts.setdefault(_written(lines, given), []).append(dialect)
    if not texts:
        exist = ", ".join(sorted(" ".join(sorted(wanted)) for wanted in variants))
        raise LookupError(f"{name} has no variant for {' '.join(tags or DIALECTS)}. It has: {exist}.")
    _check(given or (), conditions, "condition")
    for text, dialects in texts.items():
        if len(texts) > 1:
            yield f"-- {', '.join(dialects)}"
        yield text


def _variants(name: str) -> list[frozenset[str]]:
    every = [f"{subject}.{block}" for subject in subjects() for block in blocks(subject)]
    if name not in every:
        close = get_close_matches(name, every, 3)
        raise LookupError(f"No statement {name!r}." + (f" Did you mean {' or '.join(close)}?" if close else ""))
    subject, _, block = name.rpartition(".")
    return [wanted for wanted, _ in blocks(subject)[block]]


def _known_tags() -> set[str]:
    found = {
        tag for subject in subjects() for variants in blocks(subject).values() for tags, _ in variants for tag in tags
    }
    return {*DIALECTS, *WAYS, *GROWN, "current", "original", "rust_3", *found}


def _check(words: Collection[str], known: Collection[str], kind: str) -> None:
    unknown = [word for word in words if word not in known]
    if unknown:
        raise LookupError(f"No {kind} {unknown[0]!r}. Choose from: {', '.join(sorted(known)) or 'none'}.")


def _complete(tags: set[str]) -> frozenset[str]:
    """The tags with those that they lead to, as ``Database.tags`` has them."""
    if "current" in tags:
        return frozenset(tags | GROWN.keys())
    way = {"by_gin" if "postgresql" in tags and "jsonb" not in tags else "by_scan"}
    return frozenset(tags | {"original"} | (tags & WAYS or way))


def _written(lines: Sequence[StatementLine], given: Collection[str] | None) -> str:
    written = []
    for condition, parts in lines:
        text = "".join(part + (f":{value}" if value else "") for part, value in parts).strip()
        if text and (condition is None or given is None or condition in given):
            written.append(f"/* if :{condition} */ {text}" if condition and given is None else text)
    return "\n".join(written)


if __name__ == "__main__":
    main()
