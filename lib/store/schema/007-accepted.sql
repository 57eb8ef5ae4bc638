-- Version 7. Drifts that cannot be mended, and that somebody accepts as they
-- are: by so much the numbers of a day may differ from then on.

ALTER TABLE usage ADD COLUMN accepted BIGINT NOT NULL DEFAULT 0; -- more calls at the meter than were sent; below 0: fewer
ALTER TABLE usage ADD COLUMN accepted_fewer BIGINT NOT NULL DEFAULT 0; -- fewer calls in our own rows than were sent
ALTER TABLE drifts ADD COLUMN accepted_at BIGINT;   -- when it was accepted, which ended it; NULL: never
ALTER TABLE drifts ADD COLUMN accepted_by TEXT;     -- login name
