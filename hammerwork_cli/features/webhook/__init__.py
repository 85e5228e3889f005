"""``hammerwork webhook``: tells other programs of events by HTTP."""
