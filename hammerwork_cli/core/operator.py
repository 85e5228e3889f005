"""Who changes something."""


def operator() -> str:
    """``user@host``, which changes record as their author."""
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
