"""Sends events to the receivers of webhooks; knows no database."""
