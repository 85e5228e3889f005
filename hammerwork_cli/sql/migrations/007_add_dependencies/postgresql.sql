ALTER TABLE hammerwork_jobs
    ADD COLUMN depends_on JSONB DEFAULT '[]',
    ADD COLUMN dependents JSONB DEFAULT '[]',
    ADD COLUMN dependency_status VARCHAR DEFAULT 'none',
    ADD COLUMN workflow_id UUID,
    ADD COLUMN workflow_name VARCHAR;
-- next
ALTER TABLE hammerwork_jobs
    ADD CONSTRAINT chk_dependency_status CHECK (dependency_status IN ('none', 'waiting', 'satisfied', 'failed'));
-- next
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
    id UUID PRIMARY KEY,
    name VARCHAR NOT NULL,
    status VARCHAR NOT NULL DEFAULT 'running',
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    completed_at TIMESTAMPTZ,
    failed_at TIMESTAMPTZ,
    total_jobs INTEGER NOT NULL DEFAULT 0,
    completed_jobs INTEGER NOT NULL DEFAULT 0,
    failed_jobs INTEGER NOT NULL DEFAULT 0,
    failure_policy VARCHAR NOT NULL DEFAULT 'fail_fast',
    metadata JSONB DEFAULT '{}',
    CONSTRAINT chk_workflow_status CHECK (status IN ('running', 'completed', 'failed', 'cancelled')),
    CONSTRAINT chk_workflow_failure_policy CHECK (failure_policy IN ('fail_fast', 'continue_on_failure', 'manual'))
);
-- next
CREATE INDEX idx_hammerwork_workflows_status ON hammerwork_workflows (status);
-- next
CREATE INDEX idx_hammerwork_workflows_created ON hammerwork_workflows (created_at);
