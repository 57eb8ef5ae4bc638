#!/bin/sh
# The configuration as commands see it: etc/automate.yaml as it stands means
# what no file at all means, the first file found counts, and a bad one is
# refused with the line and without its values.
. "$(dirname "$0")/../lib.sh"
[ ! -e /etc/automate/automate.yaml ] ||
	skip_all 'this machine has a configuration, which would count'
example=$TOP/etc/automate.yaml
organization='{"id":"o1","name":"One","owner_email":"a@b.example"}'

# rows OPTION...: what an onboarding and alerts leave behind, at moments to
# which the minute is enough.
rows() {
	rm -f "$DB"*
	echo "$organization" |
		automate-onboard "$@" --later --now 2026-01-05T10:00:00Z >said 2>&1
	automate-alert "$@" --later --now 2026-01-05T23:30:00Z -s critical \
		-k disk.full --id a1 'disk is full' </dev/null >>said 2>&1
	automate-alert "$@" --later --now 2026-01-06T01:30:00Z -s error \
		-k disk.full --id a2 'disk is full' </dev/null >>said 2>&1
	sqlite3 -readonly "$DB" .dump | cat said - |
		sed -E 's/(T..:..:)..Z/\1Z/g;s/([0-9]{8})[0-9]{2}/\1/g'
}

rows >without
rows -c "$example" >with
ok 'the example is the defaults, with nothing in the environment' cmp with without
like "$(cat with)" '"deliveries":0,"redirect":null' 'where nothing is configured'

export APP_URL=https://app.example.com NOTION_KB_URL=https://kb.example.com/ \
	MAKE_WEBHOOK_URL=https://hook.example.com/make \
	BILLING_AUTOMATION_WEBHOOK_URL=https://hook.example.com/billing \
	SLACK_WEBHOOK_URL=https://hooks.slack.com/services/1 \
	SLACK_ALERT_WEBHOOK_URL=https://hooks.slack.com/services/2 \
	FOUNDER_PHONE=+15550100123 SMS_WEBHOOK_URL=https://sms.example.com/send
rows >without
rows -c "$example" >with
ok 'and with a whole business in it' cmp with without
is "$(sql 'SELECT group_concat(DISTINCT destination) FROM (SELECT destination FROM deliveries ORDER BY destination)')" \
	'mail,slack.alerts,slack.customers,sms' 'which is heard of everywhere'
unset SMS_WEBHOOK_URL
export TWILIO_ACCOUNT_SID=AC0123456789abcdef0123456789abcdef \
	TWILIO_AUTH_TOKEN=0123456789abcdef0123456789abcdef \
	TWILIO_FROM=+15550100999
rows >without
rows -c "$example" >with
ok 'and with Twilio' cmp with without
unset APP_URL NOTION_KB_URL MAKE_WEBHOOK_URL BILLING_AUTOMATION_WEBHOOK_URL \
	SLACK_WEBHOOK_URL SLACK_ALERT_WEBHOOK_URL FOUNDER_PHONE \
	TWILIO_ACCOUNT_SID TWILIO_AUTH_TOKEN TWILIO_FROM

# What is not configured is skipped, and that is said once.
for n in 1 2 3; do
	echo "{\"id\":\"s$n\",\"owner_email\":\"a@b.example\"}"
done >in
SLACK_WEBHOOK_URL=https://hooks.slack.com/services/1
export SLACK_WEBHOOK_URL
run automate-onboard --later <in
is "$status $(cat err)" \
	'0 automate-onboard: mail is not configured, so nothing goes there; see automate.yaml(5)' \
	'what is not configured is said once'
run automate-onboard --later <in
is "$(cat err)" '' 'and not of what is known already'
run automate-alert --later 'on fire' </dev/null
like "$(cat err)" 'slack.alerts is not configured' 'of alerts too'
run automate-alert --later -q 'on fire again' </dev/null
is "$status$(cat err)" 0 'but not with -q'
unset SLACK_WEBHOOK_URL

# Which file: each names a database of its own.
place() {
	mkdir -p "$(dirname "$1")"
	printf 'database:\n  path: %s\n' "$SCRATCH/$2.db" >"$1"
}
# chosen NAME OPTION...: that database is made.
chosen() {
	chosen_name=$1
	shift
	rm -f ./*.db
	echo "$organization" | automate-onboard --later "$@" >out 2>err
	is "$(echo *.db)" "$chosen_name.db" "the $chosen_name's is taken"
}
chosen automate
place .config/automate/automate.yaml home
chosen home
export XDG_CONFIG_HOME="$SCRATCH/xdg"
place xdg/automate/automate.yaml xdg
chosen xdg
place variable.yaml variable
export AUTOMATE_CONFIG="$SCRATCH/variable.yaml"
chosen variable
place option.yaml option
chosen option -c option.yaml
AUTOMATE_CONFIG='' chosen xdg
printf 'database:\n  path: beside.db\n' >xdg/automate/automate.yaml
AUTOMATE_CONFIG='' run automate-onboard --later <<END
$organization
END
ok 'a relative path is beside the file' test -f xdg/automate/beside.db
unset XDG_CONFIG_HOME AUTOMATE_CONFIG

# bad PATTERN NAME: what standard input says is refused so, by every command.
bad() {
	cat >bad.yaml
	for command in $(commands | grep -v -x automate-cgi); do
		run $command -c bad.yaml </dev/null
		is "$status $(cat out)" '78 ' "$2: $command"
		like "$(cat err)" "^$command: bad.yaml:$1" "$2: and says so"
		unlike "$(cat err)" hush "$2: but not the value"
	done
}
bad '2: .*urll.*url' 'an unknown key' <<-'END'
	mail:
	  urll: https://hush.example.com/
END
bad '3: .*url' 'a key twice' <<-'END'
	mail:
	  url: https://example.com/
	  url: https://hush.example.com/
END
bad '2: .*https' 'http to elsewhere' <<-'END'
	mail:
	  url: http://hush.example.com/
END
bad '2: .*AUTOMATE_NOT_SET' 'a variable that is not set' <<-'END'
	mail:
	  url: https://hush.example.com/${AUTOMATE_NOT_SET}
END
echo https://hush.example.com/ >readable
chmod 644 readable
bad '3: .*chmod' 'a secret that others may read' <<-'END'
	# The file is there.
	mail:
	  url_file: readable
END
for file in missing.yaml . /dev/null/automate.yaml; do
	run automate-deliver -c "$file"
	is_status 78 "no configuration: $file"
done
done_testing
