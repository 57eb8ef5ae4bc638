#!/bin/sh
# Some days of usage with everything going wrong that can (tests/month.c): at
# the end the meter has what was used. SEED chooses the days, ORGANIZATIONS,
# CALLS and DAYS how many; make campaign has a whole month.
. "$(dirname "$0")/../lib.sh"
SEED=${SEED:-$$$(date +%S)}
# shellcheck disable=SC2119 # no options
start_httpd
start_meter -k "$SEED"
cat >automate.yaml <<END
database:
  path: $DB
slack:
  alerts:
    url: $URL/slack-alerts
    rate: unlimited
stripe:
  secret_key: sk_test_month
  mode: test
  meter_id: mtr_1
  api_base: $METER
  read:
    rate: 60000/m
  meter:
    rate: unlimited
END
AUTOMATE_CONFIG=$SCRATCH/automate.yaml
export AUTOMATE_CONFIG
month -o "${ORGANIZATIONS:-30}" -c "${CALLS:-1200}" -d "${DAYS:-4}" -k "$SEED" ||
	{ sed 's/^/# /' log | tail -40; exit 1; }
