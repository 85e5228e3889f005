"""The threads that act for the whole database when something is due or has ended."""
