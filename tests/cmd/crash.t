#!/bin/sh
# SIGKILL at every system call that touches the database or the network, during
# one onboarding and one delivery run: afterwards exactly one of each effect in
# the database, and at the receiver at most one duplicate, only under the same
# key.
. "$(dirname "$0")/../lib.sh"
command -v strace >/dev/null || skip_all 'no strace'
strace -o /dev/null true 2>/dev/null || skip_all 'strace may not trace here'
# shellcheck disable=SC2119 # no options
start_httpd
config
printf '%s\n' '{"id":"o1","name":"A","owner_email":"a@b.example"}' >in
calls=pwrite64,fdatasync,fsync,ftruncate,fcntl,unlink,sendto,recvfrom,connect,openat

# fresh: nothing there, and no request seen.
fresh() {
	rm -f automate.db*
	: >requests
}

# kill_at N COMMAND...: killed at its Nth such call; false if it had fewer.
kill_at() {
	at=$1
	shift
	strace -qq -o trace -e "trace=$calls" \
		-e "inject=$calls:signal=KILL:when=$at" "$@" >out 2>err </dev/fd/3
	[ $? -ge 128 ]
}

broken=
n=$((1 - KILL_STEP))
while n=$((n + KILL_STEP)); [ $n -lt 2000 ]; do
	fresh
	kill_at $n automate-onboard --later 3<in || break
	automate-onboard <in >out 2>&1 || broken="$broken $n"
	[ "$(sql "SELECT count(*) || ',' || (SELECT count(*) FROM deliveries) || ',' || (SELECT count(*) FROM organizations) FROM events")" = 1,5,1 ] ||
		broken="$broken $n"
	[ "$(wc -l <requests)" = 2 ] || broken="$broken $n"
done
ok "an onboarding was killed among its first $((n - 1)) calls" [ $n -gt 10 ]
is "$broken" '' 'each time the next run had one of each'

broken=
twice=0
n=$((1 - KILL_STEP))
while n=$((n + KILL_STEP)); [ $n -lt 2000 ]; do
	fresh
	automate-onboard --later <in >out 2>&1
	kill_at $n automate-deliver 3</dev/null || break
	automate-deliver >out 2>&1 || broken="$broken $n:status"
	[ "$(sql "SELECT count(*) FROM deliveries WHERE state = 'done'")" = 2 ] ||
		broken="$broken $n:done"
	[ "$(sql "SELECT count(*) FROM deliveries WHERE state = 'sending'")" = 0 ] ||
		broken="$broken $n:sending"
	count=$(wc -l <requests)
	[ "$count" -ge 2 ] && [ "$count" -le 4 ] || broken="$broken $n:$count"
	[ "$count" = 2 ] || twice=$((twice + 1))
done
ok "a delivery run was killed among its first $((n - 1)) calls" [ $n -gt 10 ]
is "$broken" '' 'each time the next run delivered both and left nothing'
echo "# $twice of these kills fell between an answer and its settling"

# What was answered is kept while other answers are waited for.
# shellcheck disable=SC2317 # called by wait_for
settled() {
	[ "$(sql "SELECT count(*) FROM deliveries WHERE state = 'done'")" = 1 ]
}
fresh
script '/slack-customers 200 hang' '/mail 200'
automate-onboard --later <in >out 2>&1
automate-deliver >out 2>&1 &
hanging=$!
ok 'an answer is kept while another is waited for' wait_for 20 settled
kill -9 $hanging
wait $hanging 2>/dev/null
script '/slack-customers 200 body=ok' '/mail 200'
run automate-deliver
is "$(requests /mail),$(requests /slack-customers)" 1,2 \
	'after a kill only the other is sent again'
done_testing
