#!/bin/sh
# automate-cgi behind BusyBox httpd, from etc/httpd.conf.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/cgi.sh
. "$TOP/tests/cgi.sh"
# shellcheck disable=SC2119 # no options
start_httpd
cgi_config
install_commands
start_server busybox || skip_all 'no BusyBox with httpd'
cgi_tests
done_testing
