#!/usr/bin/env bats
# deploy/scar-endpoint.sh against a stub of the platform's console over TLS (lib/scar.py).

# Quotes, backslashes, spaces, non-ASCII, and what a shell or curl might take for its own.
PASSWORD=$'pa"ss\'w\\ord\\n $HOME `id` %s ü€😀 @{}'

setup_file() {
	export SCRIPT="$BATS_TEST_DIRNAME/../../deploy/scar-endpoint.sh"
	export STUB="$BATS_FILE_TMPDIR/stub"
	mkdir "$STUB"
	STUB_PASSWORD=$PASSWORD python3 -B "$BATS_TEST_DIRNAME/lib/scar.py" "$STUB" 3>&- >"$STUB/out" 2>&1 &
	echo $! >"$STUB/pid"
	for _ in {1..1500}; do
		[[ -e $STUB/url ]] && break
		kill -0 "$(<"$STUB/pid")" || { cat "$STUB/out"; return 1; }
		sleep 0.1
	done
	cp "$STUB/setting.json" "$STUB/setting.first"
}

teardown_file() {
	kill "$(<"$STUB/pid")"
}

setup() {
	URL=$(<"$STUB/url")
	export TMPDIR="$BATS_TEST_TMPDIR/tmp" HOME="$BATS_TEST_TMPDIR/home" LC_ALL=C.UTF-8
	mkdir "$TMPDIR" "$HOME"
	unset XDG_STATE_HOME HTTPS_PROXY https_proxy ALL_PROXY all_proxy
	STATE="$BATS_TEST_TMPDIR/state.json"
	printf '%s\n' "$PASSWORD" >"$BATS_TEST_TMPDIR/password"
	cp "$STUB/setting.first" "$STUB/setting.json"
	rm -f "$STUB/mode" "$STUB/calls" "$STUB/leaks" "$STUB/looked"
	# The endpoint that is set is the stub itself.
	mode "GET /=200"
}

# Whatever a test did: no secret was in a process list, in what was said, or in a file left behind.
teardown() {
	[[ ! -e $STUB/leaks ]] || { cat "$STUB/leaks"; return 1; }
	[[ -e $BATS_TEST_TMPDIR/password ]]
	mv "$BATS_TEST_TMPDIR/password" "$BATS_FILE_TMPDIR/password"
	[[ -z $(grep -rlF -e "$PASSWORD" -e session-token "$BATS_TEST_TMPDIR") ]]
	[[ ${output-} != *"$PASSWORD"* && ${output-} != *session-token* ]]
}

mode() { printf '%s\n' "$@" >"$STUB/mode"; }

scar() {
	run "$SCRIPT" "$URL" --ca "$STUB/ca/ca.pem" --endpoint-ca "$STUB/ca/ca.pem" \
		--password-file "$BATS_TEST_TMPDIR/password" --state "$STATE" --timeout 100 "$@"
}

setting() { jq -r ".$1" "$STUB/setting.json"; }

expect() {
	[[ $status -eq $1 ]] || { echo "exit code $status instead of $1: $output"; return 1; }
	[[ $output == *"$2"* ]] || { echo "no \"$2\" in: $output"; return 1; }
}

calls() { diff <(printf '%s\n' "$@") "$STUB/calls"; }

unchanged_content() { cmp <(jq -S . "$STUB/setting.json") <(jq -S . "$STUB/setting.first"); }

unchanged() { cmp "$STUB/setting.first" "$STUB/setting.json"; }

@test "shellcheck has nothing to say" {
	run shellcheck "$SCRIPT"
	expect 0 ""
}

@test "show prints the endpoint and its user, and changes nothing" {
	scar show
	expect 0 "endpoint: https://nginx.example.com:9443 (user old)"
	[[ $output != *"pass of old"* ]]
	unchanged
	calls "POST /v1/auth/syslogin" "GET /v1/system/config/scar"
	[[ ! -e $STATE ]]
}

