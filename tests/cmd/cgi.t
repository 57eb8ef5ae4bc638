#!/bin/sh
# automate-cgi by itself, as a web server would run it: what it makes of what it
# takes in, and of a command's exit status; what commands get to see, and what it
# does with a server that leaves things out. Behind real servers: cgi-*.t.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/cgi.sh
. "$TOP/tests/cgi.sh"
# shellcheck disable=SC2119 # no options
start_httpd
cgi_config
mkdir bin
cp "$BUILD/automate-cgi" bin/
cgi=$SCRATCH/bin/automate-cgi

# command NAME LINE...: a command of that script.
command_() {
	name=bin/automate-$1
	shift
	printf '%s\n' '#!/bin/sh' "$@" >"$name"
	chmod 755 "$name"
}

# serve METHOD PATH VARIABLE...: a request with nothing else in the environment
# and ./body on standard input.
serve() {
	method=$1 path=$2
	shift 2
	run env -i AUTOMATE_CONFIG="$AUTOMATE_CONFIG" \
		GATEWAY_INTERFACE=CGI/1.1 REQUEST_METHOD="$method" \
		PATH_INFO="$path" CONTENT_LENGTH="$(wc -c <body | tr -d ' ')" \
		"$@" "$cgi" <body
	tr -d '\r' <out >text
	code=$(sed -n '1s/^Status: \([0-9]*\) .*/\1/p' text)
	sed '1,/^$/d' text >answer
}
onboard() {
	serve POST /onboarding-automation \
		HTTP_AUTHORIZATION='Bearer onboarding-secret-1' "$@"
}
call() {
	serve POST /trigger-ai-caller \
		HTTP_AUTHORIZATION='Bearer onboarding-secret-1' "$@"
}
head_of() {
	sed -n "/^$/q;s/^$1: //p" text
}

# A body that never comes is waited for while all else is looked at.
mkfifo never
sleep 60 >never &
kill_at_exit $!
env -i AUTOMATE_CONFIG="$AUTOMATE_CONFIG" REQUEST_METHOD=POST \
	PATH_INFO=/onboarding-automation CONTENT_LENGTH=14 "$cgi" \
	<never >never.out 2>never.err &
waiting=$!

# Exit statuses.
printf '{"id":"lead_1"}' >body
while read -r ends wanted; do
	command_ call 'cat >/dev/null' "echo '/etc/secret whsec_1' >&2" \
		"exit $ends"
	call
	is "$code" "$wanted" "exit status $ends is $wanted"
	is "$status" 0 'which is no failure of the program'
	unlike "$(cat answer)" 'whsec|/etc' 'and tells nothing of ours'
	ok 'the answer is JSON' json answer '$.error'
done <<-END
	1 500
	64 500
	65 400
	69 502
	70 500
	75 503
	77 401
	78 500
	127 500
END
command_ call 'cat >/dev/null' 'exit 75'
call
like "$(head_of Retry-After)" '^[0-9]+$' 'what is not now says when'
command_ call 'kill -9 $$'
call
is "$code" 503 'a command that was killed: not now'
rm bin/automate-call
call
is "$code" 500 'a command that is missing'
like "$(cat err)" 'cannot start automate-call: No such file' \
	'is named in the log'

# A command's results.
command_ call 'cat >seen.body; env >seen.env; echo "$*" >seen.arguments' \
	'echo "{\"outcome\":\"recorded\",\"deliveries\":0}"'
call HTTP_PROXY=http://evil/ http_proxy=x HTTPS_PROXY=x all_proxy=x \
	HTTP_COOKIE=x HTTP_STRIPE_SIGNATURE=t=1,v1=00
is "$code $(cat answer)" \
	'200 {"ok":true,"outcome":"recorded","deliveries":0}' \
	'a result is the answer'
is "$(sed -n 1p text)" 'Status: 200 OK' 'the status comes first'
is "$(head_of Content-Length)" "$(wc -c <answer | tr -d ' ')" \
	'the length is that of the answer'
