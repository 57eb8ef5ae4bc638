# automate-cgi behind a real web server, for the scripts in tests/cmd. Sourced
# after lib.sh. start_server NAME runs one of lighttpd, apache, nginx and
# busybox from its example in etc/ as that stands, but for the places that the
# example itself says are to be changed; cgi_tests is what holds behind all of
# them.
#
# shellcheck shell=sh
# shellcheck disable=SC2154,SC2034 # of lib.sh, and for it

# The commands that are built, and for those that are not a script that takes
# the same and answers alike.
install_commands() {
	mkdir bin
	cp "$BUILD"/automate-* bin/ 2>/dev/null
	rm -rf bin/*.dSYM
	for cgi_command in retell-event call dunning reconcile; do
		[ -x "bin/automate-$cgi_command" ] ||
			stand_in "automate-$cgi_command"
	done
}

# stand_in NAME: writes down that it was run, refuses {}, takes the rest.
stand_in() {
	cat >"bin/$1" <<-END
	#!/bin/sh
	body=\$(cat)
	echo "\$*" >>"$SCRATCH/$1.ran"
	if [ "\$body" = '{}' ]; then
		echo '{"outcome":"refused","error":"no id"}'
		exit 65
	fi
	echo '{"outcome":"recorded","deliveries":0}'
	END
	chmod 755 "bin/$1"
}

# A port that nobody listens on, in $port.
free_port() {
	cgi_probe=$(httpd -d -q -r probe -p probe.port) || exit 1
	port=$(cat probe.port)
	kill "$cgi_probe"
	wait_for 5 sh -c "! kill -0 $cgi_probe" || exit 1
}

# The database is where two users may share it: Apache does not serve as root.
cgi_config() {
	mkdir db
	DB=$SCRATCH/db/automate.db
	if [ "$(id -u)" = 0 ]; then
		chmod 711 "$SCRATCH"
		chgrp "$(id -g nobody)" db
		chmod 2770 db
	fi
	config
	cat >>automate.yaml <<-END
	stripe:
	  mode: test
	  webhook_secret: whsec_old whsec_new
	retell:
	  webhook_key: key_test
	onboarding:
	  secret: onboarding-secret-1 whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw
	alerts:
	  secret: alert-secret-1
	cron:
	  secret: cron-secret-1
	END
}

# example NAME: etc/NAME with the places of this test.
example() {
	sed -e "s|/usr/local/bin|$SCRATCH/bin|g" \
		-e "s|/etc/automate/|$SCRATCH/|g" \
		-e "s|/var/log/[a-z0-9]*|$SCRATCH/log|g" \
		-e "s|/var/empty|$SCRATCH/empty|g" \
		-e "s|/run/fcgiwrap.socket|$SCRATCH/fcgiwrap.socket|g" \
		-e "s|/srv/automate|$SCRATCH/home|g" \
		-e "s|8080|$port|g" "$TOP/etc/$1"
}

# The server's process in $SERVER, where automate-cgi is in $CGI.
start_server() {
	server=$1
	mkdir -p log empty
	free_port
	cgi_root=/automate
	CGI=http://127.0.0.1:$port$cgi_root
	"start_$server" || return 1
	kill_at_exit "$SERVER"
	if ! wait_for 10 curl -s -o answer "$CGI/healthz"; then
		echo "Bail out! $server does not start"
		sed 's/^/# /' server.log log/*
		exit 1
	fi
}

start_lighttpd() {
	lighttpd=$(command -v lighttpd || command -v /usr/sbin/lighttpd) ||
		return 1
	example lighttpd.conf >server.conf
	"$lighttpd" -D -f server.conf >server.log 2>&1 &
	SERVER=$!
}

start_apache() {
	apache=$(command -v apache2 || command -v httpd.apache2 ||
		command -v /usr/sbin/apache2) || return 1
	for cgi_modules in /usr/lib/apache2/modules /usr/lib64/httpd/modules; do
		[ -f "$cgi_modules/mod_cgi.so" ] && break
	done
	[ -f "$cgi_modules/mod_cgi.so" ] || return 1
	example apache.conf >automate.conf
	cat >server.conf <<-END
	ServerRoot $SCRATCH
	ServerName localhost
	PidFile $SCRATCH/apache.pid
	DefaultRuntimeDir $SCRATCH
	ErrorLog $SCRATCH/log/error.log
	DocumentRoot $SCRATCH/empty
	Listen 127.0.0.1:$port
	LoadModule mpm_prefork_module $cgi_modules/mod_mpm_prefork.so
	LoadModule authz_core_module $cgi_modules/mod_authz_core.so
	LoadModule alias_module $cgi_modules/mod_alias.so
	LoadModule env_module $cgi_modules/mod_env.so
	LoadModule cgi_module $cgi_modules/mod_cgi.so
	<IfModule !unixd_module>
		LoadModule unixd_module $cgi_modules/mod_unixd.so
	</IfModule>
	User nobody
	Group #$(id -g nobody)
	Include $SCRATCH/automate.conf
	END
	# In a session of its own: told to stop, it tells its process group.
	setsid "$apache" -D FOREGROUND -f "$SCRATCH/server.conf" >server.log 2>&1 &
	SERVER=$!
}

start_nginx() {
	nginx=$(command -v nginx || command -v /usr/sbin/nginx) || return 1
	fcgiwrap=$(command -v fcgiwrap || command -v /usr/sbin/fcgiwrap) ||
		return 1
	[ -f /etc/nginx/fastcgi_params ] || return 1
	cp /etc/nginx/fastcgi_params .
	example nginx.conf >automate.conf
	cat >server.conf <<-END
	daemon off;
	master_process off;
	pid $SCRATCH/nginx.pid;
	error_log $SCRATCH/log/error.log;
	events { }
	http {
		access_log off;
		client_body_temp_path $SCRATCH/empty/body;
		fastcgi_temp_path $SCRATCH/empty/fastcgi;
		proxy_temp_path $SCRATCH/empty/proxy;
		uwsgi_temp_path $SCRATCH/empty/uwsgi;
		scgi_temp_path $SCRATCH/empty/scgi;
		include automate.conf;
	}
	END
	"$fcgiwrap" -s "unix:$SCRATCH/fcgiwrap.socket" >fcgiwrap.log 2>&1 &
	SERVER=$!
	kill_at_exit "$SERVER"
	"$nginx" -e "$SCRATCH/log/error.log" -c "$SCRATCH/server.conf" \
		>server.log 2>&1 &
	kill_at_exit $!
}

start_busybox() {
	busybox --list 2>/dev/null | grep -qx httpd || return 1
	cgi_root=/cgi-bin/automate
	CGI=http://127.0.0.1:$port$cgi_root
	example httpd.conf >server.conf
	mkdir -p home/cgi-bin
	ln -s "$SCRATCH/bin/automate-cgi" home/cgi-bin/automate
	busybox httpd -f -p "127.0.0.1:$port" -c server.conf >server.log 2>&1 &
	SERVER=$!
}

# ask PATH CURL-OPTION...: the status in $code, ./headers and ./answer.
ask() {
	cgi_path=$1
	shift
	code=$(curl -s -o answer -D headers -w '%{http_code}' --max-time 30 \
		--path-as-is "$@" "$CGI$cgi_path")
}

bearer() {
	echo "Authorization: Bearer $1"
}

# event ID [SIZE]: a signed event of Stripe in ./event, its $signature.
event() {
	printf '{"id":"%s","object":"event","created":%s,"livemode":false,"type":"customer.subscription.updated","pad":"%s","data":{"object":{"id":"sub_%s","object":"subscription","customer":"cus_1","status":"active","metadata":{},"items":{"data":[]}}}}' \
		"$1" "$(date +%s)" "$(head -c "${2:-0}" /dev/zero | tr '\0' x)" \
		"$1" >event
	signature=$(sign stripe whsec_new <event)
}

# post_event CURL-OPTION...
post_event() {
	ask /stripe-webhook -H "Stripe-Signature: $signature" \
		-H 'Content-Type: application/json' --data-binary @event "$@"
}

kept_events() {
	sql "SELECT count(*) FROM events WHERE id = '$1'"
}

is_kept() {
	[ "$(kept_events "$1")" = 1 ]
}

# raw [slow | leave]: send standard input as it is and print what comes back;
# slow: a few bytes at a time; leave: hang up when it is sent.
raw() {
	perl -MIO::Socket::INET -e '
		my ($port, $how) = @ARGV;
		my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1",
		    PeerPort => $port, Timeout => 10) or die "connect: $!";
		$s->autoflush(1);
		binmode $_ for *STDIN, $s;
		my $text = do { local $/; <STDIN> };
		my $step = $how eq "slow" ? 40 : 65536;
		for (my $i = 0; $i < length $text; $i += $step) {
			print $s substr($text, $i, $step) or last;
			select undef, undef, undef, 0.01 if $how eq "slow";
		}
		exit if $how eq "leave";
		alarm 30;
		print while <$s>;
	' "$port" "${1:-}"
}

# raw_event LENGTH-HEADER...: ./event as a raw request with these headers.
raw_event() {
	printf 'POST %s/stripe-webhook HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nStripe-Signature: %s\r\n' \
		"$cgi_root" "$signature"
	printf '%s\r\n' "$@" ''
}

# The commands of ours that run, one a line.
running() {
	for cgi_exe in /proc/[0-9]*/exe; do
		case $(readlink "$cgi_exe" 2>/dev/null) in
		"$SCRATCH"/bin/automate-*) echo "$cgi_exe" ;;
		esac
	done
}

