"""The classes of commands: verbs with the shared options, and groups that are imported late."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from enum import StrEnum
from functools import cache
from importlib import import_module
from inspect import cleandoc
from itertools import pairwise
from typing import Annotated, Any, NamedTuple, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.exceptions import TyperException
from typer.main import get_command, get_group

from hammerwork_cli import compat
from hammerwork_cli.cli import given
from hammerwork_cli.cli.option_sets import for_typer
from hammerwork_cli.errors import UsageError

WIDEST = 11
"""Characters of the longest name of a group, so that all tables of the help begin in one column."""
WHOLE_SENTENCE = 1_000
"""A limit that no first sentence of a help reaches."""
ONLY_QUEUES = "hammerwork.only_queues"
"""Key of ``Context.meta`` of Click for the queues that a verb is limited to."""


Function = TypeVar("Function", bound=Callable[..., None])


class Color(StrEnum):
    """Use colours."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


def _options(
    database_url: Annotated[
        str | None,
        typer.Option(
            "-u",
            "--database-url",
            metavar="URL",
            help="URL of postgresql, mysql or sqlite; or @NAME.",
        ),
    ] = None,
    confirm_profile: Annotated[
        str | None,
        typer.Option("--confirm-profile", metavar="PROFILE", help="Change this profile without asking."),
    ] = None,
    color: Annotated[Color | None, typer.Option("--color", help="Use colours in text.", show_default=False)] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print no notes to stderr.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """The options that may stand before the group and after the verb."""


def _remember(ctx: typer.Context, param: typer.CallbackParam, value: Any) -> None:
    if value is None or value is False or not param.name:
        return
    if ctx.obj.options.setdefault(param.name, value) != value:
        raise _given_twice(param, [])


def _given_twice(option: Any, values: Sequence[Any]) -> UsageError:
    # The values may be secret.
    names = [option.secondary_opts[0] if value is False else option.opts[-1] for value in values]
    if len(set(names)) > 1:
        return UsageError(f"{' and '.join(dict.fromkeys(names))} contradict each other.", hint="Leave one of them out.")
    return UsageError(f"{option.opts[-1]} is given twice, with different values.", hint="It takes one: leave one out.")


def _refuse_quiet(words: Sequence[str]) -> None:
    """Refuses the ``-q`` of hammerwork (Rust), which prints less: here it would take the next option for a queue."""
    if any(one == "-q" and other.startswith("-") and other != "-" for one, other in pairwise(words)):
        raise UsageError(compat.QUIET[0], hint=compat.QUIET[1])


def _refuse_second_values(command: Any, ctx: Any, args: list[str]) -> None:
    """Refuses an option that takes one value and has two: whichever of them were dropped, somebody meant it.

    Raises UsageError if there is one.
    """
    keeping = copy(command)
    keeping.params = [_keeping_all(param) for param in command.params]
    parsed, _, _ = keeping.make_parser(ctx).parse_args(args=args)
    for param in command.params:
        values = parsed.get(param.name) or ()
        if param.param_type_name == "option" and not param.multiple and len(set(values)) > 1:
            raise _given_twice(param, values)


def _keeping_all(param: Any) -> Any:
    """A parameter whose parser keeps all of its values, and not the last one."""
    if param.param_type_name != "option" or param.multiple:
        return param
    kept = copy(param)
    kept.multiple = True
    return kept


@cache
def shared_options() -> list[Any]:
    """Returns the options of :func:`_options`, which store their values in ``Context.options``."""
    app = Verbs()
    app.command()(_options)
    options = [option for option in get_command(app).params if option.name != "help"]
    for option in options:
        option.expose_value = False
        setattr(option, "callback", _remember)  # noqa: B010  its type wants a Click context, which Typer's is
    return options


class Verbs(typer.Typer):
    """Verbs, whose functions take what :func:`for_typer` gives them."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(add_completion=False, rich_markup_mode=None, **settings)

    def verb(self, name: str, text: str | None = None) -> Callable[[Function], Function]:
        """Adds a verb; without a text, the docstring of the function is its help."""

        def add(function: Function) -> Function:
            self.command(name, cls=Verb, help=text)(for_typer(function))
            return function

        return add


def group(*examples: str, package: str | None = None, verbs: "Mapping[str, LateVerb] | None" = None) -> Verbs:
    """Makes a group of verbs. Every module of the commands makes one and calls it ``app``.

    Args:
        examples: command lines without ``hammerwork``.
        package: of the group, which the modules of ``verbs`` are relative to.
        verbs: name -> verb in the order of the help, for a group that imports each verb on first use.
    """
    lines = [f"  hammerwork {example}" for example in examples]
    text = "\n".join(["\b", "Examples:" if lines[1:] else "Example:", *lines])
    kind = Group if verbs is None else type("Verbs", (LateVerbs,), {"package": package, "verbs": verbs})
    return Verbs(cls=kind, help=text, no_args_is_help=True)


class LateVerb(NamedTuple):
    """A verb whose module is imported on first use, so that it does not slow the start of others in its group."""

    function: str  # `.module:function`, relative to the package of the group
    # The first paragraph of its help; the docstring of the function is the rest. The help of its group shows the first
    # sentence, and thus need not import the verb.
    summary: str

    def command(self, name: str, package: str | None) -> Any:
        """Imports the module and returns the command."""
        module, _, function = self.function.partition(":")
        app, called = Verbs(), getattr(import_module(module, package), function)
        app.verb(name, _joined(self.summary, called.__doc__))(called)
        return get_command(app)


def _joined(summary: str, rest: str | None) -> str:
    return "\n\n".join(filter(None, [summary, cleandoc(rest or "")]))


def _first_sentence(text: str) -> str:
    first, stop, _ = text.partition(". ")
    return first + stop.rstrip()


class Group(TyperGroup):
    """A group whose help shows the whole first sentence of each command, where Typer would cut it to one line."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        # Typer would suggest hidden names too.
        super().__init__(*arguments, **{**settings, "suggest_commands": False})

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except TyperException as error:
            if args and not args[0].startswith("-"):
                from hammerwork_cli.cli.elsewhere import elsewhere, similar_verbs

                lines = elsewhere(ctx.find_root().command, str(self.name), args[0])
                error.elsewhere = (" ".join([*filter(None, [self._group(ctx)]), args[0]]), lines)  # type: ignore[attr-defined]
                error.possibilities = similar_verbs(  # type: ignore[attr-defined]
                    self._group(ctx), list(self.commands), args[0]
                )
            raise

    def _group(self, ctx: Any) -> str:
        return str(self.name) if ctx.parent else ""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        _write_commands(
            formatter, [(name, one.get_short_help_str(WHOLE_SENTENCE)) for name, one in found if one and not one.hidden]
        )


def _write_commands(formatter: Any, rows: Sequence[tuple[str, str]]) -> None:
    with formatter.section("Commands"):
        formatter.write_dl(rows)


def _write_options(command: Any, ctx: Any, formatter: Any, *, but: Sequence[Any] = ()) -> None:
    """Writes what a command explains of its arguments and options, except some options."""
    for kind in ("argument", "option"):
        found = (param.get_help_record(ctx) for param in command.get_params(ctx) if param.param_type_name == kind)
        left = {record for param in but if (record := param.get_help_record(ctx))}
        if rows := [record for record in found if record and record not in left]:
            with formatter.section(f"{kind.capitalize()}s"):
                formatter.write_dl(rows)


def _usage_of(option: Any) -> str:
    return " ".join(
        filter(None, ["/".join(sorted(option.opts, key=len)), option.metavar or ("WHEN" if not option.is_flag else "")])
    )


class Verb(TyperCommand):
    """A command that also takes the shared options, and the names of :mod:`hammerwork_cli.compat`."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params += shared_options()

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        words: list[str] = []
        valued = compat.VALUED.get(" ".join(self._path(ctx)), ())
        for word in args:
            if word in {"true", "false"} and words and words[-1] in valued:
                words[-1] = words[-1] if word == "true" else words[-1].replace("--", "--no-", 1)
            else:
                words.append(word)
        try:
            _refuse_quiet(words)
            _refuse_second_values(self, ctx, [*words])
            rest = super().parse_args(ctx, words)
        except TyperException as error:
            # The parser does not say for which command an option lacks its value.
            if getattr(error, "ctx", ctx) is None:
                error.ctx = ctx  # type: ignore[attr-defined]
            raise
        given.check(ctx, self.params)
        return rest

    def format_options(self, ctx: Any, formatter: Any) -> None:
        everywhere = [*shared_options(), self.get_help_option(ctx)]
        _write_options(self, ctx, formatter, but=everywhere)
        with formatter.section("Options of all commands (see hammerwork --help)"):
            formatter.write_text(", ".join(_usage_of(option) for option in everywhere))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What the verb takes. An argument whose metavar has no brackets is needed, or a hidden option instead."""
        hidden = {f"[{param.metavar}]" for param in self.params if param.param_type_name == "argument"}
        return [f"{{{piece[1:-1]}}}" if piece in hidden else piece for piece in super().collect_usage_pieces(ctx)]

    def make_parser(self, ctx: Any) -> Any:
        parser = super().make_parser(ctx)
        taken = {name for param in self.params for name in (*param.opts, *param.secondary_opts)}
        group, verb = self._path(ctx)
        for flag in compat.IGNORED.get(f"{group} {verb}", ()):
            TyperOption(param_decls=[flag], is_flag=True).add_to_parser(parser, ctx)
        for alias, name in compat.aliases(group, verb).items():
            option = next((param for param in self.params if name in param.opts), None)
            if option is not None and alias not in taken:
                option = copy(option)
                option.opts, option.secondary_opts = [alias], []
                option.add_to_parser(parser, ctx)
        return parser

    def _path(self, ctx: Any) -> tuple[str, str]:
        """The names of the group and of the verb, which may have been called by another one."""
        return str(ctx.parent.command.name if ctx.parent else ""), str(self.name)

    def invoke(self, ctx: Any) -> Any:
        ctx.obj.has_dry_run = any(
            "--dry-run" in param.opts and not getattr(param, "hidden", False) for param in self.params
        )
        return super().invoke(ctx)


class LateVerbs(Group):
    """A group that imports a verb on first use. Its help imports none."""

    package: str | None = None
    verbs: Mapping[str, LateVerb] = {}

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        del ctx
        shown = ((name, verb) for name, verb in self.verbs.items() if f"{self.name} {name}" not in compat.REPLACED)
        _write_commands(formatter, [(name, _first_sentence(verb.summary)) for name, verb in shown])

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        path = f"{self.name} {cmd_name}"
        return super().get_command(ctx, compat.VERBS.get(path, path).partition(" ")[2])

    @property
    def commands(self) -> Any:
        return _Late(tuple(self.verbs), lambda name: _load_verb(self, name))

    @commands.setter
    def commands(self, value: Mapping[str, Any]) -> None:
        del value


class LateGroup(Group):
    """The root group: it imports the module of a group on first use."""

    package = ""
    groups: Mapping[str, str] = {}
    """Group, which is also the name of its module in the package -> the first paragraph of its help."""
    tasks: Mapping[str, Mapping[str, str]] = {}
    """Heading -> the groups below it."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params += shared_options()

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _refuse_second_values(self, ctx, [*args])
        return super().parse_args(ctx, args)

    @property
    def commands(self) -> Any:
        return _Late(tuple(self.groups), lambda name: _load_group(self, name))

    @commands.setter
    def commands(self, value: Mapping[str, Any]) -> None:
        del value

    def format_options(self, ctx: Any, formatter: Any) -> None:
        self.format_commands(ctx, formatter)
        _write_options(self, ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        del ctx
        formatter.write_paragraph()
        for heading, groups in self.tasks.items():
            formatter.write_heading(heading)
            with formatter.indentation():
                formatter.write_dl([(name.ljust(WIDEST), _first_sentence(text)) for name, text in groups.items()])


@cache
def _load_verb(group: LateVerbs, name: str) -> Any:
    return _hidden_if_replaced(str(group.name), group.verbs[name].command(name, group.package))


def _hidden_if_replaced(group: str, command: Any) -> Any:
    if instead := compat.REPLACED.get(f"{group} {command.name}"):
        command.hidden = True
        about, mark, examples = command.help.partition("\b")
        command.help = f"{about.rstrip()}\n\nIn new scripts, use `{instead}`.\n\n{mark}{examples}"
    return command


@cache
def _load_group(root: LateGroup, name: str) -> Any:
    app = import_module(f"{root.package}.{name}.commands").app
    # get_command() would turn a group with one verb into a command, and refuse one without verbs, as late ones look.
    kind = app.info.cls
    late = isinstance(kind, type) and issubclass(kind, LateVerbs)
    command = get_group(app) if late else get_command(app)
    command.name, command.help = name, _joined(root.groups[name], command.help)
    if not late:
        for verb in getattr(command, "commands", {}).values():
            _hidden_if_replaced(name, verb)
    return command


class _Late(Mapping[str, Any]):
    """Commands by name, each of which is imported on first use."""

    def __init__(self, names: Sequence[str], load: Callable[[str], Any]) -> None:
        self._names = names
        self._load = load

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        return self._load(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
