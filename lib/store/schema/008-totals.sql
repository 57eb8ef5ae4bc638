-- Version 8. Payments: what a payment that came in the end has brought back.

ALTER TABLE invoices ADD COLUMN recovered_minor BIGINT; -- what was owed when it was paid after all; NULL: not paid, or never failed
CREATE INDEX invoices_recovered ON invoices (state_at)
	WHERE recovered_minor IS NOT NULL;