none_running() {
	[ -z "$(running)" ]
}

zombies() {
	for cgi_stat in /proc/[0-9]*/stat; do
		awk -v server="$SERVER" '$3 == "Z" && $4 == server' "$cgi_stat" \
			2>/dev/null
	done
}

header() {
	tr -d '\r' <headers | sed -n "s/^$1: //Ip"
}

cgi_tests() {
	ask /healthz
	is "$code $(cat answer)" '200 {"ok":true}' "$server: it is well"
	ask /healthz --head
	is "$code" 200 'HEAD is answered'
	like "$(header Cache-Control)" no-store 'and not to be kept'

	test_routes
	test_stripe
	test_doors
	test_traps
	test_bodies
	test_clients
	test_slow_receiver
	test_ends
}

test_routes() {
	# BusyBox tidies a path, and tells nobody what it was before.
	cgi_tidied='//stripe-webhook /stripe%2Dwebhook /x/../stripe-webhook
		/./healthz'
	[ "$server" = busybox ] && cgi_tidied=
	for cgi_path in '' / /nothing /stripe-webhook/ /stripe-webhook/x \
		/%2Fstripe-webhook /api%2Fcron%2Fdeliver /healthz/ /healthz%00 \
		/api/cron /STRIPE-WEBHOOK $cgi_tidied; do
		ask "$cgi_path"
		case $code in
		301 | 40[034]) cgi_found=none ;;
		*) cgi_found=$code ;;
		esac
		is "$cgi_found" none "$cgi_path is no path"
	done
	for cgi_path in /stripe-webhook /retell-webhook /onboarding-automation \
		/retell-failure-alert /trigger-ai-caller; do
		ask $cgi_path
		is "$code $(header Allow)" '405 POST' "GET $cgi_path"
	done
	for cgi_method in PUT DELETE OPTIONS; do
		ask /stripe-webhook -X $cgi_method
		case $code in
		405 | 501) cgi_found=refused ;;
		*) cgi_found=$code ;;
		esac
		is "$cgi_found" refused "$cgi_method is refused"
	done
	ask /healthz -d x
	is "$code" 405 'POST /healthz'
}

