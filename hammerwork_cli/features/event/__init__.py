"""What happened to a job, a tree, a batch, a workflow, a schedule, a worker or a queue, for webhooks and streams."""
