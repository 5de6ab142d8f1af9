#!/bin/sh
# kingfisher-busy: what runs on this server that a deployment would interrupt.
#
# It looks at the processes, at everyone's tmux servers and at the PostgreSQL
# clusters, and changes nothing. It takes no arguments and reads no input. It
# serves both ways: sent to a shell, or installed as kingfisher-busy, owned by
# root, behind a forced command in authorized_keys.
#
# Its output is for a program. It begins with a line that has the version of
# the format, a nonce and the server's time zone:
#
#   kingfisher-busy 2 NONCE ZONE
#
# Sections follow, each in one piece as soon as it is complete. Lines that begin
# with the nonce, which nobody can know beforehand, give the structure; what
# lies between them is what the commands printed, whoever controls that:
#
#   NONCE begin SECTION
#   NONCE fact WORD ...         something to know
#   NONCE run HEADER            a command was run; its output follows,
#   NONCE err                   then what it wrote to standard error,
#   NONCE exit STATUS           then its exit status
#   NONCE end SECTION           or "failed", where not all could be passed on
#
# Raise the version whenever the format changes.

version=2
limit=1024 # KiB that one command may print

# run FILE SECONDS COMMAND... runs a command with limits of time and output. Its
# output goes to files: a tmux client hands its standard files to the tmux
# server, and one that is stopped would keep the SSH session open.
run() {
	file=$1
	seconds=$2
	shift 2
	status=0
	(
		ulimit -f $((limit * 2)) # in blocks of 512 bytes
		exec timeout -k 1 "$seconds" "$@"
	) </dev/null >"$file.out" 2>"$file.err" || status=$?
	echo "$status" >"$file.status"
}

# run_as UID GID FILE SECONDS COMMAND... runs a command as another user, without
# a login shell or a PAM session.
run_as() {
	as_uid=$1
	as_gid=$2
	as_file=$3
	as_seconds=$4
	shift 4
	if [ "$as_uid" = "$uid" ]; then
		run "$as_file" "$as_seconds" "$@"
	else
		run "$as_file" "$as_seconds" setpriv --reuid="$as_uid" --regid="$as_gid" --clear-groups -- "$@"
	fi
}

# emit FILE HEADER... passes on what a command that was run has printed.
emit() {
	file=$1
	shift
	read -r status <"$file.status" &&
		printf '%s run %s\n' "$nonce" "$*" &&
		cat "$file.out" &&
		printf '\n%s err\n' "$nonce" &&
		cat "$file.err" &&
		printf '\n%s exit %s\n' "$nonce" "$status"
}

# fact WORD... passes on something to know.
fact() {
	printf '%s fact %s\n' "$nonce" "$*"
}

# list_processes FILE lists all processes, each on one line that is cut where it
# is very long, and when each was started, in hundredths of a second since the
# start of the system, whose ID is in the header. What ps says of that is derived
# from the clock, and varies by a second from look to look.
list_processes() {
	(
		set +f
		LC_ALL=C # a program's name, in the brackets, may have any bytes
		run "$1.starts" 5 sed -nzE 's/^([0-9]+) \(.*\) [A-Za-z]( -?[0-9]+){18} ([0-9]+) .*/\1 \3/p' /proc/[0-9]*/stat
	) &
	run "$1" 5 ps --cols 4096 --no-headers -eo pid,ppid,pgid,stat,etimes,user:32,comm:15,args
	wait
	emit "$1" ps && emit "$1.starts" starts "$boot"
}

# The processes: what Scrapyd runs, and spiders and loads beside it.
check_processes() {
	list_processes "$dir/processes"
}

# The panes of every tmux server, whoever's it is, then the processes, to tell
# a pane in which something runs from one that waits at its prompt.
check_tmux() {
	base=${TMUX_TMPDIR:-/tmp}
	found=$dir/sockets
	newline='
'
	# A socket whose name has a line break can't be told from two of them.
	LC_ALL=C find -H "$base" -mindepth 1 -maxdepth 2 \
		-path "$base/tmux-*/*" -type s -path "*$newline*" -printf 'odd %U %G %u\n' -o \
		-path "$base/tmux-*/*" -type s -printf 'socket %U %G %u %p\n' -o \
		-path "$base/tmux-*" -type d ! -readable -printf 'denied %U %G %u\n' >"$found" 2>/dev/null
	if ! command -v tmux >/dev/null; then
		fact missing || return 1
	fi
	count=0
	while read -r kind owner_uid owner_gid user path; do
		if [ "$kind" = socket ] && [ "$uid" != 0 ] && [ "$owner_uid" != "$uid" ]; then
			kind='denied'
		fi
		if [ "$kind" != socket ]; then
			fact "$kind" "$user" || return 1
			continue
		fi
		if [ "$count" -eq 100 ]; then
			fact many || return 1
			break
		fi
		count=$((count + 1))
		printf '%s %s\n' "$user" "$path" >"$found.$count"
		run_as "$owner_uid" "$owner_gid" "$found.$count" 3 tmux -u -S "$path" list-panes -a -F \
			'#{session_created}|#{session_attached}|#{pane_pid}|#{pane_dead}|#{session_name}' &
	done <"$found"
	wait
	listed=0
	while [ "$listed" -lt "$count" ]; do
		listed=$((listed + 1))
		read -r header <"$found.$listed" && emit "$found.$listed" socket "$header" || return 1
	done
	list_processes "$dir/panes"
}