test_stripe() {
	event evt_1
	post_event
	is "$code" 200 'a signed event is taken'
	is "$(json answer '$.ok') $(json answer '$.event')" '1 evt_1' \
		'and named in the answer'
	is "$(header Content-Type)" application/json 'which is JSON'
	is "$(kept_events evt_1)" 1 'and is kept'
	post_event
	is "$code $(json answer '$.outcome')" '200 duplicate' \
		'the same again is a duplicate'
	signature=t=1,v1=00
	event evt_2
	ask /stripe-webhook --data-binary @event
	is "$code" 401 'no signature: refused'
	signature=$(sign stripe whsec_other <event)
	post_event
	is "$code" 401 'a forged one: refused'
	unlike "$(cat answer)" 'whsec|secret_|/|sign_' 'and nothing of ours is told'
	is "$(kept_events evt_2)" 0 'nothing of it is kept'
	echo '{"id":' >event
	signature=$(sign stripe whsec_new <event)
	post_event
	is "$code" 400 'signed, but no JSON'
	wait_for 5 grep -q signature log/* ./*.log
	ok "why is in the server's log" \
		grep -q '/stripe-webhook: .*ignature' log/* ./*.log
}

test_doors() {
	cgi_onboarding='{"id":"org_w","name":"W","owner_email":"w@example.com"}'
	ask /onboarding-automation -d "$cgi_onboarding"
	is "$code" 401 'onboarding without a secret'
	ask /onboarding-automation -d "$cgi_onboarding" -H "$(bearer wrong)"
	is "$code" 401 'with a wrong one'
	ask /onboarding-automation -d "$cgi_onboarding" -H "$(bearer '')"
	is "$code" 401 'with an empty one'
	ask /onboarding-automation -d "$cgi_onboarding" \
		-H "$(bearer onboarding-secret-1)"
	is "$code $(json answer '$.outcome')" '200 recorded' 'with the right one'
	is "$(json answer '$.redirect')" \
		'https://app.example.com/onboarding?organization=org_w' \
		'the redirect is in the answer'
	ask /onboarding-automation -d "$cgi_onboarding" \
		-H 'Accept: text/html,*/*' -H "$(bearer onboarding-secret-1)"
	is "$code $(header Location)" \
		'303 https://app.example.com/onboarding?organization=org_w' \
		'a browser is sent there'
	ask /onboarding-automation -d '{"name":"no id"}' \
		-H "$(bearer onboarding-secret-1)"
	is "$code" 400 'an organization without an id'
	like "$(json answer '$.error')" 'id' 'its sender is told what is wrong'

	printf '{"id":"org_s"}' >signed
	cgi_time=$(date +%s)
	ask /onboarding-automation --data-binary @signed -H 'webhook-id: msg_1' \
		-H "webhook-timestamp: $cgi_time" -H "webhook-signature: $(sign \
			standard whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw "$cgi_time" \
			msg_1 <signed)"
	is "$code $(json answer '$.outcome')" '200 recorded' \
		'Standard Webhooks are taken'
	ask /onboarding-automation --data-binary @signed -H 'webhook-id: msg_2' \
		-H "webhook-timestamp: $cgi_time" -H 'webhook-signature: v1,AAAA'
	is "$code" 401 'and refused if forged'

	ask /retell-failure-alert -d '{"title":"t"}' \
		-H "$(bearer onboarding-secret-1)"
	is "$code" 401 "alerts have a secret of their own"
	ask /retell-failure-alert -d '{"title":"t"}' -H "$(bearer alert-secret-1)"
	is "$code $(json answer '$.outcome')" '200 recorded' 'an alert is taken'
	ask /trigger-ai-caller -d '{}' -H "$(bearer alert-secret-1)"
	is "$code" 401 'calls: not with the secret of alerts'
	ask /trigger-ai-caller -d '{}' -H "$(bearer onboarding-secret-1)"
	is "$code" 400 'with the one of onboarding, where there is none for calls'
	ask /retell-webhook -d '{}'
	is "$code" 401 "Retell's without a signature"

	ask /api/cron/deliver
	is "$code" 401 'cron without a secret'
	for cgi_path in billing-reconciliation dunning deliver; do
		ask /api/cron/$cgi_path -H "$(bearer cron-secret-1)"
		is "$code $(cat answer)" '200 {"ok":true,"started":true}' \
			"cron starts $cgi_path"
	done
	ask /api/cron/deliver -d '' -H "$(bearer cron-secret-1)"
	is "$code" 200 'cron by POST'
	ok 'what was owed is sent' wait_for 10 nothing_queued
}

