#!/bin/sh
# Bad input: its exit status, its words, and a database without a trace of it.
. "$(dirname "$0")/../lib.sh"
URL=http://127.0.0.1:9 config

# refuse STATUS PATTERN NAME: what ./in holds is refused so.
refuse() {
	run automate-onboard --later <in
	is_status "$1" "$3: status"
	like "$(cat err)" "$2" "$3: says why"
	like "$(cat out)" '"outcome":"refused"' "$3: a result line"
	is "$(sql 'SELECT count(*) FROM events')" 0 "$3: no trace"
}

: >in
refuse 65 'empty input' 'empty'
printf '{"id":"a","name":"x' >in
refuse 65 'line 1, column' 'truncated'
printf '{"id":"a","name":"\377"}' >in
refuse 65 'line 1, column 19.*UTF-8' 'invalid UTF-8'
printf '{"id":"a",\n "id":"b"}' >in
refuse 65 'line 2, column 2: duplicate key "id"' 'duplicate key'
printf '[1]' >in
refuse 65 'no JSON object' 'an array'
printf '{"type":"INSERT","table":"organizations","record":7}' >in
refuse 65 '"record" is no object' 'a record that is no object'
printf '{"name":"x"}' >in
refuse 65 'field "id" is missing' 'no id'
printf '{"id":{}}' >in
refuse 65 'field "id" must be' 'an id of the wrong type'
printf '{"id":"a b"}' >in
refuse 65 'field "id" has a blank' 'an id with a blank'
{ printf '{"id":"a","x":'; printf '[%.0s' $(seq 100); printf ']%.0s' $(seq 100); echo '}'; } >in
refuse 65 'line 1, column .*64' 'nesting'
{ printf '{"id":"a","x":"'; head -c 9000000 /dev/zero | tr '\0' x; echo '"}'; } >in
refuse 65 'longer than 8388608 bytes' 'over the cap'

# What is odd and yet taken.
printf '\357\273\277{"id":12345678901234567,"budget":123456789012345678901234567890.5,"owner_email":"a@b.example"}' >in
run automate-onboard --later <in
is_status 0 'a BOM and wide numbers are taken'
is "$(sql 'SELECT id FROM organizations')" 12345678901234567 \
	'an id beyond 2^53 arrives exactly'
printf '{"id":"o1","owner_email":"a@b.example"}\n{"id":\n{"id":"o2","owner_email":"a@b.example"}\n' >in
run automate-onboard --later <in
is_status 65 'a batch with a bad line: the worst status'
is "$(sql "SELECT count(*) FROM organizations WHERE id IN ('o1','o2')")" 2 \
	'and the good lines are kept'
printf '{"name":"no id"}\n{"id":"o3","owner_email":"a@b.example"}\n' >in
elsewhere first.db run automate-onboard <in
is_status 65 'a batch whose first line is bad'
is "$(sqlite3 first.db 'SELECT count(*) FROM runs')" 1 \
	'and what is due of the others is sent'
printf '{"type":"UPDATE","table":"organizations","record":{"id":"z"},"old_record":{"id":"z"}}' >in
run automate-onboard --later <in
is_status 0 'an UPDATE is ignored'
like "$(cat out)" '"outcome":"ignored"' 'and says so'

echo '{"severity":"terrible","title":"x"}' >in
run automate-alert --later <in
is_status 65 'an unknown severity'
like "$(cat err)" 'severity' 'is named'
run automate-alert -s terrible x </dev/null
is_status 64 'and as an option is wrong usage'
run automate-onboard --nonsense <in
is_status 64 'an unknown option'
run automate-onboard -c /nonexistent <in
is_status 78 'no configuration file'
done_testing
