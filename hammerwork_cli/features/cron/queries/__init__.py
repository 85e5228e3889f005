"""Schedules, and the jobs that workers enqueue for them."""
