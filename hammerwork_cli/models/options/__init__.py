"""The options of new jobs and schedules, as text and as JSON."""
