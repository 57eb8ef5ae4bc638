#!/bin/sh
# The schedules in etc/, as they stand but for the folder of the commands: each
# line of crontab with the bare environment that cron gives it, the chain, the
# units of systemd; and crontab under a real cron, where there is one.
. "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2119 # no options
start_httpd
# shellcheck disable=SC2119
start_meter
chmod 700 .
mkdir -p .config/automate bin
config
cat >>automate.yaml <<END
stripe:
  secret_key: sk_test_cron
  webhook_secret: whsec_cron
  meter_id: mtr_1
  api_base: $METER
END
mv automate.yaml .config/automate
chmod 600 .config/automate/automate.yaml
unset AUTOMATE_CONFIG AUTOMATE_DATABASE

# The commands that are built, each writing down that it ran, with which
# environment; and in place of those that are not one that only does so.
for name in deliver dunning reconcile call check alert log onboard; do
	cat >"bin/automate-$name" <<-END
	#!/bin/sh
	echo "\${0##*/} \$*" >>"$SCRATCH/ran"
	env | sort >"$SCRATCH/environment"
	[ -x "$BUILD/automate-$name" ] || exit 0
	exec "$BUILD/automate-$name" "\$@"
	END
	chmod 755 "bin/automate-$name"
done
example() {
	sed "s|/usr/local/bin|$SCRATCH/bin|g" "$TOP/etc/$1"
}
# As cron(8) does: this and no more, and the command to sh.
as_cron() {
	env -i HOME="$SCRATCH" LOGNAME=automate SHELL=/bin/sh \
		PATH="$SCRATCH/bin:/usr/bin:/bin" CRON_TZ=UTC /bin/sh -c "$1"
}

example crontab >schedule
grep -E '^[*0-9]' schedule >lines
like "$(cat schedule)" '^CRON_TZ=UTC$' 'times are UTC'
is "$(grep -Evc '^((\*|\*/[0-9]+|[0-9]+) +){5}/' lines)" 0 \
	'each line has five fields and an absolute path'
# Two that begin in the same minute of an hour would wait for each other.
is "$(awk '$1 !~ /[*]/ { print $1 }' lines | sort | uniq -d)" '' \
	'jobs are spread over the hour'
echo '{"id":"o1","name":"One","owner_email":"a@b.example"}' |
	HOME=$SCRATCH "$BUILD/automate-onboard" --later >/dev/null 2>&1
: >ran
while read -r _ _ _ _ _ command; do
	as_cron "$command" >out 2>err
	status=$?
	case $command in
	*automate-check*-q) # says what never ran yet
		is "$status" 1 "$command" ;;
	*) is "$status $(cat out err)" '0 ' "$command" ;;
	esac
done <lines
is "$(sort -u ran | wc -l)" "$(grep -c . lines)" 'each line ran its command'
is "$(requests /mail)" 1 'and what was owed is sent'
is "$(grep -c 'SLACK\|STRIPE\|TERM\|USER' environment)" 0 \
	'with nothing but what cron gives'
as_cron "$(awk '/--digest/ { $1 = $2 = $3 = $4 = $5 = ""; print }' lines)" 2>err
is "$(grep -c digest: requests)" 1 'a line that runs twice does nothing twice'

# A schedule that runs leaves nothing for automate-check to say of jobs.
run "$BUILD/automate-check" -q
unlike "$(cat out)" 'cron\.(deliver|digest|dunning|reconcile)' 'automate-check sees that they ran'

# The chain.
example nightly >chain
chmod 755 chain
fake() { # NAME STATUS
	cat >"bin/automate-$1" <<-END
	#!/bin/sh
	echo "\${0##*/} \$*" >>"$SCRATCH/ran"
	[ $2 = 0 ] && [ -x "$BUILD/automate-$1" ] && [ "$1" != check ] &&
		exec "$BUILD/automate-$1" "\$@"
	[ "\$1" != config ] || exec "$BUILD/automate-check" config
	exit $2
	END
	chmod 755 "bin/automate-$1"
}
night() {
	: >ran
	run env -i HOME="$SCRATCH" PATH=/usr/bin:/bin \
		AUTOMATE_BACKUPS="$SCRATCH/backups" ./chain
}
fake check 0
fake reconcile 0
night
is_status 0 'the night goes well'
is "$(cut -d ' ' -f 1-3 ran | sed 's/automate-//;s/ *$//')" \
	"$(printf 'deliver -q\ncheck config\nreconcile -q\ncheck config\ndeliver -q purge\ncheck -q')" \
	'step after step'
