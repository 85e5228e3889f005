"""The backends of streams: each takes a batch of events, and returns when all of them are acknowledged.

``targets`` checks where a stream goes, ``messages`` encodes its events, and ``backends`` opens its backend.
"""
