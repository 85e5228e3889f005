-- Schedules that files and applications declare
--
-- What a file or an application said of a schedule last, so that changes by hand can be told from its own.

-- [postgresql sqlite]
ALTER TABLE hammerwork_schedules
    ADD COLUMN declared TEXT;

-- [mysql]
ALTER TABLE hammerwork_schedules
    ADD COLUMN declared LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL;
