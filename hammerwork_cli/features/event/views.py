"""Events as JSON, for those who get them."""

from hammerwork_cli.features.event.shapes import EVENT

__all__ = ["EVENT"]
