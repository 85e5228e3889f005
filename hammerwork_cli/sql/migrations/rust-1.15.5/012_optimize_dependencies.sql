-- Dependencies as arrays of ids, on PostgreSQL

-- [postgresql]
-- Turns JSON arrays of ids into arrays of ids; what is no id is left out. New columns take the place of the old ones,
-- so that whatever index stood on those goes with them, and only jobs that have dependencies are written again.
DO $$
DECLARE
    ids CONSTANT TEXT := $sql$
        ARRAY(
            SELECT member::uuid
            FROM jsonb_array_elements_text(CASE jsonb_typeof(%1$I) WHEN 'array' THEN %1$I ELSE '[]' END)
            WITH ORDINALITY AS listed (member, position)
            WHERE member ~* '^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$'
            ORDER BY position
        )
    $sql$;
    found RECORD;
BEGIN
    FOR found IN
        SELECT c.relname AS tablename, a.attname AS columnname
        FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relkind IN ('r', 'p') AND pg_table_is_visible(c.oid)
        AND c.relname IN ('hammerwork_jobs', 'hammerwork_jobs_archive')
        AND a.attname IN ('depends_on', 'dependents') AND a.atttypid = 'jsonb'::regtype AND NOT a.attisdropped
    LOOP
        EXECUTE format('ALTER TABLE %I ADD COLUMN converted_ids UUID[] DEFAULT ''{}''', found.tablename);
        EXECUTE format('UPDATE %I SET converted_ids = ', found.tablename) || format(ids, found.columnname)
            || format('WHERE jsonb_typeof(%1$I) = ''array'' AND %1$I <> ''[]''', found.columnname);
        EXECUTE format('ALTER TABLE %I DROP COLUMN %I', found.tablename, found.columnname);
        EXECUTE format('ALTER TABLE %I RENAME COLUMN converted_ids TO %I', found.tablename, found.columnname);
        IF found.tablename = 'hammerwork_jobs_archive' THEN
            EXECUTE format('ALTER TABLE %I ALTER COLUMN %I DROP DEFAULT', found.tablename, found.columnname);
        END IF;
    END LOOP;
    -- Here, not in steps of their own: those that the original's 007 made have gone with the old columns.
    CREATE INDEX IF NOT EXISTS idx_hammerwork_jobs_depends_on ON hammerwork_jobs USING GIN (depends_on);
    CREATE INDEX IF NOT EXISTS idx_hammerwork_jobs_dependents ON hammerwork_jobs USING GIN (dependents);
END
$$;
-- next
ALTER TABLE hammerwork_jobs
    ADD CONSTRAINT chk_depends_on_size CHECK (array_length(depends_on, 1) IS NULL OR array_length(depends_on, 1) <= 1000),
    ADD CONSTRAINT chk_dependents_size CHECK (array_length(dependents, 1) IS NULL OR array_length(dependents, 1) <= 10000);

-- [mysql]
-- Nothing: MySQL and MariaDB keep JSON arrays.

-- [sqlite]
-- Nothing: SQLite keeps JSON arrays.
