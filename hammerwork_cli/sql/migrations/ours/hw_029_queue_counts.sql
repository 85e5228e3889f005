-- Workers' counts of their queues
--
-- What a worker has counted of its queues since its start, as JSON: it reports that with its heartbeats.

-- [postgresql sqlite]
ALTER TABLE hammerwork_workers
    ADD COLUMN queue_counts TEXT;

-- [mysql]
ALTER TABLE hammerwork_workers
    ADD COLUMN queue_counts MEDIUMTEXT NULL;
