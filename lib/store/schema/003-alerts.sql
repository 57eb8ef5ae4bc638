-- Version 3. Alerts: which message carries which alert, how late a delivery is,
-- and alerts that flap.

-- Lateness counts from here, since due_at moves on with each try.
ALTER TABLE deliveries ADD COLUMN first_due_at BIGINT NOT NULL DEFAULT 0; -- when it was due at first, or after a retry by hand
UPDATE deliveries SET first_due_at = due_at;

-- An alert that opens and closes too often is held open until it is quiet.
ALTER TABLE system_alerts ADD COLUMN flapping_at BIGINT; -- since when it flaps; NULL: it does not
ALTER TABLE system_alerts ADD COLUMN changed_at BIGINT;  -- of one that flaps, when it last began or ended
ALTER TABLE system_alerts ADD COLUMN over_at BIGINT;     -- of one that flaps, since when it is said to be over; NULL: it stands
CREATE INDEX system_alerts_flapping ON system_alerts (changed_at)
	WHERE flapping_at IS NOT NULL AND resolved_at IS NULL;
CREATE INDEX system_alerts_fingerprint
	ON system_alerts (fingerprint, first_seen_at);

-- A message carries one alert or, in a storm and after quiet hours, many; an
-- alert has one in each channel, and others when it is told again.
CREATE TABLE alert_messages (
	alert_id BIGINT NOT NULL REFERENCES system_alerts (id), -- of whom
	delivery_id BIGINT NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE, -- the message
	notified_at BIGINT NOT NULL,        -- the alert's when it was told so
	PRIMARY KEY (alert_id, delivery_id)
);
CREATE INDEX alert_messages_delivery ON alert_messages (delivery_id);
INSERT INTO alert_messages (alert_id, delivery_id, notified_at)
	SELECT a.id, d.id, coalesce(a.notified_at, d.created_at)
	FROM system_alerts a JOIN deliveries d ON d.id = a.delivery_id;
-- The body of such a message is empty until it is sent first.
UPDATE deliveries SET body = '' WHERE state = 'queued' AND attempts = 0 AND
	id IN (SELECT delivery_id FROM alert_messages);
DROP INDEX system_alerts_delivery;
ALTER TABLE system_alerts DROP COLUMN delivery_id;