nothing_queued() {
	[ "$(sql "SELECT count(*) FROM deliveries WHERE state IN ('queued', 'sending') AND due_at <= strftime('%s', 'now')")" = 0 ]
}

# What one server does and another does not; nowhere may it open a door.
test_traps() {
	event evt_trap
	ask /stripe-webhook -H "Stripe_Signature: $signature" \
		-H 'Stripe-Signature: t=1,v1=00' --data-binary @event
	case $code in
	200 | 401) cgi_found=taken-or-refused ;;
	*) cgi_found=$code ;;
	esac
	is "$cgi_found" taken-or-refused 'a header with an underscore'
	event evt_proxy
	post_event -H 'Proxy: http://127.0.0.1:9/'
	is "$code" 200 'a Proxy header'
	event evt_twice
	ask /stripe-webhook -H "Stripe-Signature: $signature" \
		-H "Stripe-Signature: $signature" --data-binary @event
	case $server in
	lighttpd | apache) is "$code" 401 'a header twice is refused' ;;
	*) is "$code" 200 'of a header twice one is seen' ;;
	esac
	ask "/stripe-webhook?--version" -H "Stripe-Signature: $signature" \
		--data-binary @event
	is "$code" 200 'a query is no option'
	ask "/healthz?-h"
	is "$(cat answer)" '{"ok":true}' 'nor here'
}

