-- More columns of the archive
--
-- Values of columns of the job table that the archive has no column for: the next version of hammerwork (Rust) may add some.

-- [postgresql sqlite]
ALTER TABLE hammerwork_jobs_archive
    ADD COLUMN other_columns TEXT;

-- [mysql]
ALTER TABLE hammerwork_jobs_archive
    ADD COLUMN other_columns LONGTEXT NULL;
