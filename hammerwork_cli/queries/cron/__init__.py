"""Schedules, and the jobs that they make."""