is "$(cat seen.body)" '{"id":"lead_1"}' 'the command got the body'
is "$(cat seen.arguments)" --later 'and is to leave sending'
is "$(grep '^HTTP' seen.env)" '' "nothing of the client's is passed on"
is "$(grep -ic proxy seen.env)" 0 'no proxy'
like "$(cat seen.env)" '^PATH=.*/bin' 'there is a PATH'
like "$(cat seen.env)" '^GATEWAY_INTERFACE=CGI/1.1' 'and who asks'
command_ call 'cat >/dev/null' 'echo "{\"a\":1}"; echo "{\"a\":2}"'
call
is "$(cat answer)" '{"ok":true,"results":[{"a":1},{"a":2}]}' \
	'of a batch: a list'
command_ call 'cat >/dev/null' \
	'echo "{\"outcome\":\"refused\",\"error\":\"no id\"}"; exit 65'
call
is "$code $(cat answer)" '400 {"error":"no id"}' \
	'what was wrong with the body is told'
command_ call 'cat >/dev/null; head -c 5000000 /dev/zero | tr "\0" x'
call
is "$code $(cat answer)" '200 {"ok":true}' 'too much of a result is left out'
command_ call 'exec </dev/null' 'echo "{}"'
head -c 1000000 /dev/zero >body
call
is "$code" 200 'a command need not read all of the body'

# What is taken in without a command.
printf '{"id":"org_1"}' >body
onboard
is "$code $(json answer '$.ok') $(json answer '$.outcome')" '200 1 recorded' \
	'an organization'
is "$(sql "SELECT id FROM organizations")" org_1 'is kept'
onboard
is "$code $(json answer '$.outcome')" '200 duplicate' 'again: known'
printf '{"name":"no id"}' >body
onboard
is "$code $(json answer '$.error')" \
	"400 $(sed -n 's/^automate-cgi: //p' err)" \
	'what is wrong with one is told, and in the log'
printf '{"id":' >body
onboard
is "$code" 400 'no JSON'
printf '{"id":"org_2"}\n{"name":"no id"}\n{"id":"org_3"}\n' >body
onboard
is "$code $(json answer '$.results[0].outcome') $(json answer \
	'$.results[1].outcome') $(json answer '$.results[2].outcome')" \
	'400 recorded refused recorded' 'a batch goes on past a bad line'
is "$(sql "SELECT count(*) FROM organizations")" 3 'and the rest of it is kept'
awk 'BEGIN { for (i = 0; i < 10000; i++) printf "{\"id\":\"org_many%d\"}\n", i }' \
	>body
onboard
is "$code $(sql "SELECT count(*) FROM organizations WHERE id LIKE 'org_many%'")" \
	'200 10000' 'a batch of ten thousand'
ok 'of whose results some are told' json answer '$.results[100].outcome'
ok 'up to a megabyte' test "$(wc -c <answer)" -lt 1100000
printf '{"title":"t"}' >body
serve POST /retell-failure-alert HTTP_AUTHORIZATION='Bearer alert-secret-1'
is "$code $(json answer '$.outcome')" '200 recorded' 'an alert'
printf '{"event":"call_ended","call":{"call_id":"call_1"}}' >body
serve POST /retell-webhook HTTP_X_RETELL_SIGNATURE="$(sign retell key_test <body)"
is "$code $(json answer '$.outcome')" '200 recorded' 'a signed event of Retell'
serve POST /retell-webhook HTTP_X_RETELL_SIGNATURE=v=1,d=00
is "$code" 401 'a forged one is refused'
like "$(cat err)" '^automate-cgi: /retell-webhook: .*Signature' \
	'and said in the log'
event evt_1
cp event body
printf ' ' >>body
serve POST /stripe-webhook HTTP_STRIPE_SIGNATURE="$signature"
is "$code" 401 'a signature is over every byte'
cp event body
serve POST /stripe-webhook HTTP_STRIPE_SIGNATURE="$signature"
is "$code $(json answer '$.secret')" '200 2' 'which secret it was is said'
like "$(serve POST /stripe-webhook HTTP_STRIPE_SIGNATURE="$signature" \
	AUTOMATE_CONFIG=/nowhere.yaml; cat text)" '^Status: 500' \
	'without a configuration none is taken'