@test "set keeps the former endpoint, sets, validates, and starts both jobs" {
	scar set "$URL"
	expect 0 "the platform has validated it"
	[[ $output == *"started the job syncCloudInstanceTypesData"*"started the job syncCloudStorageTypesData"* ]]
	[[ $(setting endpoint) == "$URL" && $(setting username) == "" && $(setting password) == "" ]]
	cmp <(jq -S . "$STATE") <(jq -S . "$STUB/setting.first")
	[[ $(stat -c %a "$STATE") == 600 ]]
	calls "GET /" "POST /v1/auth/syslogin" "GET /v1/system/config/scar" "PUT /v1/system/config/scar" \
		"GET /v1/system/config/scar/validate" "GET /v1/jobs/internal/syncCloudInstanceTypesData/run" \
		"GET /v1/jobs/internal/syncCloudStorageTypesData/run"
	[[ $(wc -l <"$STUB/looked") -eq 7 ]]
	scar show
	expect 0 "former:   https://nginx.example.com:9443 (user old)"
}

@test "set gives the endpoint's own user and password" {
	SCAR_ENDPOINT_PASSWORD='x"y\z ü' scar --endpoint-user reader set "$URL"
	expect 0 "(user reader)"
	[[ $(setting username) == reader && $(setting password) == 'x"y\z ü' ]]
	[[ $output != *'x"y'* ]]
}

