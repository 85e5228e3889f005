"""Values of batches, and of what is enqueued at an end."""
