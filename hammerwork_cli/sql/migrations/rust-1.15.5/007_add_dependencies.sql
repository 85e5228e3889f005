-- Dependencies and workflows

-- [postgresql]
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

-- [mysql]
ALTER TABLE hammerwork_jobs
    ADD COLUMN depends_on JSON DEFAULT (JSON_ARRAY()),
    ADD COLUMN dependents JSON DEFAULT (JSON_ARRAY()),
    ADD COLUMN dependency_status VARCHAR(20) DEFAULT 'none',
    ADD COLUMN workflow_id CHAR(36) NULL,
    ADD COLUMN workflow_name VARCHAR(255) NULL;
-- next
ALTER TABLE hammerwork_jobs
    ADD INDEX idx_hammerwork_jobs_dependency_status (dependency_status),
    ADD INDEX idx_hammerwork_jobs_workflow (workflow_id),
    ADD INDEX idx_hammerwork_jobs_dependency_resolution (queue_name, status, dependency_status, scheduled_at);
-- next
ALTER TABLE hammerwork_jobs
    ADD CONSTRAINT chk_dependency_status CHECK (dependency_status IN ('none', 'waiting', 'satisfied', 'failed'));
-- next
CREATE TABLE hammerwork_workflows (
    id CHAR(36) NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    status VARCHAR(20) NOT NULL DEFAULT 'running',
    created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    completed_at DATETIME NULL,
    failed_at DATETIME NULL,
    total_jobs INTEGER NOT NULL DEFAULT 0,
    completed_jobs INTEGER NOT NULL DEFAULT 0,
    failed_jobs INTEGER NOT NULL DEFAULT 0,
    failure_policy VARCHAR(20) NOT NULL DEFAULT 'fail_fast',
    metadata JSON DEFAULT (JSON_OBJECT()),
    INDEX idx_hammerwork_workflows_status (status),
    INDEX idx_hammerwork_workflows_created (created_at),
    CONSTRAINT chk_workflow_status CHECK (status IN ('running', 'completed', 'failed', 'cancelled')),
    CONSTRAINT chk_workflow_failure_policy CHECK (failure_policy IN ('fail_fast', 'continue_on_failure', 'manual'))
) ENGINE = InnoDB COLLATE = {collation};

-- [sqlite]
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