# Where a browser is sent.
printf '{"id":"org_1","name":"a\\r\\nX: 1"}' >body
sed "s|^onboarding:|&\n  redirect_url: http://localhost/?n={organization_name}|" \
	automate.yaml >to.yaml
rm -f "$DB"*
onboard HTTP_ACCEPT='text/html, */*;q=0.8' \
	AUTOMATE_CONFIG="$SCRATCH/to.yaml"
is "$code $(head_of Location)" '303 http://localhost/?n=a%0D%0AX%3A%201' \
	'a browser is sent elsewhere, and no value out of its place'
onboard AUTOMATE_CONFIG="$SCRATCH/to.yaml"
is "$code" 200 'a program is not'
sed "s|localhost|app.example.com|" to.yaml >away.yaml
onboard HTTP_ACCEPT=text/html AUTOMATE_CONFIG="$SCRATCH/away.yaml"
is "$code" 500 'nobody is sent to http elsewhere'

# Signatures of webhooks are asked for before anything is run.
serve POST /stripe-webhook
is "$code" 401 'no signature'
serve POST /stripe-webhook HTTP_STRIPE_SIGNATURE=
is "$code" 401 'an empty one'
serve POST /stripe-webhook HTTP_STRIPE_SIGNATURE='t=1,v1=00, t=1,v1=00'
is "$code" 401 'two, as servers join them'

# Secrets that are not set, and the ones that stand in.
without() {
	sed "/^$1:/,/^  secret/d" automate.yaml >without.yaml
	shift
	serve "$@" AUTOMATE_CONFIG="$SCRATCH/without.yaml"
}
command_ call 'cat >/dev/null; echo "{}"'
command_ deliver ':'
without cron GET /api/cron/deliver HTTP_AUTHORIZATION='Bearer '
is "$code" 401 'no cron.secret: refused'
like "$(cat err)" 'set cron\.secret' 'with the key to set'
without cron GET /api/cron/deliver HTTP_AUTHORIZATION='Bearer undefined'
is "$code" 401 'also for who has none'
without onboarding POST /onboarding-automation HTTP_AUTHORIZATION='Bearer x'
is "$code" 401 'no onboarding.secret: refused'
like "$(cat err)" 'set onboarding\.secret' 'with the key to set'
printf '{"title":"t"}' >body
without alerts POST /retell-failure-alert \
	HTTP_AUTHORIZATION='Bearer onboarding-secret-1'
is "$code" 200 "without alerts.secret onboarding's is good"
like "$(serve POST /trigger-ai-caller HTTP_AUTHORIZATION='Bearer a, Bearer b'
	cat text)" '^Status: 401' 'two secrets in one header'
like "$(cat text)" '^WWW-Authenticate: Bearer' 'how to ask is said'

# Lengths. The body is longer than what is read of it.
printf '{"id":"org_1"}trailing' >body
while read -r length wanted; do
	onboard CONTENT_LENGTH="$length"
	is "$code" "$wanted" "a Content-Length of \"$length\""
done <<-'END'
	14 200
	-1 400
	+14 400
	14x 400
	0x0e 400
	1e3 400
	14,14 400
	0 400
	23 400
	8388609 413
	18446744073709551630 413
	99999999999999999999999999 413
END
command_ call 'cat >seen.body; echo "{}"'
call CONTENT_LENGTH=14
is "$(cat seen.body)" '{"id":"org_1"}' 'no byte beyond the length is read'
onboard CONTENT_LENGTH=
is "$code" 400 'an empty length is none'
onboard CONTENT_LENGTH= HTTP_TRANSFER_ENCODING=chunked
is "$code" 411 'a chunked body has to be joined by the server'
onboard CONTENT_LENGTH=8388608
is "$code" 400 'less than the length came'

