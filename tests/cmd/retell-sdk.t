#!/bin/sh
# What we send to Retell, judged by Retell's own package: its types, and its
# client in our place (tests/retell.mjs).
#
# The packages are fetched once, into the build folder; without node, npm or the
# registry there is nothing to compare with.
. "$(dirname "$0")/../lib.sh"
need_npm npm-retell retell-sdk@5.66.1 typescript@5.9.3

# shellcheck disable=SC2119 # no options
start_httpd
# shellcheck disable=SC2119
start_meter
config
cat >>automate.yaml <<-END
	retell:
	  api_key: key_one
	  from_number: "+14155550100"
	  agent_id: agent_7
	  api_base: $URL
	  timeout: 1s
	stripe:
	  secret_key: sk_test_retell
	  meter_id: mtr_1
	  api_base: $METER
	usage:
	  compare_retell: true
END
sed -e 's/^billing:/&\n  count: connected/' -e 's/automate\.db/connected.db/' \
	automate.yaml >connected.yaml
data=$TOP/tests/data/retell

lead() {
	echo "{\"id\":\"$1\",\"organization_id\":\"org_1\",\"name\":\"Sam\",\"phone\":\"+14155550199\",\"created_at\":\"$2\"}" |
		automate-call -q --later --now "$3" >>called 2>&1
}
sweep() {
	automate-call -q --later --sweep --call-due --now "$1" >>called 2>&1
}

# A call that is placed, and asked for when nothing says that it is over; one
# whose request is lost, and looked for; one that a sweep calls; and counting.
echo '{"id":"org_1","name":"Harbor"}' | automate-onboard --later >called 2>&1
script "/v2/create-phone-call 201 body=$(cat "$data/create-phone-call-201.json")" \
	'/v2/create-phone-call 500 close=before' \
	'/v3/list-calls 200 body={"items":[],"has_more":false,"total":0}' \
	'/v2/get-call/call_ok0000000000000000000000001 503' \
	"/get-concurrency 200 body=$(cat "$data/get-concurrency-200.json")"
lead l1 2026-10-05T13:00:00Z 2026-10-05T14:00:00Z
lead l2 2026-10-05T13:00:00Z 2026-10-05T14:00:01Z
lead l3 2026-10-05T14:00:00Z 2026-10-05T14:00:02Z
sweep 2026-10-05T17:00:00Z
sweep 2026-10-05T17:20:00Z
automate-reconcile -q --later --now 2026-10-06T02:00:00Z >>called 2>&1
automate-reconcile -c connected.yaml -q --later --now 2026-10-06T02:00:00Z \
	>>called 2>&1

node "$TOP/tests/retell.mjs" "$npm" "$SCRATCH/requests" "$URL" || {
	sed 's/^/# /' called
	exit 1
}
exit
