-- Version 9. Alerts that are kept: recorded and counted, told to nobody yet.

-- Planned work. One that ends is no longer looked at, and stays to be read.
CREATE TABLE silences (
	id INTEGER PRIMARY KEY AUTOINCREMENT, -- typed by people
	what TEXT NOT NULL,                 -- a kind of alert, or a fingerprint
	because TEXT NOT NULL,              -- why, in a line
	created_at BIGINT NOT NULL,         -- from when
	created_by TEXT NOT NULL,           -- login name
	until_at BIGINT NOT NULL            -- until when, at first or since it was taken back
		CHECK (until_at >= created_at),
	ended_by TEXT,                      -- who took it back; NULL: it ends by itself
	kept BIGINT NOT NULL DEFAULT 0      -- how often it kept an alert from being told
);
CREATE INDEX silences_what ON silences (what, until_at);

-- What keeps an alert; both NULL: nothing. Told when that is over, if open then.
ALTER TABLE system_alerts ADD COLUMN silence_id BIGINT; -- a silence
ALTER TABLE system_alerts ADD COLUMN parent_id BIGINT;  -- the alert that it follows from
