-- Version 1. Times are UTC seconds. Money is an integer of minor units beside
-- its currency. What comes from outside keeps its own text id; what is made
-- here and typed by people (deliveries, alerts, runs) has a number.
-- A CHECK says OR, not IN: of more than two words SQLite makes a table, for each
-- row that is written.

-- Customers, as Supabase and Stripe tell of them.
CREATE TABLE organizations (
	id TEXT PRIMARY KEY,                -- Supabase's id, or client_reference_id
	name TEXT,                          -- as the customer typed it
	owner_name TEXT,                    -- who is greeted
	owner_email TEXT,                   -- where mail goes; NULL: no usable one
	plan TEXT,                          -- the plan in force
	former_plan TEXT,                   -- the plan before a downgrade; payment restores it
	status TEXT NOT NULL                -- life cycle
		CHECK (status = 'trialing' OR status = 'active' OR
			status = 'past_due' OR status = 'downgraded' OR
			status = 'canceled'),
	status_at BIGINT NOT NULL,          -- time of the event that set status; older ones change nothing
	status_event_id TEXT,               -- the event that set it
	stripe_customer_id TEXT UNIQUE,     -- cus_…
	stripe_subscription_id TEXT,        -- sub_…
	zone TEXT,                          -- the customer's IANA time zone, if known
	onboarded_at BIGINT,                -- when onboarding was recorded; NULL: not yet
	frozen_at BIGINT,                   -- since when dunning leaves it alone; NULL: not frozen
	deleted_at BIGINT,                  -- when its row was deleted at Supabase
	created_at BIGINT NOT NULL          -- when first heard of
);

-- People to be called. An organization may become known later than its lead,
-- so organization_id is no foreign key.
CREATE TABLE leads (
	id TEXT PRIMARY KEY,                -- Supabase's id
	organization_id TEXT,               -- whose lead
	name TEXT,                          -- as typed
	phone TEXT,                         -- E.164
	status TEXT NOT NULL,               -- pending ai_triggered contacted call_failed …
	status_at BIGINT NOT NULL,          -- when status was set
	created_at BIGINT NOT NULL          -- when the lead came in
);
CREATE INDEX leads_due ON leads (status, created_at);

-- AI calls, one row a Retell call; written before the request is made.
CREATE TABLE calls (
	id TEXT PRIMARY KEY,                -- our own key, sent as metadata
	call_id TEXT UNIQUE,                -- Retell's id; NULL until it answered
	organization_id TEXT,               -- whose usage; NULL: unattributed
	lead_id TEXT,                       -- who was called
	state TEXT NOT NULL,                -- claimed placed ended failed
	placed_at BIGINT,                   -- accepted by Retell; its UTC day is billed
	connected INTEGER NOT NULL DEFAULT 0, -- 1: somebody or something answered
	ended_at BIGINT,                    -- when it ended
	deadline_at BIGINT,                 -- by when a final event must have come
	disconnection_reason TEXT,          -- Retell's word
	duration_ms BIGINT,                 -- length of the call
	created_at BIGINT NOT NULL          -- when claimed or first heard of
);
CREATE INDEX calls_usage ON calls (placed_at, organization_id);
CREATE INDEX calls_deadline ON calls (state, deadline_at);

-- Every fact, once. The primary key is the deduplication.
CREATE TABLE events (
	id TEXT PRIMARY KEY,                -- Stripe's event id, onboard:<organization>, <call_id>:<event> …
	source TEXT NOT NULL,               -- supabase stripe retell alert cron
	kind TEXT NOT NULL,                 -- organization.created, invoice.payment_failed …
	organization_id TEXT,               -- whom it is about
	customer_id TEXT,                   -- the Stripe customer it names
	lead_id TEXT,                       -- the lead it names
	call_id TEXT,                       -- the call it names
	occurred_at BIGINT NOT NULL,        -- the sender's time of it
	received_at BIGINT NOT NULL,        -- ours
	outcome TEXT NOT NULL,              -- recorded ignored unmatched
	result TEXT NOT NULL,               -- the JSON line that was printed
	body TEXT NOT NULL                  -- as received, byte for byte
);
CREATE INDEX events_organization ON events (organization_id, received_at);
CREATE INDEX events_customer ON events (customer_id, outcome);
CREATE INDEX events_lead ON events (lead_id);

-- Alerts. One row from the first occurrence to its resolution.
CREATE TABLE system_alerts (
	id INTEGER PRIMARY KEY AUTOINCREMENT, -- typed by people
	kind TEXT NOT NULL,                 -- call.failed, delivery.dead …; its runbook's name
	severity TEXT NOT NULL              -- how bad
		CHECK (severity = 'info' OR severity = 'warning' OR
			severity = 'error' OR severity = 'critical'),
	fingerprint TEXT NOT NULL,          -- kind and subject, or the key given
	title TEXT NOT NULL,                -- one line
	message TEXT,                       -- more, in words
	details TEXT,                       -- JSON or text, capped
	next_command TEXT,                  -- what to type next
	organization_id TEXT,               -- whom it is about
	lead_id TEXT,                       -- which lead
	event_id TEXT,                      -- the event that raised it first
	count BIGINT NOT NULL,              -- occurrences so far
	first_seen_at BIGINT NOT NULL,      -- of the first
	last_seen_at BIGINT NOT NULL,       -- of the latest
	notified_at BIGINT,                 -- when last queued for a channel
	told TEXT NOT NULL DEFAULT '',      -- destinations that heard of it, blank-separated
	delivery_id BIGINT,                 -- the Slack delivery that carries it
	acknowledged_at BIGINT,             -- when somebody took it on
	acknowledged_until BIGINT,          -- repeats are silent until then
	acknowledged_by TEXT,               -- login name
	resolved_at BIGINT,                 -- NULL: open
	resolved_by TEXT                    -- login name or event
);
CREATE UNIQUE INDEX system_alerts_open ON system_alerts (fingerprint)
	WHERE resolved_at IS NULL;
