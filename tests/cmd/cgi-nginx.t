#!/bin/sh
# automate-cgi behind nginx with fcgiwrap, from etc/nginx.conf.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/cgi.sh
. "$TOP/tests/cgi.sh"
# shellcheck disable=SC2119 # no options
start_httpd
cgi_config
install_commands
start_server nginx || skip_all 'no nginx with fcgiwrap'
cgi_tests
done_testing