test_bodies() {
	event evt_mega 1048576
	post_event -H 'Expect:'
	is "$code" 200 'a body of a megabyte'
	is "$(kept_events evt_mega)" 1 'is kept'
	event evt_nine 9437184
	post_event -H 'Expect:'
	is "$code" 413 'one of nine is too large'
	is "$(kept_events evt_nine)" 0 'and is not kept'
	event evt_chunked
	post_event -H 'Transfer-Encoding: chunked' -H 'Content-Length:'
	case $server in
	lighttpd | nginx) is "$code" 200 'a chunked body, joined by the server' ;;
	*) is "$code" 411 'a chunked body' ;;
	esac
	for cgi_length in 'Content-Length: -1' 'Content-Length: 5x' \
		'Content-Length: 99999999999999999999999' 'Content-Length: 0' \
		'X-No-Length: 1'; do
		raw_event "$cgi_length" | raw >raw.out
		like "$(head -n 1 raw.out)" '^HTTP/1.[01] 4[0-9][0-9]|^$' \
			"$cgi_length"
	done
	ask /stripe-webhook -H "Stripe-Signature: $signature" -d ''
	is "$code" 400 'no body at all'
}

test_clients() {
	event evt_slow
	{
		raw_event "Content-Length: $(wc -c <event)"
		cat event
	} | raw slow >raw.out
	like "$(head -n 1 raw.out)" ' 200' 'a slow client'
	event evt_left
	{
		raw_event "Content-Length: $(wc -c <event)"
		head -c 100 event
	} | raw leave
	event evt_gone
	{
		raw_event "Content-Length: $(wc -c <event)"
		cat event
	} | raw leave
	ok 'one that does not wait for the answer: recorded' \
		wait_for 10 is_kept evt_gone
	is "$(kept_events evt_left)" 0 'one that leaves within its request: not'
}

test_slow_receiver() {
	wait_for 10 none_running
	script '/slack-customers 200 delay=20000' '/mail 200 delay=20000'
	ask /onboarding-automation -H 'Connection: close' \
		-d '{"id":"org_slow","owner_email":"s@example.com"}' \
		-H "$(bearer onboarding-secret-1)" --max-time 10
	is "$code" 200 'a receiver takes 20 s: the answer does not wait'
	ok 'and the delivery is under way' wait_for 10 sending
	ok 'it comes within 0.2 s, if the machine is not kept from it' \
		quick_answer
	event evt_meanwhile
	post_event --max-time 10
	is "$code" 200 'nor does the next request'
	script ''
}

# Of some answers one may be as quick as all are where nothing else goes on, and
# no sanitizer looks on.
quick_answer() {
	cgi_limit=0.2
	[ -z "${SAN:-}" ] || cgi_limit=2
	cgi_try=0
	while [ $cgi_try -lt 30 ]; do
		cgi_try=$((cgi_try + 1))
		set -- "$(curl -s -o answer -w '%{http_code} %{time_total}' \
			--max-time 10 -d "{\"id\":\"org_slow_$cgi_try\",\"owner_email\":\"s@example.com\"}" \
			-H "$(bearer onboarding-secret-1)" \
			"$CGI/onboarding-automation")"
		echo "$1"
		case $1 in
		200\ *) ;;
		*) return 1 ;;
		esac
		if awk "BEGIN { exit !(${1#* } < $cgi_limit) }"; then
			sending
			return
		fi
	done
	return 1
}

sending() {
	[ "$(sql "SELECT count(*) FROM deliveries WHERE state = 'sending'")" -gt 0 ]
}

test_ends() {
	kill "$HTTPD"
	ok 'nothing of ours is left running' wait_for 20 none_running
	is "$(zombies)" '' 'nor dead'
	is "$(sql 'PRAGMA integrity_check')" ok 'the database is whole'
}