# Paths.
for uri in /x//stripe-webhook '/x/%73tripe-webhook' /x/../stripe-webhook \
	/x/./stripe-webhook /x/other /stripe-webhook/; do
	serve POST /stripe-webhook REQUEST_URI="$uri"
	is "$code" 404 "$uri is no path, whatever the server makes of it"
done
serve GET /healthz REQUEST_URI='/automate/healthz?a=/../%2F//'
is "$code" 200 'a query is not looked at'
serve GET ''
is "$code" 404 'no path'
serve HEAD /healthz
is "$code $(wc -c <answer | tr -d ' ')" '200 0' 'HEAD has no body'
serve HEAD /api/cron/deliver
is "$code" 405 'HEAD starts nothing'

# Not well.
serve GET /healthz AUTOMATE_CONFIG=/nowhere.yaml
is "$code" 500 'no configuration'
unlike "$(cat answer)" nowhere 'and its path is not told'
health_at() {
	sed "s|^  path: .*|  path: $1|" automate.yaml >at.yaml
	serve GET /healthz AUTOMATE_CONFIG="$SCRATCH/at.yaml"
}
health_at /dev/null/x
is "$code" 503 'a database that cannot be had'
health_at "$SCRATCH/none.db"
is "$code" 200 'none yet is no fault'
ok 'nor is one made' test ! -e none.db
head -c 5000 /dev/zero | tr '\0' x >none.db
health_at "$SCRATCH/none.db"
is "$code" 500 'what is no database'

# Cron is watched from here, and this from outside.
clock() {
	date -u -d "@$(($(date +%s) + $1))" +%Y-%m-%dT%H:%M:%SZ
}
sql 'SELECT command FROM runs' >runs
is "$(cat runs)" '' 'cron never ran'
serve GET /healthz AUTOMATE_NOW="$(clock 864000)"
is "$code" 200 'of which nothing is known'
sqlite3 "$DB" "INSERT INTO runs (command, started_at, ended_at, status)
	VALUES ('deliver', strftime('%s') - 1, strftime('%s'), 0)"
serve GET /healthz
is "$code" 200 'cron ran just now'
serve GET /healthz AUTOMATE_NOW="$(clock 600)"
is "$code" 200 'ten minutes ago'
serve GET /healthz AUTOMATE_NOW="$(clock 700)"
is "$code $(cat answer)" '503 {"error":"cron stands still"}' 'too long ago'
like "$(cat err)" 'automate-deliver' 'the log says which job'
sqlite3 "$DB" "INSERT INTO runs (command, started_at, ended_at, status)
	VALUES ('dunning', strftime('%s') - 9000, strftime('%s') - 9000, 0)"
serve GET /healthz
is "$code" 503 'of several jobs one is enough'
sqlite3 "$DB" "INSERT INTO runs (command, started_at)
	VALUES ('dunning', strftime('%s'))"
serve GET /healthz
is "$code" 503 'one that has only begun has not ended'
sed '/^stripe:/,/webhook_secret/d' automate.yaml >no-stripe.yaml
serve GET /healthz AUTOMATE_CONFIG="$SCRATCH/no-stripe.yaml"
is "$code" 200 'a job that is not needed may stand still'
sqlite3 "$DB" 'DELETE FROM runs'
run env -i "$cgi"
is_status 64 'without a request it says how it is used'
run env -i "$cgi" --version
like "$(cat out)" '^automate-cgi [0-9]' 'and its version'
run env -i AUTOMATE_CONFIG="$AUTOMATE_CONFIG" REQUEST_METHOD=GET \
	PATH_INFO=/healthz "$cgi" --version
like "$(head -n 1 out)" '^Status: ' 'by a server arguments are not looked at'

