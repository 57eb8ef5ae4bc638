-- Version 2. Payments: invoices in trouble, disputes, and events that tell one
-- fact twice.

ALTER TABLE organizations ADD COLUMN subscription_status TEXT; -- Stripe's own word for the subscription
ALTER TABLE organizations ADD COLUMN subscription_at BIGINT NOT NULL DEFAULT 0; -- time of the event that told it
ALTER TABLE organizations ADD COLUMN status_rank BIGINT NOT NULL DEFAULT 0; -- life cycle; breaks ties of status_at

ALTER TABLE events ADD COLUMN invoice_id TEXT;      -- the invoice it names
ALTER TABLE events ADD COLUMN twin_key TEXT;        -- object, type and attempt: what makes it one fact under any id
ALTER TABLE events ADD COLUMN twin_of TEXT;         -- the event that told the same fact first
CREATE UNIQUE INDEX events_twin ON events (twin_key)
	WHERE twin_key IS NOT NULL;
CREATE INDEX events_unmatched ON events (customer_id)
	WHERE outcome = 'unmatched';
CREATE INDEX events_unmatched_claim ON events (organization_id)
	WHERE outcome = 'unmatched';

-- Invoices of subscriptions that failed or were settled, as events told.
CREATE TABLE invoices (
	id TEXT PRIMARY KEY,                -- in_…
	organization_id TEXT NOT NULL REFERENCES organizations (id), -- who owes it
	state TEXT NOT NULL                 -- failed is open; the others end it
		CHECK (state = 'failed' OR state = 'paid' OR state = 'void' OR
			state = 'uncollectible'),
	state_at BIGINT NOT NULL,           -- time of the event that told the state
	failed_at BIGINT,                   -- when it first failed; NULL: never
	amount_minor BIGINT NOT NULL,       -- still to be paid
	currency TEXT NOT NULL,             -- ISO 4217, lower case
	url TEXT,                           -- where to pay
	attempts BIGINT NOT NULL,           -- Stripe's count of its tries
	next_attempt_at BIGINT,             -- Stripe's next try; NULL: none planned
	action_required INTEGER NOT NULL DEFAULT 0 -- 1: wants a click, not a card
);
CREATE INDEX invoices_failed ON invoices (organization_id, failed_at)
	WHERE state = 'failed';

-- Dunning cycles: one for each oldest unpaid invoice, from its first failure to
-- payment, downgrade or another end.
DROP TABLE dunning;
CREATE TABLE dunning (
	id TEXT PRIMARY KEY,                -- organization and invoice
	organization_id TEXT NOT NULL REFERENCES organizations (id), -- who owes
	invoice_id TEXT NOT NULL REFERENCES invoices (id), -- the oldest unpaid one
	opened_at BIGINT NOT NULL,          -- day 0: the first failure; never restarted
	step TEXT NOT NULL,                 -- the latest step taken or skipped
	step_at BIGINT NOT NULL,            -- when
	closed_at BIGINT,                   -- NULL: open
	closed_why TEXT                     -- paid downgraded canceled void uncollectible
);
CREATE UNIQUE INDEX dunning_open ON dunning (organization_id)
	WHERE closed_at IS NULL;
CREATE INDEX dunning_organization ON dunning (organization_id, opened_at);

-- Disputed charges. Stripe's events of them name no customer.
CREATE TABLE disputes (
	id TEXT PRIMARY KEY,                -- du_… or dp_…
	charge_id TEXT,                     -- ch_…, which names the customer
	customer_id TEXT,                   -- cus_…; NULL: not asked for yet
	opened_at BIGINT NOT NULL,          -- when
	closed_at BIGINT                    -- NULL: open
);
CREATE INDEX disputes_open ON disputes (customer_id) WHERE closed_at IS NULL;

-- What a person has set, not the configuration.
CREATE TABLE settings (
	name TEXT PRIMARY KEY,              -- dunning.frozen_at
	value TEXT NOT NULL                 -- of the setting
);
