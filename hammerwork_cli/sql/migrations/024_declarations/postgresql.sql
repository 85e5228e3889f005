-- What a file or an application said of a schedule last, so that changes by hand can be told from its own.
ALTER TABLE hammerwork_schedules
    ADD COLUMN declared TEXT;
