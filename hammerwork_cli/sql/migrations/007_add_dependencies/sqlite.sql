CREATE INDEX idx_hammerwork_jobs_dependency_status ON hammerwork_jobs (dependency_status)
WHERE dependency_status <> 'none';
-- next
CREATE INDEX idx_hammerwork_jobs_workflow ON hammerwork_jobs (workflow_id)
WHERE workflow_id IS NOT NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_dependency_resolution
ON hammerwork_jobs (queue_name, status, dependency_status, scheduled_at)
WHERE status = 'Pending' AND dependency_status IN ('none', 'satisfied');
-- next
CREATE TABLE hammerwork_workflows (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'running',
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    completed_at TEXT,
    failed_at TEXT,
    total_jobs INTEGER NOT NULL DEFAULT 0,
    completed_jobs INTEGER NOT NULL DEFAULT 0,
    failed_jobs INTEGER NOT NULL DEFAULT 0,
    failure_policy TEXT NOT NULL DEFAULT 'fail_fast',
    metadata TEXT DEFAULT '{}' CHECK (json_valid(metadata)),
    CONSTRAINT chk_workflow_status CHECK (status IN ('running', 'completed', 'failed', 'cancelled')),
    CONSTRAINT chk_workflow_failure_policy CHECK (failure_policy IN ('fail_fast', 'continue_on_failure', 'manual'))
) STRICT;
-- next
CREATE INDEX idx_hammerwork_workflows_status ON hammerwork_workflows (status);
-- next
CREATE INDEX idx_hammerwork_workflows_created ON hammerwork_workflows (created_at);
