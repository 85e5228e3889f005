"""Renders schedules, their runs and recurring jobs."""
