#!/bin/sh
# make demo: the road on loopback, on one screen. Leaves demo/ for looking at.
set -eu

TOP=$(cd "$(dirname "$0")/.." && pwd)
BUILD=${BUILD:-build}
case $BUILD in
/*) ;;
*) BUILD=$TOP/$BUILD ;;
esac
PATH=$BUILD:$BUILD/tests:$PATH
rm -rf "$TOP/demo"
mkdir "$TOP/demo"
cd "$TOP/demo"

# The first Slack post of a new customer fails, to show a retry.
printf '%s\n' '/new-customers 503 body=try later' '/new-customers 200 body=ok' \
	'/mail 200 body=Accepted' '/alerts 200 body=ok' '/sms 200 body=ok' >script
receiver=$(httpd -d -r requests -p port -s script)
trap 'kill "$receiver" 2>/dev/null' EXIT
url=http://127.0.0.1:$(cat port)
cat >automate.yaml <<EOF
database:
  path: automate.db
links:
  app_url: https://app.example.com
  knowledge_base_url: https://kb.example.com
mail:
  url: $url/mail
slack:
  customers:
    url: $url/new-customers
  alerts:
    url: $url/alerts
sms:
  provider: webhook
  to: "+15550100123"
  url: $url/sms
EOF
AUTOMATE_CONFIG=$PWD/automate.yaml
export AUTOMATE_CONFIG

say() { printf '\n== %s\n' "$*"; }
short() { cut -c1-"${1:-150}"; }

body=$TOP/tests/data/supabase/organizations-insert-starter.json
say 'A new organization comes in (Slack is down just now):'
automate-onboard <"$body" 2>&1 | short
say 'The same again does nothing:'
automate-onboard --later <"$body" 2>&1 | short 130
say 'Ten minutes later automate-deliver finds Slack well:'
later=$(($(date +%s) + 600))
automate-deliver --now "$(sqlite3 :memory: "SELECT strftime('%Y-%m-%dT%H:%M:%SZ', $later, 'unixepoch')")" 2>&1
say 'An AI call fails at Retell, critically:'
echo '{"leadId":"lead_7","organizationId":"org_1","error":"Retell refused the call","retellResponse":{"status":500,"statusText":"Internal Server Error"}}' |
	automate-alert 2>&1 | short
say 'What the receivers got:'
sed -n 's/.*"path":"\([^"]*\)".*"body":"\(.*\)"}$/\1 \2/p' requests |
	sed 's/\\"/"/g' | short 120
say 'What is owed and what was sent (automate-deliver list):'
automate-deliver list | short 110
say 'The alert (system_alerts):'
sqlite3 automate.db "SELECT id, severity, kind, title, message, 'lead: ' || lead_id, 'seen ' || count || ' time(s)' FROM system_alerts"
cat <<EOF

The database and the configuration stay in demo/. Try:
  export PATH=$BUILD:\$PATH AUTOMATE_CONFIG=$PWD/automate.yaml
  automate-deliver show 1
  automate-alert --later -s warning 'disk is filling up'
  sqlite3 demo/automate.db 'SELECT id, kind, outcome FROM events'
EOF
