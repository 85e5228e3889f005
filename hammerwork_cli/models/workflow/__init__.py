"""Values of workflows."""
