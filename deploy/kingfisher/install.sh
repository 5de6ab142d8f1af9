#!/bin/sh
# Installs the check of the Kingfisher server for a bot that can do nothing else
# there: a user whose one SSH key runs one root-owned script, and no other
# command. Run it as root on that server; run it again to change the key or to
# update the script. README.md, beside it, says what it leaves there.
set -eu
umask 022
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH

user=kfbusy
home=/var/lib/kfbusy
script=/usr/local/sbin/kingfisher-busy
sudoers=/etc/sudoers.d/kingfisher-busy

usage() {
	cat <<END
Usage: install.sh [--from ADDRESS[,ADDRESS...]] PUBLIC-KEY-FILE
       install.sh --remove

Lets the bot that has the private key make the busy checks, and nothing else.
With --from, only from those addresses, which may be networks: 192.0.2.0/28.
END
}

fail() {
	echo "install.sh: $*" >&2
	exit 1
}

# put FILE MODE makes its input the content of a root-owned file, at once.
put() {
	cat >"$1.new"
	chmod "$2" "$1.new"
	chown root:root "$1.new"
	if cmp -s "$1.new" "$1" && [ "$(stat -c '%a %u %g' "$1")" = "$2 0 0" ]; then
		rm "$1.new"
		echo "$1: as it was"
	else
		mv -f "$1.new" "$1"
		echo "$1: written"
	fi
}

remove() {
	case $(getent passwd "$user") in
	'' | *:"$home":*) ;;
	*) fail "the user $user on this server is not the one that this made: its home is not $home" ;;
	esac
	rm -f "$home/.ssh/authorized_keys" "$sudoers" "$script"
	if getent passwd "$user" >/dev/null; then
		userdel "$user"
	fi
	rm -rf "$home"
	echo "removed: the user $user, $home, $sudoers, $script"
}

# public_key FILE prints the one key that the file has.
public_key() {
	[ -r "$1" ] || fail "$1: there is no such file that can be read"
	tr -d '\r' <"$1" | grep -v -e '^[[:space:]]*$' -e '^#' >"$work/key" || fail "$1: it is empty"
	read -r type key _ <"$work/key" || true
	case $type in
	ssh-ed25519 | ssh-rsa | ecdsa-sha2-nistp* | sk-*) ;;
	*) fail "$1: it does not begin with a type of key, such as ssh-ed25519; give the file that ends in .pub" ;;
	esac
	[ "$(wc -l <"$work/key")" -eq 1 ] || fail "$1: it has more than one line; give the file of the bot's public key alone"
	# Without its comment, which needs no place there.
	printf '%s %s\n' "$type" "$key" >"$work/key"
	ssh-keygen -l -f "$work/key" >/dev/null 2>&1 || fail "$1: ssh-keygen finds no public key in it"
	cat "$work/key"
}

# check_sshd says what in the server's configuration would keep the key out, or
# let more in than it should.
check_sshd() {
	sshd -T -C "user=$user,host=localhost,addr=127.0.0.1" >"$work/sshd" 2>/dev/null || return 0
	grep -q '^authorizedkeysfile .*\.ssh/authorized_keys' "$work/sshd" ||
		echo "NOTE: sshd does not read .ssh/authorized_keys (AuthorizedKeysFile): add it, for $user at least"
	grep -q '^pubkeyauthentication yes' "$work/sshd" ||
		echo "NOTE: sshd takes no public keys (PubkeyAuthentication): allow them, for $user at least"
	if grep -q '^allowusers ' "$work/sshd" && ! grep -q "^allowusers $user\$" "$work/sshd"; then
		echo "NOTE: sshd lets certain users in only (AllowUsers): add $user"
	fi
	if grep -q '^allowgroups ' "$work/sshd" && ! grep -q "^allowgroups $user\$" "$work/sshd"; then
		echo "NOTE: sshd lets certain groups in only (AllowGroups): add $user"
	fi
	if grep -q '^acceptenv \(\*\|L\*\|LD\)' "$work/sshd"; then
		echo "NOTE: sshd accepts any variable of its clients (AcceptEnv), also LD_PRELOAD: accept LANG and LC_* only"
	fi
}

from=
while [ $# -gt 0 ]; do
	case $1 in
	--remove)
		[ $# -eq 1 ] || { usage >&2; exit 2; }
		[ "$(id -u)" = 0 ] || fail "run it as root"
		remove
		exit
		;;
	--from)
		[ $# -ge 2 ] || { usage >&2; exit 2; }
		case $2 in
		'' | *[!0-9A-Za-z.:,*/-]*) fail "--from: \"$2\" is not a list of addresses, with commas between them" ;;
		esac
		from="from=\"$2\","
		shift 2
		;;
	-h | --help)
		usage
		exit
		;;
	-*)
		usage >&2
		exit 2
		;;
	*) break ;;
	esac
done
[ $# -eq 1 ] || { usage >&2; exit 2; }

[ "$(id -u)" = 0 ] || fail "run it as root"
here=$(cd "$(dirname "$0")" && pwd)
[ -f "$here/kingfisher-busy" ] || fail "$here/kingfisher-busy is missing: copy the whole folder"
for program in sudo visudo sshd ssh-keygen useradd runuser setpriv flock; do
	command -v "$program" >/dev/null || fail "there is no $program on this server: install it first"
done
for folder in /usr /usr/local "${script%/*}" "${sudoers%/*}"; do
	[ -z "$(find "$folder" -maxdepth 0 \( ! -user root -o -perm /022 \))" ] ||
		fail "$folder may be changed by others than root, and so could the script be: chown root $folder; chmod go-w $folder"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
key=$(public_key "$1")

# The forced command is run by the user's shell, so that has to be one. The
# password is one that nothing matches, which is not the same as a locked user:
# sshd may refuse those.
if passwd=$(getent passwd "$user"); then
	case $passwd in
	"$user":*:0:*) fail "the user $user on this server has an ID of root's: $passwd" ;;
	*:"$home":*) ;;
	*) fail "there is another user $user on this server already: $passwd" ;;
	esac
	usermod --shell /bin/sh --password '*' "$user"
	echo "user $user: as it was"
else
	useradd --system --user-group --no-create-home --home-dir "$home" --shell /bin/sh --password '*' \
		--comment 'Makes the busy checks' "$user"
	echo "user $user: created"
fi
# All of its home is root's, so that it can't let another key in.
mkdir -p "$home/.ssh"
chown root:root "$home" "$home/.ssh"
chmod 755 "$home" "$home/.ssh"

put "$script" 755 <"$here/kingfisher-busy"
echo "$user ALL=(root) NOPASSWD: $script \"\"" >"$work/sudoers"
visudo -cqf "$work/sudoers" || fail "visudo does not accept the line for sudo"
put "$sudoers" 440 <"$work/sudoers"
echo "restrict,${from}command=\"/usr/bin/sudo -n $script\" $key" | put "$home/.ssh/authorized_keys" 644

check_sshd
greeting=$(runuser -u "$user" -- /usr/bin/sudo -n "$script" 2>"$work/err" </dev/null | sed -n 's/^\(kingfisher-busy [0-9]*\) .*/\1/p')
[ -n "$greeting" ] || fail "$user could not run the check with sudo: $(cat "$work/err")"
echo "$user may run the check, and it answers: $greeting"