# What the sessions of every PostgreSQL cluster that is online do.
check_postgres() {
	query=$(
		cat <<'SQL'
select json_build_object(
  'role', current_user,
  'tracked', current_setting('track_activities'),
  'hidden', count(*) filter (where state is null or state = 'disabled'),
  'sessions', coalesce(json_agg(json_build_object(
    'pid', pid,
    'user', usename,
    'database', datname,
    'client', host(client_addr),
    'application', application_name,
    'state', state,
    'query_age', greatest(0, floor(extract(epoch from clock_timestamp() - query_start)))::bigint,
    'transaction_age', greatest(0, floor(extract(epoch from clock_timestamp() - xact_start)))::bigint,
    'query_start', round(extract(epoch from query_start) * 1000000)::bigint,
    'transaction_start', round(extract(epoch from xact_start) * 1000000)::bigint,
    'query', left(query, 8000)
  ) order by xact_start) filter (where state not in ('idle', 'disabled')), '[]'))
from pg_stat_activity
where pid <> pg_backend_pid()
  and (backend_type = 'client backend' or backend_type is null and usesysid is not null)
SQL
	)
	clusters=$dir/clusters
	if command -v pg_lsclusters >/dev/null; then
		run "$clusters" 5 pg_lsclusters -h
		emit "$clusters" pg_lsclusters || return 1
	else
		# Without Debian's tools, a socket stands for a cluster.
		find /run/postgresql /tmp -mindepth 1 -maxdepth 1 -type s -name '.s.PGSQL.*[0-9]' \
			-printf '%f %u %h\n' 2>/dev/null |
			sed -n 's/^\.s\.PGSQL\.\([0-9][0-9]*\) /- \1 \1 online /p' >"$clusters.out"
	fi

	count=0
	while read -r release name port state owner data _; do
		case $state in
		online*) ;;
		*)
			fact down "$release" "$name" || return 1
			continue
			;;
		esac
		count=$((count + 1))
		socket=/var/run/postgresql
		if [ "$release" = - ]; then
			socket=$data
		elif [ -r "$data/postmaster.pid" ]; then
			socket=$(sed -n 5p "$data/postmaster.pid")
		fi
		# Debian's psql is a wrapper in Perl, which takes three times as long.
		psql=/usr/lib/postgresql/$release/bin/psql
		if ! [ -x "$psql" ]; then
			psql=psql
		fi
		owner_uid=$uid
		owner_gid=
		if [ "$uid" = 0 ]; then
			owner_uid=$(id -u "$owner") && owner_gid=$(id -g "$owner") || return 1
		fi
		printf '%s %s\n' "$release" "$name" >"$clusters.$count"
		run_as "$owner_uid" "$owner_gid" "$clusters.$count" 8 "$psql" -h "${socket:-/var/run/postgresql}" -p "$port" \
			-d postgres -w -XAtq -v ON_ERROR_STOP=1 -c "$query" &
	done <"$clusters.out"
	wait
	listed=0
	while [ "$listed" -lt "$count" ]; do
		listed=$((listed + 1))
		read -r header <"$clusters.$listed" && emit "$clusters.$listed" cluster "$header" || return 1
	done
}

# section NAME makes the check of that name and passes on what came of it, in
# one piece.
section() {
	case $1 in
	processes) check_processes ;;
	tmux) check_tmux ;;
	postgres) check_postgres ;;
	esac >"$dir/$1.section" && ending=end || ending=failed
	{
		flock 9 &&
			printf '%s begin %s\n' "$nonce" "$1" &&
			cat "$dir/$1.section" &&
			printf '%s %s %s\n' "$nonce" "$ending" "$1"
	} 9>"$dir/lock"
}

main() {
	set -f
	umask 077
	cd / || exit 1
	unset TMUX TMUX_PANE PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE PGSERVICE PGSSLMODE
	PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	LC_ALL=C.UTF-8
	# No conversion: a query in another encoding than the database's would fail it.
	PGCLIENTENCODING=SQL_ASCII
	PGCONNECT_TIMEOUT=5
	PGOPTIONS='-c statement_timeout=5000'
	export PATH LC_ALL PGCLIENTENCODING PGCONNECT_TIMEOUT PGOPTIONS

	uid=$(id -u)
	read -r nonce </proc/sys/kernel/random/uuid || exit 1
	read -r boot </proc/sys/kernel/random/boot_id || boot=
	# Memory rather than a disk, which may be full.
	dir=$(mktemp -d /run/kingfisher-busy.XXXXXXXX 2>/dev/null || mktemp -d /dev/shm/kingfisher-busy.XXXXXXXX 2>/dev/null ||
		mktemp -d) || exit 1
	trap 'rm -rf "$dir"' EXIT
	printf '\nkingfisher-busy %s %s %s\n' "$version" "$nonce" "$(date +%z)"
	section processes &
	section tmux &
	section postgres &
	wait
}

# Nothing runs unless all of this has arrived, and nothing reads what is left of
# the input.
main </dev/null
exit
