#!/bin/sh
# Many requests at once through lighttpd, of which some are repeated, forged or
# no JSON: just the right rows, and nothing left behind. LOAD=10000 for a soak.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/cgi.sh
. "$TOP/tests/cgi.sh"
# shellcheck disable=SC2119 # no options
start_httpd
cgi_config
install_commands
start_server lighttpd || skip_all 'no lighttpd'
wait_for 10 none_running

descriptors() {
	find "/proc/$SERVER/fd" -type l 2>/dev/null | grep -c .
}
# shellcheck disable=SC2317 # by wait_for
few_descriptors() {
	[ "$(descriptors)" -le "$before" ]
}

# With sanitizers a start takes so long that many at once wait for the database
# longer than they may.
clients=32 count=300
[ -z "${SAN:-}" ] || clients=4 count=60
before=$(descriptors)
run load -m -c $clients -n "${LOAD:-$count}" -k ids -s whsec_new "$CGI/stripe-webhook"
is_status 0 'every answer is the one that is to come'
echo "# $(cat out)"
is "$(json out '$.other')" 0 'no 5xx, nothing without an answer'
is "$(json out '$.unauthorized')" "$(json out '$.forged')" \
	'the forged are refused'
is "$(json out '$.refused')" "$(json out '$.malformed')" 'and so is no JSON'
is "$(sql "SELECT count(*) FROM events WHERE id LIKE 'evt\_%' ESCAPE '\\'")" \
	"$(json out '$.fresh')" 'a row for each event'
sql 'SELECT id FROM events' | sort >rows
is "$(sort -u ids | comm -23 - rows)" '' 'each that was answered with 200'

ok 'nothing of ours is left running' wait_for 30 none_running
is "$(zombies)" '' 'nor dead'
ok 'the server has no more descriptors than before' \
	wait_for 20 few_descriptors
is "$(sql 'PRAGMA integrity_check')" ok 'the database is whole'
done_testing