copy=$(find backups -name 'automate-*.db')
is "$(sqlite3 "$copy" 'SELECT id FROM organizations')" o1 'there is a copy'
is "$(find backups -type f ! -perm 600)" '' 'for nobody else'
fake reconcile 75
night
is "$status $(tail -n 1 ran)" '75 automate-check -q' \
	'what is not now does not stop it, and is not forgotten'
before=$(requests /slack-alerts)
fake reconcile 78
night
is "$status $(grep -c 'purge\|check -q' ran)" '78 0' \
	'a configuration that will not do does'
is $(($(requests /slack-alerts) - before)) 1 'aloud'
like "$(tail -n 1 requests)" 'automate-reconcile ended with status 78' 'with the reason'
fake reconcile 0
echo no folder >blocked
: >ran
run env -i HOME="$SCRATCH" PATH=/usr/bin:/bin AUTOMATE_BACKUPS="$SCRATCH/blocked" \
	./chain
is "$status $(grep -c 'q purge' ran)" '75 0' 'nothing is purged without a copy'
for n in $(seq 1 20); do
	cp "$copy" "backups/automate-2025-01-$(printf %02d "$n").db"
done
night
is "$(find backups -name '*.db' | wc -l)" 14 'fourteen copies are kept'
ok 'the newest among them' test -f "$copy"

# Units.
if command -v systemd-analyze >/dev/null; then
	cp -R "$TOP/etc/systemd" units
	find units -type f | while read -r unit; do
		sed "s|/usr/local/bin|$SCRATCH/bin|g" "$unit" >new && cat new >"$unit"
	done
	rm -f bin/automate-check bin/automate-deliver bin/automate-reconcile
	cp "$BUILD/automate-check" "$BUILD/automate-deliver" bin
	cp bin/automate-dunning bin/automate-reconcile
	run env SYSTEMD_UNIT_PATH="$SCRATCH/units:" SYSTEMD_LOG_LEVEL=warning \
		systemd-analyze verify --man=no units/*.service units/*.timer
	is "$status $(grep automate err)" '0 ' 'systemd takes the units'
	for timer in units/*.timer; do
		ok "$(basename "$timer") has its service" \
			test -f "${timer%.timer}.service"
		ok 'and a time' systemd-analyze calendar \
			"$(sed -n 's/^OnCalendar=//p' "$timer")"
	done
	is "$(sed -n 's|^ExecStart=.*/bin/||p' units/*.service | sort)" \
		"$(sed 's|.*/bin/||;s| *>/dev/null||' lines | sort)" \
		'the timers run what the crontab runs'
else
	tap_pass 'systemd takes the units # SKIP no systemd-analyze'
fi

# Under a real cron, in a mount namespace of its own where the system's
# crontabs are not: it must be installed, and we be root. It looks once a minute,
# so only make soak waits for it.
real_cron() {
	cat >begin <<-END
	mount -t tmpfs none /var/spool && mount -t tmpfs none /run &&
	mkdir -p /var/spool/cron/crontabs || exit 1
	[ ! -d /etc/cron.d ] || mount -t tmpfs none /etc/cron.d || exit 1
	[ ! -f /etc/crontab ] || mount --bind /dev/null /etc/crontab || exit 1
	sed "s|^PATH=.*|HOME=$SCRATCH|" schedule \\
		>/var/spool/cron/crontabs/root
	chmod 600 /var/spool/cron/crontabs/root
	: >mounted
	exec cron -f
	END
	unshare --mount --propagation private sh begin >cron.log 2>&1 &
	cron=$!
	kill_at_exit "$cron"
	wait_for 10 test -f mounted
}
if [ "${REAL_CRON:-0}" = 0 ]; then
	tap_pass 'a real cron runs it # SKIP takes a minute; see make soak'
elif ! command -v cron >/dev/null || [ "$(id -u)" != 0 ]; then
	tap_pass 'a real cron runs it # SKIP no cron, or not root'
else
	real_cron
	if [ -f mounted ]; then
		: >ran
		for name in deliver call; do
			fake "$name" 0
		done
		ok 'a real cron runs it' wait_for 90 grep -q 'automate-deliver -q' ran
	else
		tap_pass 'a real cron runs it # SKIP no mount namespace'
	fi
fi
done_testing
