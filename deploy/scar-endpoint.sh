#!/usr/bin/env bash
# Shows and sets the SCAR endpoint of Palette or VerteX, and takes the setting back.
# See --help. Needs bash 4, curl and jq (and mkdir, mktemp, mv, rm).
#
# Kept true: passwords and the session's token are in no argument of a process, in no
# environment of one, in no trace and in no file but the one that keeps the former
# endpoint. They go to curl and jq through pipes; `printf` is the shell's own.
{ set +xv; } 2>/dev/null
set -u -o pipefail
umask 077

DEFAULT_ENDPOINT=https://specman-service.hubble-system.svc.cluster.local:8443

usage() {
	local text

	IFS= read -rd '' text <<-EOT
	Usage: scar-endpoint.sh URL [OPTION…] [show | set [ENDPOINT] | rollback]

	URL is that of the platform's system console, such as https://palette.example.com.

	  show            print the SCAR endpoint, and the former one that is kept (default)
	  set [ENDPOINT]  check that ENDPOINT answers, keep the present one, set ENDPOINT, have
	                  the platform validate it and start its two jobs that read it. When it
	                  is not valid, the former one is put back. Default:
	                  $DEFAULT_ENDPOINT
	  rollback        set the former one again, in the same way

	The platform:
	  --user NAME               of the system console (admin)
	  --password-file FILE      its password; else from SCAR_ADMIN_PASSWORD, else asked for
	  --ca FILE                 the CA (PEM) of the platform's certificate, if it is no public one
	  --insecure                don't check that certificate
	  --timeout SECONDS         for each call (60)
	  --state FILE              where the former endpoint is kept (mode 0600)
	                            (\${XDG_STATE_HOME:-~/.local/state}/specman/scar-HOST.json)

	The endpoint:
	  --endpoint-ca FILE        the CA (PEM) of its certificate: that of \`specman ca\`
	  --endpoint-insecure       don't check that certificate
	  --endpoint-user NAME      its user, if it wants a login
	  --endpoint-password-file FILE   that one's password; else from SCAR_ENDPOINT_PASSWORD
	  --via HOST:PORT           reach it there for the check (kubectl port-forward)
	  --no-endpoint-check       leave the check to the platform's validation

	Exit codes:
	   0  done
	   2  usage, or a program is missing
	   3  no password
	   4  the platform can't be reached
	   5  it did not answer in time
	   6  its certificate is not trusted
	   7  it refuses the user or the password
	   8  the user may not do this (403)
	   9  it failed (5xx)
	  10  it gave an answer that is not understood
	  11  the endpoint does not answer; nothing was changed
	  12  the endpoint's certificate is not trusted; nothing was changed
	  13  the endpoint is not valid; the former one is set again
	  14  the endpoint is not valid, and the former one could not be set again
	  15  the former endpoint can't be kept, or none is
	  16  the endpoint is set and valid, but a job was not started
	EOT
	printf '%s' "$text"
}

say() { printf '%s\n' "$*"; }

die() {
	local code=$1
	shift
	printf 'scar-endpoint.sh: %s\n' "$*" >&2
	exit "$code"
}

bad_usage() { die 2 "$*; see --help"; }

# ---- what is wanted ----

url='' action='' endpoint='' user=admin password_file='' ca='' insecure='' timeout=60 state=''
endpoint_ca='' endpoint_insecure='' endpoint_user='' endpoint_password_file='' via='' check=yes
password='' endpoint_password='' token=''

read_arguments() {
	local words=()

	while (($#)); do
		case $1 in
		--help | -h)
			usage
			exit 0
			;;
		--insecure) insecure=yes ;;
		--endpoint-insecure) endpoint_insecure=yes ;;
		--no-endpoint-check) check='' ;;
		--user | --password-file | --ca | --timeout | --state | --endpoint-ca | --endpoint-user | \
			--endpoint-password-file | --via)
			[[ -n ${2-} ]] || bad_usage "$1 needs a value"
			take_option "$1" "$2"
			shift
			;;
		-*) bad_usage "unknown option ${1%%=*}" ;;
		*) words+=("$1") ;;
		esac
		shift
	done
	((${#words[@]})) || bad_usage "the platform's URL is missing"
	url=${words[0]%/}
	action=${words[1]:-show}
	endpoint=${words[2]:-$DEFAULT_ENDPOINT}
	case $action in
	set) ((${#words[@]} < 4)) || bad_usage "\"${words[3]}\" is not understood" ;;
	show | rollback) ((${#words[@]} < 3)) || bad_usage "\"${words[2]}\" is not understood" ;;
	*) bad_usage "\"$action\" is not understood: it may be show, set or rollback" ;;
	esac
}

take_option() {
	case $1 in
	--user) user=$2 ;;
	--password-file) password_file=$2 ;;
	--ca) ca=$2 ;;
	--timeout) timeout=$2 ;;
	--state) state=$2 ;;
	--endpoint-ca) endpoint_ca=$2 ;;
	--endpoint-user) endpoint_user=$2 ;;
	--endpoint-password-file) endpoint_password_file=$2 ;;
	--via) via=$2 ;;
	esac
}

is_https() { [[ $1 =~ ^https://[A-Za-z0-9.:_-]+(/[A-Za-z0-9._~/%-]*)?$ || $1 =~ ^https://\[[0-9A-Fa-f:.]+\](:[0-9]+)?(/[A-Za-z0-9._~/%-]*)?$ ]]; }

check_arguments() {
	local program host

	for program in curl jq; do
		command -v "$program" >/dev/null || die 2 "$program is not installed"
	done
	is_https "$url" || bad_usage "the platform's URL has to be https://HOST[:PORT], without user and password"
	is_https "$endpoint" || bad_usage "the endpoint has to be https://HOST[:PORT][/PATH], without user and password"
	[[ $timeout =~ ^[1-9][0-9]{0,3}$ ]] || bad_usage "--timeout is a number of seconds"
	[[ -z $ca || -r $ca ]] || die 2 "--ca: $ca can't be read"
	[[ -z $endpoint_ca || -r $endpoint_ca ]] || die 2 "--endpoint-ca: $endpoint_ca can't be read"
	host=${url#https://}
	host=${host%%/*}
	if [[ -z $state ]]; then
		[[ -n ${XDG_STATE_HOME-}${HOME-} ]] || die 15 "without HOME, --state FILE is needed"
		state=${XDG_STATE_HOME:-${HOME-}/.local/state}/specman/scar-${host//[^A-Za-z0-9.-]/_}.json
	fi
}

# Sets the variable that is named $1 to a file's content.
read_secret_file() {
	[[ -r $2 && ! -d $2 ]] || die 3 "$2 can't be read"
	printf -v "$1" '%s' "$(<"$2")"
}

read_passwords() {
	local from_environment=${SCAR_ADMIN_PASSWORD-} endpoint_from_environment=${SCAR_ENDPOINT_PASSWORD-}

	# What curl and jq have in their environment, others of this user can read.
	unset SCAR_ADMIN_PASSWORD SCAR_ENDPOINT_PASSWORD
	if [[ -n $password_file ]]; then
		read_secret_file password "$password_file"
	elif [[ -n $from_environment ]]; then
		password=$from_environment
	elif { : >/dev/tty; } 2>/dev/null; then
		# -p: the prompt comes when what is typed is shown no more.
		IFS= read -rsp "Password of $user at $url: " password </dev/tty
		printf '\n' >/dev/tty
	fi
	password=${password%$'\r'}
	[[ -n $password ]] || die 3 "no password: give --password-file or SCAR_ADMIN_PASSWORD, or run in a terminal"
	if [[ -n $endpoint_password_file ]]; then
		read_secret_file endpoint_password "$endpoint_password_file"
	else
		endpoint_password=$endpoint_from_environment
	fi
	endpoint_password=${endpoint_password%$'\r'}
}

# ---- calls ----

status='' body=''

# What curl(1) --config understands between double quotes: \\ and \", as JSON has them.
quoted() { jq -Rs 'rtrimstr("\n")'; }

# JSON on stdin as a line of curl's configuration; twice encoded, it has no other escapes.
data_line() { printf 'data-raw = %s\n' "$(jq -c 'tojson')"; }

# call METHOD PATH [JSON]: sets status and body, or ends for what is no answer.
call() {
	local method=$1 path=$2 options=() answer failed
	local -r mark=$'\n'

	[[ -z $ca ]] || options+=(--cacert "$ca")
	[[ -z $insecure ]] || options+=(--insecure)
	# -q first: no ~/.curlrc, which might write down what is sent.
	answer=$({
		[[ -z $token ]] || printf 'cookie = "Authorization=%s"\n' "$token"
		if (($# > 2)); then
			printf 'header = "Content-Type: application/json"\n'
			printf '%s' "$3" | data_line
		fi
	} | curl -q --config - --silent --show-error --proto =https --connect-timeout 10 \
		--max-time "$timeout" --request "$method" --header 'Accept: application/json' \
		--write-out '\n%{http_code}' "${options[@]}" "$url$path")
	failed=$?
	case $failed in
	0) ;;
	28) die 5 "$url$path: no answer within $timeout seconds" ;;
	35 | 51 | 53 | 54 | 58 | 60 | 66 | 77 | 80 | 82 | 83 | 90 | 91)
		die 6 "$url: its certificate is not trusted, or TLS fails; give its CA by --ca FILE" ;;
	*) die 4 "$url can't be reached (curl's error $failed)" ;;
	esac
	status=${answer##*"$mark"}
	body=${answer%"$mark"*}
}

# What the platform says about an error, if it is short and plain.
reason() {
	local text

	text=$(printf '%s' "$body" | jq -r 'if type == "object" then [.code, .message] | map(strings) | join(": ") else empty end' 2>/dev/null) ||
		text=''
	text=${text//[^[:print:]]/ }
	[[ -z $text ]] || printf ': %s' "${text:0:200}"
}

# Ends when the last call was not answered as it should be. $1: what was asked for.
expect_success() {
	case $status in
	2??) ;;
	401) die 7 "$1: the session is refused (401)$(reason)" ;;
	403) die 8 "$1: $user may not do this (403)$(reason)" ;;
	5??) die 9 "$1: the platform failed ($status)$(reason); see its logs" ;;
	3??) die 10 "$1: $url leads elsewhere ($status); give the URL that it leads to" ;;
	*) die 10 "$1: unexpected answer $status$(reason)" ;;
	esac
}

login() {
	call POST /v1/auth/syslogin \
		"$(printf '%s' "$password" | jq -Rsc --arg user "$user" '{username: $user, password: .}')"
	case $status in
	400 | 401 | 403 | 404 | 422) die 7 "login: user $user or the password is wrong ($status)" ;;
	esac
	expect_success login
	token=$(printf '%s' "$body" | jq -r '.Authorization // empty' 2>/dev/null) || token=''
	body=''
	[[ -n $token ]] || die 7 "login: user $user or the password is wrong (no session was given)"
	[[ $token =~ ^[A-Za-z0-9._~+/=-]+$ ]] || die 10 "login: the session's token is not understood"
}

# The setting as it is, in $current.
current=''
read_setting() {
	call GET /v1/system/config/scar
	expect_success "reading the endpoint"
	current=$(printf '%s' "$body" | jq -c '{endpoint: (.endpoint // ""), username: (.username // ""), password: (.password // "")}' 2>/dev/null) ||
		die 10 "reading the endpoint: the answer is not understood"
}

field() { printf '%s' "$1" | jq -r --arg name "$2" '.[$name]'; }

describe() {
	local name user_there

	name=$(field "$1" endpoint)
	user_there=$(field "$1" username)
	name=${name:-(none)}${user_there:+ (user $user_there)}
	printf '%s' "${name//[^[:print:]]/?}"
}

# ---- the former one ----

keep() {
	local folder temporary

	folder=./
	[[ $state != */* ]] || folder=${state%/*}/
	mkdir -p -- "$folder" 2>/dev/null || die 15 "$folder can't be made; nothing was changed"
	temporary=$(mktemp -- "$state.XXXXXX" 2>/dev/null) || die 15 "$folder can't be written to; nothing was changed"
	if ! printf '%s\n' "$1" >"$temporary" || ! mv -f -- "$temporary" "$state"; then
		rm -f -- "$temporary"
		die 15 "$state can't be written; nothing was changed"
	fi
}

# ---- the endpoint ----

check_endpoint() {
	local options=() answer failed

	[[ -z $endpoint_ca ]] || options+=(--cacert "$endpoint_ca")
	[[ -z $endpoint_insecure ]] || options+=(--insecure)
	[[ -z $via ]] || options+=(--connect-to "::$via")
	answer=$(if [[ -n $endpoint_user ]]; then
		printf 'user = %s\n' "$(printf '%s:%s' "$endpoint_user" "$endpoint_password" | quoted)"
	fi | curl -q --config - --silent --show-error --proto =https --connect-timeout 10 --max-time "$timeout" \
		--output /dev/null --write-out '%{http_code}' "${options[@]}" "$endpoint/")
	failed=$?
	case $failed in
	0) ;;
	35 | 51 | 53 | 54 | 58 | 60 | 66 | 77 | 80 | 82 | 83 | 90 | 91)
		die 12 "$endpoint: its certificate is not trusted; give its CA by --endpoint-ca FILE (specman ca). Nothing was changed" ;;
	*) die 11 "$endpoint does not answer (curl's error $failed); from outside of the cluster: kubectl port-forward, and --via. Nothing was changed" ;;
	esac
	case $answer in
	401) die 11 "$endpoint wants a login, or another one: --endpoint-user, --endpoint-password-file. Nothing was changed" ;;
	5??) die 11 "$endpoint fails ($answer). Nothing was changed" ;;
	esac
	say "$endpoint answers ($answer)"
}

put_setting() {
	call PUT /v1/system/config/scar "$1"
	expect_success "setting the endpoint"
}

validate() {
	call GET /v1/system/config/scar/validate
	expect_success validation
}

# Have the file as it was before: $kept is what it had, if it was there.
keep_again() {
	if [[ -n $kept ]]; then
		keep "$kept"
	else
		rm -f -- "$state"
	fi
}

# Set $former, what was there before.
take_back() {
	(put_setting "$former") || return 1
	keep_again
}

# The setting has failed with code $1. Whether it came through is known for a refusal alone.
give_up_setting() {
	case $1 in
	7 | 8 | 10)
		keep_again
		exit "$1"
		;;
	esac
	take_back || die 14 "it is not known whether the endpoint is set; the former one is kept in $state: run rollback"
	say "the former endpoint is set again: $(describe "$former")" >&2
	exit "$1"
}

# Set $1. When the platform does not validate it, set what was there before.
change_to() {
	local former=$current kept='' failure

	[[ ! -r $state ]] || kept=$(<"$state")
	keep "$former"
	say "kept the former endpoint in $state: $(describe "$former")"
	trap 'die 14 "stopped before the endpoint was validated: run set once more, or rollback"' INT TERM
	(put_setting "$1") || give_up_setting $?
	say "set the endpoint: $(describe "$1")"
	if failure=$(validate 2>&1); then
		trap - INT TERM
		say "the platform has validated it"
		return
	fi
	say "${failure//scar-endpoint.sh: /}" >&2
	take_back || die 14 "the endpoint is not valid, and the former one is NOT set again; it is kept in $state: run rollback"
	die 13 "the endpoint is not valid; the former one is set again: $(describe "$former")"
}

run_jobs() {
	local job failed=''

	for job in syncCloudInstanceTypesData syncCloudStorageTypesData; do
		if (call GET "/v1/jobs/internal/$job/run" && expect_success "job $job"); then
			say "started the job $job"
		else
			failed=yes
		fi
	done
	[[ -z $failed ]] || die 16 "the endpoint is set and valid, but a job was not started: run set once more"
}

# ---- actions ----

show() {
	say "endpoint: $(describe "$current")"
	if [[ -r $state ]]; then
		say "former:   $(describe "$(<"$state")"), kept in $state"
	fi
}

set_endpoint() {
	local wanted

	[[ -z $check ]] || check_endpoint
	wanted=$(printf '%s' "$endpoint_password" | jq -Rsc --arg endpoint "$endpoint" --arg user "$endpoint_user" \
		'{endpoint: $endpoint, username: $user, password: .}')
	login
	read_setting
	if [[ $(field "$current" endpoint) == "$endpoint" && $(field "$current" username) == "$endpoint_user" ]]; then
		# Kept is what was there before, not what is set once more.
		say "the endpoint is set already: $(describe "$current")"
		put_setting "$wanted"
		validate
		say "the platform has validated it"
	else
		change_to "$wanted"
	fi
	run_jobs
}

rollback() {
	local former

	[[ -r $state ]] || die 15 "no former endpoint is kept in $state"
	former=$(jq -c 'select(.endpoint | strings)' "$state" 2>/dev/null) || former=''
	[[ -n $former ]] || die 15 "$state is not what was kept there"
	login
	read_setting
	change_to "$former"
	run_jobs
}

read_arguments "$@"
check_arguments
read_passwords
case $action in
show)
	login
	read_setting
	show
	;;
set) set_endpoint ;;
rollback) rollback ;;
esac
