-- Retry strategies as JSONB, on PostgreSQL

-- [postgresql]
-- 017_workers makes this column as TEXT, which version 3 of hammerwork (Rust) cannot read: its 018 makes it as JSONB, and
-- leaves a column that is there. A change of type writes every row of the table again, and all of its indexes. Where few
-- jobs have a strategy, a new column takes the place of the old one, and only those jobs are written again.
DO $$
DECLARE
    given TEXT;
    job UUID;
    readers TEXT;
BEGIN
    IF (
        SELECT atttypid = 'jsonb'::regtype FROM pg_attribute
        WHERE attrelid = 'hammerwork_jobs'::regclass AND attname = 'retry_strategy' AND NOT attisdropped
    ) THEN
        RETURN;
    END IF;
    SELECT string_agg(DISTINCT r.ev_class::regclass::text, ', ') INTO readers
    FROM pg_depend d
    JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
    WHERE d.refobjid = 'hammerwork_jobs'::regclass AND a.attname = 'retry_strategy';
    IF readers IS NOT NULL THEN
        RAISE EXCEPTION 'views read hammerwork_jobs.retry_strategy: drop them, migrate, and create them again: %', readers;
    END IF;
    LOCK TABLE hammerwork_jobs IN ACCESS EXCLUSIVE MODE;
    FOR given IN SELECT DISTINCT retry_strategy::text FROM hammerwork_jobs WHERE retry_strategy IS NOT NULL LOOP
        BEGIN
            IF jsonb_typeof(given::jsonb) = 'object' THEN
                CONTINUE;
            END IF;
        EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
            NULL;
        END;
        FOR job IN UPDATE hammerwork_jobs SET retry_strategy = NULL WHERE retry_strategy::text = given RETURNING id LOOP
            RAISE WARNING USING ERRCODE = 'HW033', MESSAGE = format(
                'The retry strategy of job %s was no JSON object, so workers ignored it. It is gone now: %s',
                job, left(given, 200)
            );
        END LOOP;
    END LOOP;
    IF (SELECT count(retry_strategy) * 10 <= count(*) FROM hammerwork_jobs) THEN
        ALTER TABLE hammerwork_jobs ADD COLUMN converted_strategy JSONB;
        UPDATE hammerwork_jobs SET converted_strategy = retry_strategy::jsonb WHERE retry_strategy IS NOT NULL;
        ALTER TABLE hammerwork_jobs DROP COLUMN retry_strategy;
        ALTER TABLE hammerwork_jobs RENAME COLUMN converted_strategy TO retry_strategy;
    ELSE
        ALTER TABLE hammerwork_jobs ALTER COLUMN retry_strategy TYPE JSONB USING retry_strategy::jsonb;
    END IF;
END
$$;

-- [mysql]
-- Nothing to do: hammerwork (Rust) reads its strategies from TEXT as well as from JSON, and a change of type would lock and
-- copy the table.

-- [sqlite]
-- Nothing to do: hammerwork (Rust) does not use this database.
