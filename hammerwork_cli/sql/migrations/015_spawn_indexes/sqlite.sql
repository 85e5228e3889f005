CREATE INDEX idx_hammerwork_jobs_spawn_config ON hammerwork_jobs (created_at DESC, id)
WHERE json_type(payload, '$._spawn_config') IS NOT NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_first_parent ON hammerwork_jobs (lower(json_extract(depends_on, '$[0]')))
WHERE lower(json_extract(depends_on, '$[0]')) IS NOT NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_joins ON hammerwork_jobs (id)
WHERE json_array_length(depends_on) > 1;
-- next
CREATE INDEX idx_hammerwork_jobs_archive_first_parent ON hammerwork_jobs_archive (lower(json_extract(depends_on, '$[0]')))
WHERE lower(json_extract(depends_on, '$[0]')) IS NOT NULL;
