#!/bin/sh
# What Make.com, Zapier and what stands before them really answer, and what
# becomes of a mail then. A case has an organization of its own; only what is
# owed to that one is sent.
. "$(dirname "$0")/../lib.sh"
# receiver: a fresh one, and the configuration that knows it.
receiver() {
	# shellcheck disable=SC2119 # no options
	start_httpd
	config
	sed 's/^mail:/&\n  timeout: 1s/' automate.yaml >new.yaml
	mv new.yaml automate.yaml
}
receiver

# owe NAME: an organization whose mail alone is due.
owe() {
	echo "{\"id\":\"$1\",\"owner_email\":\"a@b.example\"}" |
		automate-onboard --later >out 2>&1
	automate-deliver cancel "onboard:$1:slack"
}
# of NAME COLUMN: of its mail.
of() {
	sql "SELECT $2 FROM deliveries WHERE idempotency_key = 'onboard:$1:welcome'"
}
# answered NAME STATUS STATE RULE...: the script's words for it, and what the
# run ends with.
answered() {
	answered_name=$1 answered_status=$2 answered_state=$3
	shift 3
	script "/mail $*"
	automate-deliver -q release mail
	owe "$answered_name"
	run automate-deliver
	is_status "$answered_status" "$answered_name: status"
	is "$(of "$answered_name" state)" "$answered_state" "$answered_name: state"
}
# later NAME FROM TO: it waits so many seconds.
later() {
	is "$(of "$1" 'due_at - created_at BETWEEN '"$2"' AND '"$3")" 1 \
		"$1: again in $2 to $3 s" ||
		echo "# due after $(of "$1" 'due_at - created_at') s"
}
# well: the receiver is well again, and all that waits has gone.
well() {
	script '/mail 200 body=Accepted'
	automate-deliver release mail
	automate-deliver --now "$(date -u -d '+3 days' +%Y-%m-%dT%H:%M:%SZ)" \
		>out 2>&1
	is "$(sql "SELECT count(*) FROM deliveries WHERE destination = 'mail' AND state = 'queued' AND step = 'welcome'")" \
		0 'all of it went when the receiver was well'
}

# They have it.
answered accepted 0 "done" '200 body=Accepted'
answered zapier 0 "done" '200 header=Content-Type:application/json body={"status":"success","id":"0","attempt":"0","request_id":"0"}'
answered silent 0 "done" '200 body='
answered created 0 "done" '201'
answered no-content 0 "done" '204'

# Not now.
answered queue-full 75 queued '400 body=Queue is full'
later queue-full 60 80
answered too-many 75 queued '429 body=Too many requests'
later too-many 60 80
well
answered gateway 75 queued '502 header=Content-Type:text/html body=<html><body><h1>502 Bad Gateway</h1></body></html>'
later gateway 4 8
unlike "$(of gateway answer)" '<' 'HTML is no reason for people'
answered maintenance 75 queued '503 header=Retry-After:1800'
later maintenance 1800 1830
well
date=$(date -u -d '+20 minutes' '+%a, %d %b %Y %H:%M:%S GMT' | sed 's/ /\\x20/g')
answered date 75 queued "503 header=Retry-After:$date"
later date 1180 1210
answered past 75 queued '503 header=Retry-After:Sun,\x2006\x20Nov\x201994\x2008:49:37\x20GMT'
later past 4 8
answered nonsense 75 queued '503 header=Retry-After:soon'
later nonsense 4 8
well

# No answer, or half of one.
answered closed 75 queued '200 close=before'
like "$(of closed answer)" 'broke off.*connection was closed' 'why it broke off'
answered half 75 queued '200 close=mid body=Accepted, and much more than that'
like "$(of half answer)" 'broke off.*closed early' 'why it broke off'
answered garbage 75 queued '200 garbage'
like "$(of garbage answer)" 'broke off.*not HTTP' 'why it broke off'
well
answered hang 75 queued '200 hang'
like "$(of hang answer)" 'no answer in time' 'mail.timeout is over'
later hang 60 80
is "$(sql "SELECT took_ms BETWEEN 900 AND 5000 FROM attempts WHERE delivery_id = $(of hang id)")" \
	1 'and that is when it was given up'
answered fade 75 queued '200 hang close=mid body=half of this'
like "$(of fade answer)" 'no answer in time' 'nor is half an answer one'
well
kill "$HTTPD"
wait_for 10 sh -c "! kill -0 $HTTPD"
owe nobody
run automate-deliver
is_status 75 'nobody listens: status'
is "$(of nobody state)" queued 'nobody listens: state'
like "$(of nobody answer)" 'no connection' 'nobody listens: why'
receiver
well

# Never.
answered refused 1 dead '400 body={"error":"field \"plan\" is missing"}'
like "$(of refused answer)" 'field "plan" is missing' 'with its words'
answered too-large 1 dead '413 body=too large'
answered odd 1 dead '422'
is "$(sql "SELECT count FROM system_alerts WHERE kind = 'delivery.dead'")" 3 \
	'each is counted in the alert'

# The destination is at fault.
for fault in '410 body=There is no scenario listening for this webhook.' \
	'410 body=Webhook not found' '404 body=Not found' '401 body=Unauthorized' \
	"302 header=Location:$URL/elsewhere" "308 header=Location:/elsewhere"; do
	name=$(echo "$fault" | tr -dc '[:alnum:]')
	answered "$name" 75 queued "$fault"
	is "$(sql "SELECT held_at IS NOT NULL FROM destinations WHERE name = 'mail'")" \
		1 "$name: the destination is held"
	well
done
is "$(requests /elsewhere)" 0 'no redirect was followed'
is "$(sql "SELECT count(*) FROM deliveries WHERE alert_kind = 'delivery.held' AND destination = 'mail'")" \
	0 'the founder is not told through what is held'
ok 'the founder is told' [ "$(sql "SELECT count(*) FROM deliveries WHERE alert_kind = 'delivery.held' AND destination = 'slack.alerts' AND state = 'done'")" -ge 1 ]

# Each once, at the receiver, under its key.
is "$(grep '"path":"/mail"' requests | sed 's/.*"idempotency-key":"\([^"]*\)".*/\1/' | sort -u | grep -c .)" \
	"$(sql "SELECT count(*) FROM deliveries WHERE destination = 'mail' AND attempts > 0")" \
	'each mail has a key of its own'
like "$(request "$(grep -n 'onboard:accepted:welcome' requests | head -1 | cut -d: -f1)" '$.body' '$.idempotency_key')" \
	'^onboard:accepted:welcome$' 'which is in its body too'
done_testing
