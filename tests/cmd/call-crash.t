#!/bin/sh
# SIGKILL at every system call that touches the database or the network, during
# one call: a lead is dialled once at most, whatever runs afterwards, and never
# is left in doubt.
. "$(dirname "$0")/../lib.sh"
command -v strace >/dev/null || skip_all 'no strace'
strace -o /dev/null true 2>/dev/null || skip_all 'strace may not trace here'
# shellcheck disable=SC2119 # no options
start_httpd
config
cat >>automate.yaml <<-END
	retell:
	  api_key: key_one
	  from_number: "+14155550100"
	  api_base: $URL
END
calls=pwrite64,fdatasync,fsync,ftruncate,fcntl,unlink,sendto,recvfrom,connect,openat,poll,ppoll,epoll_wait

echo '{"id":"org_1","owner_email":"a@b.example"}' | automate-onboard --later >out 2>&1
echo '{"id":"l1","organization_id":"org_1","phone":"+14155550199"}' | automate-call --later >out 2>&1
sqlite3 "$DB" "UPDATE leads SET created_at = 0; PRAGMA wal_checkpoint(TRUNCATE)" >out
mkdir start killed
cp automate.db start

there='{"call_id":"call_1","call_status":"ended","disconnection_reason":"user_hangup","start_timestamp":1790870400000,"end_timestamp":1790870460000,"metadata":{"automate_key":"call:l1:1"}}'
printf '%s\n' '/v2/create-phone-call 201 body={"call_id":"call_1","call_status":"registered"}' \
	"/v2/get-call/call_1 200 body=$there" \
	"/v3/list-calls 200 body={\"items\":[$there],\"has_more\":false}" >there
sed 's/"items":.*/"items":[],"has_more":false}/' there >nowhere
mv there script
kill -HUP "$HTTPD"

# kill_at N COMMAND...: killed at its Nth such call; false if it had fewer.
kill_at() {
	at=$1
	shift
	strace -qq -o trace -e "trace=$calls" \
		-e "inject=$calls:signal=KILL:when=$at" "$@" >out 2>err </dev/null
	[ $? -ge 128 ]
}
restore() { # FOLDER
	rm -f automate.db*
	cp "$1"/automate.db* .
}
dials() {
	requests /v2/create-phone-call
}
state() {
	sql "SELECT l.status || ' ' || c.state || ' ' || (c.placed_at IS NOT NULL) || ' ' || (SELECT count(*) FROM calls) FROM leads l JOIN calls c ON c.lead_id = l.id"
}

broken=
in_doubt=0
n=$((1 - KILL_STEP))
while n=$((n + KILL_STEP)); [ $n -lt 2000 ]; do
	restore start
	: >requests
	kill_at $n automate-call --later l1 || break
	before=$(dials)
	# Again at once, and by whatever else may come to call it.
	automate-call --later l1 >out 2>&1
	automate-call --later --force --again l1 >out 2>&1
	automate-call --later --sweep --call-due >out 2>&1
	[ "$(dials)" = 1 ] || [ "$before,$(dials)" = 0,0 ] || broken="$broken $n:dials"
	rm -f killed/*
	cp automate.db* killed
	[ "$(sql "SELECT count(*) FROM calls WHERE state = 'claimed'")" = 0 ] ||
		in_doubt=$((in_doubt + 1))
	# Retell has the call, or has not.
	automate-call --later --sweep --now 2099-01-01T00:00:00Z >out 2>&1 ||
		broken="$broken $n:sweep"
	[ "$(state)" = 'contacted ended 1 1' ] || broken="$broken $n:$(state)"
	restore killed
	cp script there
	cp nowhere script
	kill -HUP "$HTTPD"
	automate-call --later --sweep --now 2099-01-01T00:00:00Z >out 2>&1 ||
		broken="$broken $n:sweep"
	case $(state) in
	'contacted ended 1 1' | 'call_failed failed 0 1') ;;
	*) broken="$broken $n:$(state)" ;;
	esac
	mv there script
	kill -HUP "$HTTPD"
	[ "$(dials)" -le 1 ] || broken="$broken $n:dialled again"
done
ok "a call was killed among its first $((n - 1)) system calls" [ $n -gt 20 ]
is "$broken" '' 'each time it was dialled once at most, and its end is known'
ok 'some of them left a call in doubt' [ $in_doubt -gt 0 ]
echo "# $in_doubt of these kills fell between the claim and the answer"
done_testing
