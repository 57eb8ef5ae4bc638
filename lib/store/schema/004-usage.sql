-- Version 4. Usage: what is needed to compare a day with Stripe's meter.

ALTER TABLE usage ADD COLUMN customer_id TEXT;      -- the Stripe customer it is reported for
ALTER TABLE usage ADD COLUMN sent_at BIGINT NOT NULL DEFAULT 0; -- when it was last reported
ALTER TABLE usage ADD COLUMN corrections BIGINT NOT NULL DEFAULT 0; -- how often it was sent again by hand
CREATE INDEX usage_day ON usage (day_at, organization_id, counted);
CREATE INDEX usage_unsettled ON usage (day_at, organization_id)
	WHERE settled_at IS NULL;

-- A day's calls, organization by organization, are read from this index alone;
-- SQLite takes it for a covering one only with the column behind the day.
DROP INDEX calls_usage;
CREATE INDEX calls_usage
	ON calls ((placed_at / 86400), organization_id, connected, placed_at);

-- Days, all organizations together, from the first that was ever counted.
CREATE TABLE usage_days (
	day_at BIGINT PRIMARY KEY,          -- 00:00 UTC of the day
	calls BIGINT NOT NULL,              -- those that were reported
	organizations BIGINT NOT NULL,      -- whose calls these are
	unattributed BIGINT NOT NULL,       -- calls of no organization
	no_customer BIGINT NOT NULL,        -- calls of those without a Stripe customer
	inactive BIGINT NOT NULL,           -- calls of those not active that day
	retell BIGINT,                      -- Retell's own count; NULL: not asked
	closed_at BIGINT                    -- when it was counted as a closed day
);

-- Days of an organization on which Stripe's sum and ours differ.
CREATE TABLE drifts (
	id INTEGER PRIMARY KEY AUTOINCREMENT, -- typed by people
	organization_id TEXT NOT NULL REFERENCES organizations (id), -- whose
	day_at BIGINT NOT NULL,             -- 00:00 UTC of the day
	local BIGINT NOT NULL,              -- calls in our own rows
	sent BIGINT NOT NULL,               -- reported to the meter
	stripe BIGINT,                      -- the meter's sum; NULL: no such customer
	cause TEXT NOT NULL,                -- rejected pending not_counted never_sent no_customer higher fewer
	command TEXT NOT NULL,              -- what mends it, or looks into it
	found_at BIGINT NOT NULL,           -- when first seen
	applied_at BIGINT,                  -- when the difference was sent again; NULL: never
	ended_at BIGINT                     -- when it was found equal; NULL: open
);
CREATE UNIQUE INDEX drifts_open ON drifts (organization_id, day_at)
	WHERE ended_at IS NULL;
