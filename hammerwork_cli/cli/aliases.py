"""The original's option names, accepted where ours differ so that old scripts run; help does not show them."""

from collections.abc import Mapping
from copy import copy
from typing import Any

from hammerwork_cli.cli.verb import Verb


def verb_with(aliases: Mapping[str, str]) -> type[Verb]:
    """A :class:`Verb` that also takes other names for its options: alias -> one of the option's own names."""

    class AliasedVerb(Verb):
        def make_parser(self, ctx: Any) -> Any:
            parser = super().make_parser(ctx)
            for alias, name in aliases.items():
                option = copy(next(param for param in self.params if name in param.opts))
                option.opts, option.secondary_opts = [alias], []
                option.add_to_parser(parser, ctx)
            return parser

    return AliasedVerb
