#!/bin/sh
# A disk that is full, from the beginning or in the middle of things, and one
# that may only be read. In a mount namespace of its own, on a small tmpfs.
if [ -z "${DISK_T:-}" ]; then
	for flags in -m -rm; do
		unshare $flags mount -t tmpfs tmpfs /tmp 2>/dev/null &&
			DISK_T=1 exec unshare $flags "$0"
	done
fi
. "$(dirname "$0")/../lib.sh"
[ -n "${DISK_T:-}" ] || skip_all 'no file system may be mounted here'
# shellcheck disable=SC2119 # no options
start_httpd
mkdir disk
mount -t tmpfs -o size=12m tmpfs disk || exit 1
trap 'umount -l disk; tap_exit' EXIT
DB=$SCRATCH/disk/automate.db
config

# fill LEFT: leave that many KiB free. free_again: all but the database.
fill() {
	dd if=/dev/zero of=disk/fill bs=1k 2>/dev/null
	dd if=/dev/zero bs=1k 2>/dev/null >>disk/fill
	dd if=/dev/null of=disk/fill bs=1k seek=$(($(wc -c <disk/fill) / 1024 - $1)) 2>/dev/null
}
free_again() {
	rm disk/fill
}
# fails STATUS PATTERN NAME COMMAND...: so, with the path and no result.
fails() {
	fails_status=$1 fails_pattern=$2 fails_name=$3
	shift 3
	run "$@" <in
	is_status "$fails_status" "$fails_name: status"
	like "$(cat err)" "$DB.*: $fails_pattern" "$fails_name: path and reason"
	is "$(cat out)" '' "$fails_name: nothing acknowledged"
}
full='the disk is full; make room and run it again'
organization() {
	printf '{"id":"%s","owner_email":"a@b.example"}\n' "$1"
}

# From the beginning: wherever the making of the database is cut short.
organization o1 >in
for left in 0 4 8 24 36 100; do
	fill $left
	fails 75 "$full" "a new database, $left KiB left" automate-onboard --later
	free_again
	[ $left = 36 ] || rm -f "$DB"*
done
rm -f "$DB"*
fill 0
automate-onboard --later <in >out 2>err
free_again
run automate-onboard --later <in
is_status 0 'afterwards the same line works'
like "$(cat out)" '"recorded"' 'as if nothing had been'

organization o2 >in
fill 0
fails 75 "$full" 'an onboarding' automate-onboard --later
is "$(sql "SELECT count(*) FROM organizations WHERE id = 'o2'")" 0 \
	'an onboarding: no trace'
fails 75 "$full" 'an alert' automate-alert --later 'on fire'
fails 75 "$full" 'holding' automate-deliver hold billing
fails 75 "$full" 'a delivery run' automate-deliver
is "$(requests /mail)" 0 'what cannot be claimed is not sent'
run automate-log list
is_status 0 'looking works'
free_again
run automate-onboard --later <in
is_status 0 'afterwards the onboarding works'
run automate-deliver
is_status 0 'and so does the delivery run'

# Between a request and its settling.
automate-alert --later -k disk.test 'on fire' </dev/null >out 2>&1
script '/slack-alerts 200 delay=1000 body=ok' '/slack-alerts 200 body=ok'
automate-deliver >out 2>err &
sender=$!
wait_for 10 grep -q slack-alerts requests
fill 0
wait $sender
status=$?
is_status 75 'an answer that cannot be settled: status'
like "$(cat err)" "$DB: $full" 'path and reason'
free_again
run automate-deliver
is_status 0 'it goes again'
is "$(requests /slack-alerts)" 2 'so it went twice'
is "$(grep slack-alerts requests | sed 's/.*"idempotency-key":"\([^"]*\)".*/\1/' | uniq | wc -l)" \
	1 'under one key'

# In the middle of a batch: what was printed is there, and nothing else.
n=0
while [ $n -lt 6000 ]; do
	n=$((n + 1))
	organization "many$n"
done >in
fill 5000
run automate-onboard --later <in
is_status 75 'a batch on a disk that fills up: status'
like "$(cat err)" "$DB: $full" 'path and reason'
sed -n 's/.*"organization":"\([^"]*\)".*/\1/p' out | sort >printed
sql "SELECT id FROM organizations WHERE id LIKE 'many%'" | sort >kept
ok 'some of it was taken' test -s printed
ok 'not all of it was' [ "$(wc -l <printed)" -lt 6000 ]
ok 'what was printed is kept, and nothing else' cmp printed kept
is "$(sql "SELECT count(*) FROM deliveries WHERE organization_id LIKE 'many%'")" \
	$((5 * $(wc -l <kept))) 'with all that it makes us owe'
is "$(sql 'PRAGMA integrity_check')" ok 'the database is sound'
free_again
mount -o remount,size=64m tmpfs disk
run automate-onboard --later <in
is_status 0 'afterwards the same batch works'
is "$(grep -c '"duplicate"' out)" "$(wc -l <kept | tr -d ' ')" \
	'what was taken is a duplicate'
is "$(sql "SELECT count(*) FROM organizations WHERE id LIKE 'many%'")" 6000 \
	'and the rest is taken'

# Read-only.
organization o3 >in
mount -o remount,ro tmpfs disk
fails 78 'read-only' 'a read-only disk' automate-onboard --later
fails 78 'read-only' 'a read-only disk, an alert' automate-alert --later x
fails 78 'read-only' 'a read-only disk, a delivery run' automate-deliver
elsewhere disk/other.db \
	run automate-onboard --later <in
is_status 78 'a new database on a read-only disk: status'
like "$(cat err)" 'disk/other.db: cannot make .*Read-only' 'path and reason'
elsewhere disk/a/other.db \
	run automate-onboard --later <in
is_status 78 'a new folder on a read-only disk: status'
like "$(cat err)" 'disk/a: cannot make .*Read-only' 'path and reason'
mount -o remount,rw tmpfs disk
run automate-onboard --later <in
is_status 0 'afterwards the same line works'
done_testing
