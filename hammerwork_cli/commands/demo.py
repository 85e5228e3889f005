"""``hammerwork demo``: something real to look at."""