@test "set once more keeps what was there before the first time" {
	scar set "$URL"
	scar set "$URL"
	expect 0 "the endpoint is set already"
	[[ $(jq -r .endpoint "$STATE") == https://nginx.example.com:9443 ]]
}

@test "rollback sets the former endpoint with its password, and can itself be taken back" {
	scar set "$URL"
	scar rollback
	expect 0 "set the endpoint: https://nginx.example.com:9443 (user old)"
	cmp <(jq -S . "$STUB/setting.json") <(jq -S . "$STUB/setting.first")
	scar rollback
	expect 0 "set the endpoint: $URL"
	[[ $(setting endpoint) == "$URL" ]]
}

@test "rollback without a kept endpoint changes nothing" {
	scar rollback
	expect 15 "no former endpoint is kept"
	[[ ! -e $STUB/calls ]]
	echo '{"something": "else"}' >"$STATE"
	scar rollback
	expect 15 "is not what was kept there"
}

@test "a state that can't be written is found before anything is set" {
	STATE=/proc/no/state.json
	scar set "$URL"
	expect 15 "nothing was changed"
	unchanged
}

@test "without --state it is kept in XDG_STATE_HOME" {
	XDG_STATE_HOME="$BATS_TEST_TMPDIR/xdg" run "$SCRIPT" "$URL" --ca "$STUB/ca/ca.pem" \
		--endpoint-ca "$STUB/ca/ca.pem" --password-file "$BATS_TEST_TMPDIR/password" set "$URL"
	expect 0 "kept the former endpoint in $BATS_TEST_TMPDIR/xdg/specman/scar-127.0.0.1_"
	[[ $(stat -c %a "$BATS_TEST_TMPDIR"/xdg/specman/scar-*.json) == 600 ]]
}

@test "wrong password" {
	echo 'n0t the passw0rd' >"$BATS_TEST_TMPDIR/password"
	scar set "$URL"
	expect 7 "user admin or the password is wrong (401)"
	unchanged
}

@test "a login without a session is a wrong password" {
	mode "GET /=200" 'POST /v1/auth/syslogin=body:{"Authorization": null}'
	scar set "$URL"
	expect 7 "no session was given"
	unchanged
}

@test "untrusted certificate of the platform" {
	scar --ca "$STUB/other-ca/ca.pem" show
	expect 6 "its certificate is not trusted"
	[[ ! -e $STUB/calls ]]
	scar --ca "$STUB/other-ca/ca.pem" --insecure show
	expect 0 "endpoint: "
}

@test "untrusted certificate of the endpoint" {
	scar --endpoint-ca "$STUB/other-ca/ca.pem" set "$URL"
	expect 12 "Nothing was changed"
	[[ ! -e $STUB/calls ]]
	unchanged
}

@test "an endpoint that does not answer is not set" {
	scar set https://127.0.0.1:1
	expect 11 "does not answer"
	unchanged
	mode "GET /=503"
	scar set "$URL"
	expect 11 "fails (503)"
	unchanged
	mode "GET /=401"
	scar set "$URL"
	expect 11 "wants a login"
	unchanged
}

@test "an endpoint with a name of the cluster is reached by --via" {
	scar --via "${URL#https://}" --endpoint-insecure set
	expect 0 "https://specman-service.hubble-system.svc.cluster.local:8443 answers (200)"
	[[ $(setting endpoint) == https://specman-service.hubble-system.svc.cluster.local:8443 ]]
}

@test "no right to read, or to set" {
	mode "GET /=200" "GET /v1/system/config/scar=403"
	scar show
	expect 8 "reading the endpoint: admin may not do this (403): Wished: as wished"
	mode "GET /=200" "PUT /v1/system/config/scar=403"
	scar set "$URL"
	expect 8 "setting the endpoint: admin may not do this (403)"
	unchanged
}

@test "a setting that is refused leaves what was kept before" {
	mode "GET /=200" "PUT /v1/system/config/scar=403"
	scar set "$URL"
	expect 8 "setting the endpoint"
	[[ ! -e $STATE ]]
	mode "GET /=200"
	scar set "$URL"
	mode "GET /=200" "PUT /v1/system/config/scar=403"
	scar --endpoint-user other set "$URL"
	expect 8 "setting the endpoint"
	[[ $(jq -r .endpoint "$STATE") == https://nginx.example.com:9443 ]]
}

@test "a session that is not taken" {
	mode "GET /v1/system/config/scar=401"
	scar show
	expect 7 "reading the endpoint: the session is refused (401)"
}

@test "answers that are not understood" {
	mode "GET /v1/system/config/scar=302"
	scar show
	expect 10 "leads elsewhere (302)"
	mode "GET /v1/system/config/scar=418"
	scar show
	expect 10 "reading the endpoint: unexpected answer 418: Wished: as wished"
	mode 'GET /v1/system/config/scar=body:["a list"]'
	scar show
	expect 10 "the answer is not understood"
	mode 'POST /v1/auth/syslogin=body:{"Authorization": "a\r\nb"}'
	scar show
	expect 10 "the session's token is not understood"
	mode 'POST /v1/auth/syslogin=500'
	scar show
	expect 9 "login: the platform failed (500)"
}

@test "stopped between setting and validation: that is said, and the former one is kept" {
	mode "GET /=200" "GET /v1/system/config/scar/validate=hang"
	"$SCRIPT" "$URL" --ca "$STUB/ca/ca.pem" --endpoint-ca "$STUB/ca/ca.pem" \
		--password-file "$BATS_TEST_TMPDIR/password" --state "$STATE" --timeout 3 set "$URL" \
		>"$BATS_TEST_TMPDIR/said" 2>&1 3>&- &
	for _ in {1..300}; do
		grep -qs validate "$STUB/calls" && break
		sleep 0.1
	done
	kill -TERM $!
	status=0
	wait $! || status=$?
	output=$(<"$BATS_TEST_TMPDIR/said")
	expect 14 "stopped before the endpoint was validated"
	[[ $(setting endpoint) == "$URL" ]]
	cmp <(jq -S . "$STATE") <(jq -S . "$STUB/setting.first")
}

@test "the platform fails" {
	mode "GET /v1/system/config/scar=500"
	scar show
	expect 9 "reading the endpoint: the platform failed (500)"
	mode "GET /=200" "PUT /v1/system/config/scar=500 once"
	scar set "$URL"
	expect 9 "the former endpoint is set again"
	unchanged_content
}

@test "no answer in time" {
	mode "GET /v1/system/config/scar=hang"
	scar --timeout 5 show
	expect 5 "no answer within 5 seconds"
	mode "GET /=200" "PUT /v1/system/config/scar=hang once"
	scar --timeout 5 set "$URL"
	expect 5 "the former endpoint is set again"
	unchanged_content
}

@test "the platform can't be reached" {
	URL=https://127.0.0.1:1
	scar show
	expect 4 "can't be reached"
}

@test "an endpoint that is not valid: the former one is set again" {
	mode "GET /=200" "GET /v1/system/config/scar/validate=400"
	scar set "$URL"
	expect 13 "the former one is set again: https://nginx.example.com:9443 (user old)"
	unchanged_content
	[[ ! -e $STATE ]]
	[[ $(grep -c "PUT /v1/system/config/scar" "$STUB/calls") -eq 2 ]]
	[[ $(grep -c jobs "$STUB/calls") -eq 0 ]]
}

@test "a validation without an answer counts as failed" {
	mode "GET /=200" "GET /v1/system/config/scar/validate=hang"
	scar --timeout 5 set "$URL"
	expect 13 "the former one is set again"
	unchanged_content
}

@test "a rollback that is not valid can be tried again" {
	scar set "$URL"
	mode "GET /=200" "GET /v1/system/config/scar/validate=400"
	scar rollback
	expect 13 "the former one is set again: $URL"
	[[ $(setting endpoint) == "$URL" ]]
	[[ $(jq -r .endpoint "$STATE") == https://nginx.example.com:9443 ]]
}

@test "not valid, and the former one can't be set: that is said, and it is kept" {
	mode "GET /=200" "GET /v1/system/config/scar/validate=then PUT /v1/system/config/scar=500"
	scar set "$URL"
	expect 14 "is NOT set again; it is kept in $STATE"
	[[ $(setting endpoint) == "$URL" ]]
	mode "GET /=200"
	scar rollback
	expect 0 "set the endpoint: https://nginx.example.com:9443"
	unchanged_content
}

@test "a job that is not started" {
	mode "GET /=200" "GET /v1/jobs/internal/syncCloudInstanceTypesData/run=500"
	scar set "$URL"
	expect 16 "a job was not started"
	[[ $output == *"started the job syncCloudStorageTypesData"* ]]
	[[ $(setting endpoint) == "$URL" ]]
}

@test "the password from the environment is not handed on" {
	SCAR_ADMIN_PASSWORD=$PASSWORD run "$SCRIPT" "$URL" --ca "$STUB/ca/ca.pem" --state "$STATE" show
	expect 0 "endpoint: "
}

@test "the password from a prompt, which does not show it" {
	PROMPTED=$PASSWORD run python3 -B - "$SCRIPT" "$URL" --ca "$STUB/ca/ca.pem" --state "$STATE" show <<-'EOT'
		import os, pty, sys
		password = os.environ["PROMPTED"].encode()
		child, terminal = pty.fork()
		if not child:
		    os.environ.pop("PROMPTED")
		    os.execv(sys.argv[1], sys.argv[1:])
		seen, typed = b"", False
		while True:
		    try:
		        data = os.read(terminal, 4096)
		    except OSError:
		        break
		    if not data:
		        break
		    seen += data
		    if not typed and b"Password of admin" in seen:
		        os.write(terminal, password + b"\n")
		        typed = True
		os.write(1, seen)
		sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
	EOT
	expect 0 "endpoint: "
}

@test "no password at all" {
	run setsid -w "$SCRIPT" "$URL" --ca "$STUB/ca/ca.pem" --state "$STATE" show </dev/null
	expect 3 "no password"
	scar --password-file /nonexistent show
	expect 3 "can't be read"
}

@test "a trace of the shell shows no secret" {
	run bash -xv "$SCRIPT" "$URL" --ca "$STUB/ca/ca.pem" --endpoint-ca "$STUB/ca/ca.pem" \
		--password-file "$BATS_TEST_TMPDIR/password" --state "$STATE" set "$URL"
	expect 0 "validated"
	run env SHELLOPTS=xtrace "$SCRIPT" "$URL" --ca "$STUB/ca/ca.pem" \
		--password-file "$BATS_TEST_TMPDIR/password" --state "$STATE" show
	expect 0 "endpoint: $URL"
}

@test "a .curlrc that writes all down is not read" {
	printf 'trace-ascii = "%s"\n' "$HOME/trace" >"$HOME/.curlrc"
	scar show
	expect 0 "endpoint: "
	[[ ! -e $HOME/trace ]]
}

@test "a program that is missing is named" {
	mkdir "$BATS_TEST_TMPDIR/bin"
	ln -s "$(command -v bash)" "$(command -v curl)" "$BATS_TEST_TMPDIR/bin/"
	PATH="$BATS_TEST_TMPDIR/bin" scar show
	expect 2 "jq is not installed"
}

@test "usage" {
	run "$SCRIPT"
	expect 2 "URL is missing"
	run "$SCRIPT" http://palette.example.com show
	expect 2 "has to be https"
	run "$SCRIPT" https://me:secret@palette.example.com show
	expect 2 "without user and password"
	[[ $output != *secret* ]]
	run "$SCRIPT" https://palette.example.com --password hunter2 show
	expect 2 "unknown option --password"
	[[ $output != *hunter2* ]]
	run "$SCRIPT" https://palette.example.com sett
	expect 2 "it may be show, set or rollback"
	run "$SCRIPT" https://palette.example.com --timeout
	expect 2 "needs a value"
	run "$SCRIPT" --help
	expect 0 "Exit codes:"
}
