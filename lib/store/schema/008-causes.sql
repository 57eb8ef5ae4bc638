-- Version 8. Which event made another happen, what a payment that came in the
-- end has brought back, and until when a destination asked to be left alone.

ALTER TABLE events ADD COLUMN caused_by TEXT;       -- the event in whose transaction it was decided; NULL: its own
CREATE INDEX events_caused ON events (caused_by) WHERE caused_by IS NOT NULL;

ALTER TABLE invoices ADD COLUMN recovered_minor BIGINT; -- what was owed when it was paid after all; NULL: not paid, or never failed
CREATE INDEX invoices_recovered ON invoices (state_at)
	WHERE recovered_minor IS NOT NULL;

ALTER TABLE destinations ADD COLUMN rest_until BIGINT NOT NULL DEFAULT 0; -- nothing goes there before, as it asked; 0: it may
