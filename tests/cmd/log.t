#!/bin/sh
# The alert log and the history of a subject.
. "$(dirname "$0")/../lib.sh"
URL=http://127.0.0.1:9 config
automate-alert --later -s critical -k a.b --organization org_1 one </dev/null >out 2>&1
automate-alert --later -s warning -k c.d "$(printf 'two \033[31m<!channel>')" </dev/null >out 2>&1

run automate-log
is_status 0 'list'
is "$(sed 1d out | wc -l)" 2 'both alerts'
unlike "$(cat out)" "$(printf '\033')" 'no escape sequence in a pipe, not even theirs'
run automate-log list --severity error
is "$(sed 1d out | grep -c a.b)$(sed 1d out | wc -l)" 11 'by severity'
run automate-log list --organization org_1
is "$(sed 1d out | wc -l)" 1 'by organization'
run automate-log list --since 2099-01-01T00:00:00Z
is "$(sed 1d out | wc -l)" 0 'by time'
run automate-log --json list
like "$(head -1 out)" '^\{"id":2,"kind":"c.d","severity":"warning","state":"open","count":1' 'as JSON'
run automate-log ack 1 --for 2h
is_status 0 'ack'
run automate-log show 1
like "$(cat out)" 'state +acknowledged' 'is shown'
run automate-log --now 2099-01-01T00:00:00Z show 1
like "$(cat out)" 'state +open' 'until it is over'
run automate-log --later resolve 1
is_status 0 'resolve'
run automate-log list --open
is "$(sed 1d out | wc -l)" 1 'one is open still'
is "$(sql "SELECT group_concat(DISTINCT state) FROM deliveries WHERE alert_kind = 'a.b'")" \
	cancelled 'what nobody has heard of is not sent any more'
run automate-log --later resolve 1
is_status 0 'resolving again is a no-op'
like "$(cat err)" 'resolved already' 'that is said'
run automate-log show 77
is_status 65 'no such alert'
run automate-log why org_1
is_status 0 'why'
like "$(cat out)" 'sms alert queued' 'tells of deliveries'
like "$(cat out)" 'resolved by' 'and of the end'
run automate-log why nobody
is_status 1 'of nobody nothing is known'
run automate-log nonsense
is_status 64 'an unknown verb'

# tail -f: what is there, then what comes, each once.
automate-log --json tail -f >followed 2>err &
tail=$!
wait_for 10 grep -q '"kind":"a.b"' followed
is "$(grep -c . followed)" 2 'tail -f shows what is there'
for n in 1 2 3; do
	automate-alert --later -k "e.$n" "$n" </dev/null >out 2>&1
	wait_for 10 grep -q "\"kind\":\"e.$n\"" followed
done
automate-alert --later -k e.1 again </dev/null >out 2>&1
wait_for 10 grep -q '"kind":"e.1".*"count":2' followed
is "$(sed 's/.*"kind":"\([^"]*\)".*"count":\([0-9]*\).*/\1 \2/' followed | tail -n 4 | tr '\n' ',')" \
	'e.1 1,e.2 1,e.3 1,e.1 2,' 'then what comes, each occurrence once'
kill -TERM $tail
wait $tail
status=$?
is_status 0 'SIGTERM ends it'
is "$(cat err)" '' 'without a word'

mkfifo pipe
automate-log tail -f >pipe 2>err &
tail=$!
exec 9<pipe
head -n 1 <&9 >first
like "$(cat first)" '^ *[0-9]+ ' 'a reader takes one line'
exec 9<&-
wait $tail
status=$?
ok 'and ends it by going away' [ "$status" = 0 ]
done_testing