# A server that ignores SIGCHLD; a client that is gone.
run perl -e '$SIG{CHLD} = "IGNORE"; exec @ARGV' env -i \
	AUTOMATE_CONFIG="$AUTOMATE_CONFIG" REQUEST_METHOD=POST \
	PATH_INFO=/trigger-ai-caller CONTENT_LENGTH=14 \
	HTTP_AUTHORIZATION='Bearer onboarding-secret-1' "$cgi" <body
like "$(head -n 1 out)" '^Status: 200' 'SIGCHLD is ignored: the status is known'

# A server that ends us as soon as it has the answer, here while we write it
# into a pipe that is full: what is to follow follows all the same.
command_ deliver 'echo "$*" >delivered'
mkfifo answers
exec 3<>answers
head -c 65536 /dev/zero >&3
env -i AUTOMATE_CONFIG="$AUTOMATE_CONFIG" GATEWAY_INTERFACE=CGI/1.1 \
	REQUEST_METHOD=GET PATH_INFO=/api/cron/deliver \
	HTTP_AUTHORIZATION='Bearer cron-secret-1' "$cgi" >&3 2>err </dev/null &
answering=$!
ok 'it waits to be read' wait_for 10 grep -q '^State:.S' /proc/$answering/status
kill -TERM $answering
head -c 65536 <&3 >/dev/null
wait $answering
is $? 0 'it is not ended'
exec 3<&-
ok 'and starts what it said' wait_for 10 test -e delivered

# Bodies that end early, or never come: bounded.
cp "$BUILD"/automate-onboard "$BUILD"/automate-deliver bin/
wait $waiting
like "$(head -n 1 never.out)" '^Status: 400' 'a body that never comes'

# A stored fact is 200; what is ours to lose is 503.
printf '{"id":"org_real","owner_email":"r@example.com"}' >body
onboard
is "$code $(json answer '$.outcome')" '200 recorded' 'recorded'
ok 'and delivered, by nobody who waits' wait_for 10 \
	sh -c "grep -q /slack-customers requests"
sqlite3 "$DB" 'BEGIN IMMEDIATE; SELECT 1;' '.system touch locked; sleep 60' \
	>locker.out 2>&1 &
kill_at_exit $!
wait_for 10 test -e locked
sed 's/^database:/&\n  busy_timeout: 1s/' automate.yaml >short.yaml
printf '{"id":"org_locked"}' >body
onboard AUTOMATE_CONFIG="$SCRATCH/short.yaml"
is "$code" 503 'a locked database: not now'

# Two users, one database.
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	mkdir shared
	chgrp "$(id -g nobody)" shared
	chmod 2770 shared
	sed "s|$DB|$SCRATCH/shared/automate.db|" automate.yaml >shared.yaml
	as() {
		user=$1
		shift
		setpriv --reuid "$user" --regid "$(id -g daemon)" \
			--groups "$(id -g nobody)" env -i \
			AUTOMATE_CONFIG="$SCRATCH/shared.yaml" "$@"
	}
	umask 077
	chmod 755 bin bin/*
	chmod 644 shared.yaml
	for turn in 1 2; do
		for user in daemon nobody; do
			echo "{\"id\":\"org_$user$turn\",\"owner_email\":\"a@b.example\"}" |
				as $user "$SCRATCH/bin/automate-onboard" >out 2>err
			status=$?
			is_status 0 "$user takes turn $turn"
		done
	done
	is "$(sqlite3 shared/automate.db 'SELECT count(*) FROM organizations')" \
		4 'both have written'
	is "$(find shared -type f ! -perm 660)" '' \
		'all of its files are the group'"'"'s too'
	mkdir alone
	chown daemon alone
	sed "s|$DB|$SCRATCH/alone/automate.db|" automate.yaml >shared.yaml
	chmod 644 shared.yaml
	echo '{"id":"org_1"}' | as daemon "$SCRATCH/bin/automate-onboard" >out 2>err
	status=$?
	is_status 0 'in a folder without that bit'
	is "$(find alone -type f ! -perm 600)" '' "they are their owner's alone"
else
	tap_pass 'two users, one database # SKIP not root, or no setpriv'
fi
done_testing
