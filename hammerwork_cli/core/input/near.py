"""Names that a misspelt one may stand for."""

from collections.abc import Iterable


def did_you_mean(given: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """``Did you mean mail?`` for a name that resembles a known one; else an empty text.

    Args:
        cutoff: the least resemblance, from 0 to 1.
    """
    from difflib import get_close_matches

    close = get_close_matches(given, known, n=1, cutoff=cutoff)
    return f"Did you mean {close[0]}?" if close else ""
