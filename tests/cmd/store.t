#!/bin/sh
# A database that will not do: said with its path, and nothing acknowledged.
. "$(dirname "$0")/../lib.sh"
URL=http://127.0.0.1:9 config
printf '%s\n' '{"id":"o1","owner_email":"a@b.example"}' >in

fails() {
	run automate-onboard --later <in
	is_status "$1" "$3: status"
	like "$(cat err)" "automate.db.*$2" "$3: path and reason"
	is "$(cat out)" '' "$3: nothing acknowledged"
}

echo 'this is no database, but long enough to look at, by far, as a file' >automate.db
fails 78 'not a database' 'not a database'
rm automate.db
sqlite3 automate.db 'CREATE TABLE theirs (x)'
fails 78 'not a database of automate' 'the database of something else'
rm automate.db

run automate-onboard --later <in
is_status 0 'a fresh one is made'
is "$(stat -c %a automate.db)" 600 'readable by its owner alone'
version=$(sqlite3 automate.db 'PRAGMA user_version')
sqlite3 automate.db 'PRAGMA user_version = 99'
sum=$(cksum <automate.db)
fails 78 'later version' 'from the future'
is "$(cksum <automate.db)" "$sum" 'which is not touched'
sqlite3 automate.db "PRAGMA user_version = $version"

# Not for us to write: as another user where this one may do anything.
automate-onboard --later <in >out 2>&1
chmod 755 "$SCRATCH"
chmod 644 in
user=
if [ "$(id -u)" = 0 ]; then
	user='setpriv --reuid=65534 --regid=65534 --clear-groups'
	chown -R 65534:65534 "$SCRATCH"
fi
# denied PATTERN NAME [COMMAND...]: 78 with the path and the reason.
denied() {
	denied_pattern=$1 denied_name=$2
	shift 2
	# shellcheck disable=SC2086 # words
	run $user "${@:-automate-onboard}" --later <in
	is_status 78 "$denied_name: status"
	like "$(cat err)" "$denied_pattern" "$denied_name: path and reason"
	is "$(cat out)" '' "$denied_name: nothing acknowledged"
}
read_only='automate.db: read-only; see to the permissions'
# shellcheck disable=SC2086 # words
if $user automate-onboard --version >out 2>&1; then
	chmod 400 automate.db
	denied "$read_only" 'a file that may only be read'
	denied "$read_only" 'the same, a delivery run' automate-deliver
	chmod 000 automate.db
	denied 'automate.db: Permission denied' 'a file that may not be read'
	chmod 600 automate.db
	sqlite3 automate.db 'PRAGMA wal_checkpoint(TRUNCATE)' >out
	rm -f automate.db-*
	: >elsewhere.yaml
	chmod 555 .
	denied "$read_only" 'a folder without room for a journal'
	elsewhere new.db \
		denied 'new.db: cannot make .*Permission' 'a folder to look at'
	elsewhere a/b/new.db \
		denied '/a: cannot make .*Permission' 'a folder in it'
	chmod 755 .
	# shellcheck disable=SC2086 # words
	run $user automate-onboard --later <in
	is_status 0 'and afterwards the same line works'
else
	tap_pass 'another user # SKIP setpriv or a build that all can reach is missing'
fi
elsewhere in/new.db run automate-onboard <in
is_status 78 'a path through a file'
like "$(cat err)" 'in/new.db: cannot make .*Not a directory' 'is none'
elsewhere . run automate-onboard <in
is_status 78 'a folder for a database'
like "$(cat err)" "$SCRATCH/[.]: not a file" 'is none either'
elsewhere a/b/new.db \
	run automate-onboard --later <in
is_status 0 'folders are made'
is "$(stat -c %a a a/b | tr '\n' ' ')" '700 700 ' 'for their owner alone'

# Locked for longer than the limit.
sed 's/^database:/&\n  busy_timeout: 1s/' automate.yaml >short.yaml
mkfifo hold
sqlite3 automate.db >/dev/null <hold &
holder=$!
exec 9>hold
echo 'BEGIN IMMEDIATE; SELECT 1;' >&9
wait_for 10 sh -c '! sqlite3 automate.db "BEGIN IMMEDIATE" 2>/dev/null'
AUTOMATE_CONFIG=$PWD/short.yaml fails 75 'locked' 'locked'
exec 9>&-
wait "$holder"
run automate-onboard --later <in
is_status 0 'and afterwards the same line works'

# Two makers at once.
rm -f automate.db*
for n in 1 2 3 4; do
	(echo "{\"id\":\"m$n\"}" | automate-onboard --later >/dev/null 2>"err.$n"
	echo $? >"status.$n") &
	makers="${makers:-} $!"
done
# shellcheck disable=SC2086 # a list
wait $makers
is "$(cat status.? | tr -d '\n')" 0000 'four makers of one database succeed'
is "$(sql 'SELECT count(*) FROM organizations')" 4 'and none is lost'
run automate-onboard --dry-run <in
is_status 0 'a dry run'
is "$(sql "SELECT count(*) FROM organizations WHERE id = 'o1'")" 0 'keeps nothing'

# Each process reads the journal that those before it left.
n=0
while n=$((n + 1)); [ $n -le 60 ]; do
	echo "{\"id\":\"j$n\",\"owner_email\":\"a@b.example\"}" |
		automate-onboard -q --later >out 2>&1
done
is "$(sql "SELECT count(*) FROM organizations WHERE id LIKE 'j%'")" 60 \
	'one command after the other'
ok 'leave a journal that does not grow' \
	[ "$(wc -c <automate.db-wal)" -lt 2000000 ]
done_testing
