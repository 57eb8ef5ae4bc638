-- Version 6. Each event of a call asks for those that failed lately; with the
-- state in front SQLite takes this index, and not that of the deadlines, which
-- is as long as there are failed calls.

DROP INDEX calls_failed;
CREATE INDEX calls_failed ON calls (state, created_at) WHERE state = 'failed';
