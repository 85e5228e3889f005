"""Files of jobs: their tables, and what reading one does."""
