-- Version 5. Calls: numbers that cannot be called, where a transcript is kept,
-- and ways to find a call's lead.

ALTER TABLE leads ADD COLUMN bad_phone TEXT;        -- a number Retell said cannot be called; not tried again
CREATE INDEX leads_phone ON leads (phone);

-- Where no call came of a request disconnection_reason is http_<status>, or
-- unreachable or absent. One call has its transcript in one event: the body of
-- another is kept without.
ALTER TABLE calls ADD COLUMN transcript_event_id TEXT; -- the event whose body has the transcript
CREATE INDEX calls_lead ON calls (lead_id, created_at);
CREATE INDEX calls_failed ON calls (created_at) WHERE state = 'failed';

CREATE INDEX events_call ON events (call_id) WHERE call_id IS NOT NULL;