CREATE INDEX system_alerts_kind ON system_alerts (kind, last_seen_at);
CREATE INDEX system_alerts_organization ON system_alerts (organization_id);
CREATE INDEX system_alerts_delivery ON system_alerts (delivery_id);

-- The outbox: what we owe, written with the fact that makes us owe it.
CREATE TABLE deliveries (
	id INTEGER PRIMARY KEY AUTOINCREMENT, -- typed by people; order of writing
	idempotency_key TEXT NOT NULL UNIQUE, -- goes out with it; made of the fact
	destination TEXT NOT NULL,          -- a name of the configuration, never an address
	step TEXT NOT NULL,                 -- welcome, day_1, alert, reminder_1 …
	event_id TEXT                       -- the fact that made us owe it;
		REFERENCES events (id)      -- itself written last, with its result
		DEFERRABLE INITIALLY DEFERRED,
	organization_id TEXT,               -- whom it is about
	alert_kind TEXT,                    -- of an alert's message: storms join here
	body TEXT NOT NULL,                 -- what is sent, before the destination's dialect
	state TEXT NOT NULL                 -- life cycle; held is a destination's, see destinations
		CHECK (state = 'queued' OR state = 'sending' OR state = 'done' OR
			state = 'dead' OR state = 'cancelled'),
	due_at BIGINT NOT NULL,             -- not before
	expires_at BIGINT NOT NULL,         -- dead if not done by then
	attempts BIGINT NOT NULL DEFAULT 0, -- claims so far
	lease_owner TEXT,                   -- the process that is sending it
	lease_until BIGINT,                 -- when the lease runs out
	answer TEXT,                        -- the latest answer in words
	created_at BIGINT NOT NULL,         -- when owed
	settled_at BIGINT                   -- when done, dead or cancelled
);
CREATE INDEX deliveries_due ON deliveries (state, destination, due_at);
CREATE INDEX deliveries_event ON deliveries (event_id);
CREATE INDEX deliveries_organization ON deliveries (organization_id);
CREATE INDEX deliveries_alert ON deliveries (alert_kind, destination, created_at);

-- Each attempt at a delivery.
CREATE TABLE attempts (
	delivery_id BIGINT NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE, -- of which
	number BIGINT NOT NULL,             -- 1 is the first
	at BIGINT NOT NULL,                 -- when the answer came
	status BIGINT NOT NULL,             -- HTTP status; 0: none
	took_ms BIGINT NOT NULL,            -- from start to answer
	ruling TEXT NOT NULL,               -- what was made of it, in words
	answer TEXT,                        -- the first KiB of the answer
	PRIMARY KEY (delivery_id, number)
);

-- What is known of a destination's health. No row: nothing remarkable.
CREATE TABLE destinations (
	name TEXT PRIMARY KEY,              -- as in the configuration
	held_at BIGINT,                     -- since when nothing is sent; NULL: sending
	held_why TEXT,                      -- in words
	failures BIGINT NOT NULL DEFAULT 0, -- faults in a row
	open_until BIGINT NOT NULL DEFAULT 0, -- breaker: next probe; 0: closed
	probe_s BIGINT NOT NULL DEFAULT 0   -- breaker: wait between probes
);

-- Dunning cycles: one from the first failed payment to recovery or downgrade.
CREATE TABLE dunning (
	id TEXT PRIMARY KEY,                -- the cycle: organization and invoice
	organization_id TEXT NOT NULL REFERENCES organizations (id), -- who owes
	invoice_id TEXT NOT NULL,           -- the oldest unpaid invoice
	amount_minor BIGINT NOT NULL,       -- still owed
	currency TEXT NOT NULL,             -- ISO 4217, lower case
	invoice_url TEXT,                   -- where to pay
	next_attempt_at BIGINT,             -- Stripe's next try; NULL: none planned
	opened_at BIGINT NOT NULL,          -- day 0
	step TEXT NOT NULL,                 -- the latest step taken or skipped
	step_at BIGINT NOT NULL,            -- when
	closed_at BIGINT,                   -- NULL: open
	closed_why TEXT                     -- paid downgraded canceled void …
);
CREATE UNIQUE INDEX dunning_open ON dunning (organization_id)
	WHERE closed_at IS NULL;

-- Usage: what was counted, reported and confirmed for an organization's day.
CREATE TABLE usage (
	organization_id TEXT NOT NULL REFERENCES organizations (id), -- whose
	day_at BIGINT NOT NULL,             -- 00:00 UTC of the day
	counted BIGINT NOT NULL,            -- calls in our own rows
	sent BIGINT NOT NULL,               -- reported to the meter so far
	confirmed BIGINT,                   -- the meter's own sum; NULL: not read yet
	settled_at BIGINT,                  -- when compared and equal
	PRIMARY KEY (organization_id, day_at)
);

-- Cron's runs, for automate-check and for people.
CREATE TABLE runs (
	id INTEGER PRIMARY KEY AUTOINCREMENT, -- order of starting
	command TEXT NOT NULL,              -- which
	started_at BIGINT NOT NULL,         -- when
	ended_at BIGINT,                    -- NULL: running, or killed
	status BIGINT,                      -- its exit status
	summary TEXT                        -- counts, as JSON
);
CREATE INDEX runs_command ON runs (command, started_at);
