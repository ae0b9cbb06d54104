#!/bin/sh
# Makes the databases of rpm, dnf and dpkg in this directory, and beside them
# what the tools themselves say of them. Run it as root on Debian 12 with rpm,
# createrepo-c, dnf, db5.3-util, sqlite3 and mmdebstrap installed; it works in a
# directory of its own, and takes three minutes.
#
#   generate-os.sh && go test ./scan/pkgdb
set -eu
export LC_ALL=C SOURCE_DATE_EPOCH=1700000000
out=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/specs" "$work/rpms"

# Each package has its parts in a spec of its own: name, version, architecture,
# further tags, how it is installed, and its files.
spec() {
	cat >"$work/specs/$1-$2-$3.spec" <<SPEC
Name: $1
Version: $2
Release: 1
Summary: $1
License: none
$4
%description
%install
$5
%files
$6
SPEC
	rpmbuild --quiet -bb --target "$3" --define "_topdir $work/build" --define "_rpmdir $work/rpms" \
		--define '_build_id_links none' --define '__os_install_post %nil' --define '_buildhost example' \
		--define 'clamp_mtime_to_source_date_epoch 1' --define 'use_source_date_epoch_as_buildtime 1' \
		"$work/specs/$1-$2-$3.spec" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
}
put='put() { mkdir -p "%{buildroot}$(dirname "$1")"; printf "%%s\n" "$2" >"%{buildroot}$1"; }'

spec one 1.0 noarch 'Epoch: 2
Requires: (two or four), /usr/bin/three-tool
Recommends: weak' "$put
put /usr/bin/one binary; put /etc/one.conf conf; put /usr/share/doc/one/README read; put /usr/share/one/shared of-one
mkdir -p %{buildroot}/var/log; : >%{buildroot}/var/log/one.log; : >%{buildroot}/usr/share/one/lent; ln -s one %{buildroot}/usr/bin/uno" '/usr/bin/one
/usr/bin/uno
%config /etc/one.conf
%doc /usr/share/doc/one/README
%dir /usr/share/one
/usr/share/one/shared
%ghost /usr/share/one/lent
%ghost /var/log/one.log'
spec two 1.0 noarch 'Provides: pair = 2' "$put
for i in \$(seq 150); do put /usr/share/two/part-\$((i %% 7))/file-number-\$i same; done; put /usr/share/one/lent by-two" '/usr/share/two
/usr/share/one/lent'
spec three 3.1 noarch 'Requires: pair' "$put
put /usr/bin/three-tool tool" /usr/bin/three-tool
spec weak 0.1 noarch '' "$put
put /usr/share/weak/file weak" /usr/share/weak
spec kernel 6.1 noarch '' "$put
put /boot/vmlinuz-6.1 kernel; put /lib/modules/6.1/a.ko module" '/boot/vmlinuz-6.1
/lib/modules/6.1'
spec kernel 6.2 noarch '' "$put
put /boot/vmlinuz-6.2 kernel; put /lib/modules/6.2/a.ko module" '/boot/vmlinuz-6.2
/lib/modules/6.2'
for arch in i686 x86_64; do
	spec multi 1.0 $arch 'Provides: multi-provided' "$put
put /usr/lib-$arch/libmulti.so $arch; put /usr/share/doc/multi/README read" "/usr/lib-$arch
%doc /usr/share/doc/multi/README"
done
spec five 5 noarch '' "$put
put /usr/share/one/shared of-five" /usr/share/one/shared
spec six 6 noarch '' "$put
put /usr/share/six/file six; put /usr/share/doc/six/README read" '/usr/share/six/file
%doc /usr/share/doc/six/README'
spec empty 1 noarch '' '' ''
spec gpg-pubkey 1 noarch '' '' ''
spec fails 1 noarch '' '' '
%pre -p <lua>
error("no")'

# What rpm tells, in lines of "NAME VERSION" and below each "STATE FLAGS PATH".
told='%{NAME} %|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\n[\t%{FILESTATES:fstate}\t%{FILEFLAGS:fflags}\t%{FILENAMES}\n]'
on() { # DATABASE ARGUMENTS...
	db=$1
	shift
	rpm --root "$work/$db" --define '_dbpath /var/lib/rpm' --define "_db_backend $db" "$@" 2>>"$work/log"
}
keep() { gzip -n -9 -c "$1" >"$out/$2.gz"; }

# SQLite, as rpm leaves it.
mkdir "$work/sqlite"
cd "$work/rpms"
add() { on sqlite -i --nodeps --noscripts --ignorearch "$@"; }
add noarch/one-* noarch/two-* noarch/three-* noarch/weak-* noarch/kernel-6.1* noarch/kernel-6.2* \
	i686/multi-* x86_64/multi-* noarch/empty-* noarch/gpg-pubkey-*
add --replacefiles noarch/five-*
add --excludedocs noarch/six-*
# A package that comes again leaves free pages behind.
add --force --replacepkgs noarch/two-*
on sqlite -qa --qf "$told" >"$out/rpm.want"
cd "$work"
database=sqlite/var/lib/rpm/rpmdb.sqlite
keep $database rpmdb.sqlite
# Its pages in other sizes; the indexes do not matter.
for size in 512 65536; do
	rm -f copy
	sqlite3 copy "PRAGMA page_size=$size; ATTACH '$database' AS old;
		CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL);
		INSERT INTO Packages SELECT * FROM old.Packages;"
	keep copy rpmdb-$size.sqlite
done
# Rows of all lengths about those at which they begin to spill over, each a
# number that is as long as it says, and once with a part of each page reserved.
rows() { # NAME PAGESIZE RESERVED FIRST LAST
	rm -f copy
	sqlite3 copy ".filectrl reserve_bytes $3" "PRAGMA page_size=$2; VACUUM; CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob TEXT);
		WITH RECURSIVE count(n) AS (SELECT $4 UNION ALL SELECT n + 1 FROM count WHERE n < $5)
		INSERT INTO Packages SELECT n, printf('%0*d', n, n) FROM count;" >/dev/null
	keep copy "$1.sqlite"
}
rows rows-512 512 0 1 1600
rows rows-480 512 32 1 1600
rows rows-65536 65536 0 65480 65520

# Berkeley DB, of both byte orders. The rpm of today reads it only, so the
# database is made by the library, and rpm has to agree with what is in it.
berkeley() { # PAGESIZE BYTEORDER
	printf 'VERSION=3\nformat=bytevalue\ntype=hash\ndb_pagesize=%s\ndb_lorder=%s\nHEADER=END\n 00000000\n ff000000\n' "$1" "$2"
	sqlite3 $database "SELECT printf(' %02x000000', hnum) || char(10) || ' ' || lower(hex(blob)) FROM Packages"
	echo DATA=END
}
mkdir -p bdb_ro/var/lib/rpm
berkeley 4096 1234 | db5.3_load bdb_ro/var/lib/rpm/Packages
on bdb_ro -qa --qf "$told" | sort >berkeley.told
sort "$out/rpm.want" | cmp - berkeley.told
keep bdb_ro/var/lib/rpm/Packages Packages
berkeley 512 4321 | db5.3_load big-endian
keep big-endian Packages-big-endian

# ndb, which the rpm of Debian is built without: by rpm's own code.
mkdir source ndb
cd source
mkdir -p lists/partial rpm
echo 'deb-src http://deb.debian.org/debian bookworm main' >sources.list
set -- -qq -o Dir::Etc::sourcelist="$PWD/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$PWD/lists" \
	-o Dir::Cache="$PWD" -o APT::Sandbox::User=root
{ apt-get "$@" update && apt-get "$@" source rpm; } >"$work/log" 2>&1
: >rpm/rpmlog.h
cat >system.h <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define _(text) text
#define xcalloc calloc
#define xmalloc malloc
#define xrealloc realloc
#define xstrdup strdup
#define rpmlog(level, ...) fprintf(stderr, __VA_ARGS__)
C
cat >main.c <<'C'
#include "system.h"
#include <fcntl.h>
#include "rpmpkg.h"
/* Reads lines of a number and a header in hex. */
int main(int argc, char **argv)
{
	static char hex[1 << 22];
	static unsigned char blob[1 << 21];
	unsigned number, byte;
	rpmpkgdb db;
	if (rpmpkgOpen(&db, argv[1], O_RDWR | O_CREAT, 0644) || rpmpkgLock(db, 1))
		return 1;
	while (scanf("%u %4194303s", &number, hex) == 2) {
		unsigned length = strlen(hex) / 2;
		for (unsigned i = 0; i < length; i++) {
			sscanf(hex + 2 * i, "%2x", &byte);
			blob[i] = byte;
		}
		if (rpmpkgPut(db, number, blob, length))
			return 2;
	}
	/* One that comes and goes leaves a free slot. */
	if (rpmpkgPut(db, 1, blob, 100) || rpmpkgDel(db, 1) || rpmpkgVerify(db))
		return 3;
	rpmpkgUnlock(db, 1);
	rpmpkgClose(db);
	return 0;
}
C
backend=$(echo rpm-4*/lib/backend/ndb)
gcc -w -I. -I"$backend" main.c "$backend/rpmpkg.c" -o "$work/ndbwrite"
cd "$work"
sqlite3 -separator ' ' $database 'SELECT hnum, hex(blob) FROM Packages' | ./ndbwrite Packages.db
keep Packages.db Packages.db

# dnf 4: three are asked for, one is removed again, one fails.
mkdir repository
cp rpms/noarch/one-* rpms/noarch/two-* rpms/noarch/three-* rpms/noarch/weak-* rpms/noarch/six-* rpms/noarch/fails-* repository
createrepo_c -q repository
cooked() {
	dnf --installroot="$work/dnf" --releasever=1 --setopt=reposdir=/none --setopt=cachedir="$work/cache" \
		--repofrompath=local,"file://$work/repository" --nogpgcheck -q -y "$@" 2>>"$work/log"
}
cooked install one six >/dev/null
cooked mark install three >/dev/null
cooked remove six >/dev/null
cooked install fails >/dev/null || :
cooked history userinstalled >"$out/dnf.want"
keep dnf/var/lib/dnf/history.sqlite history.sqlite

# dpkg: a small Debian with two architectures, a package that was removed but
# not purged, dependencies, and diversions.
root=$work/debian
mmdebstrap -q --variant=apt --architectures=amd64,i386 --mode=root bookworm "$root" http://deb.debian.org/debian
cp /etc/resolv.conf "$root/etc/resolv.conf"
in_root() { chroot "$root" env DEBIAN_FRONTEND=noninteractive "$@" >>"$work/log" 2>&1; }
in_root apt-get update
in_root apt-get install -y --no-install-recommends jq libzstd1:i386 logrotate
in_root apt-mark manual libonig5
in_root apt-get remove -y logrotate
in_root dpkg-divert --local --rename --add /usr/bin/jq
in_root dpkg-divert --package jq --divert /usr/share/doc/dash.kept --rename --add /usr/share/doc/dash/copyright
tell() { dpkg-query --admindir="$root/var/lib/dpkg" "$@"; }
tell -W -f '${binary:Package} ${Package} ${Version} ${db:Status-Status}\n' | while read -r binary name version status; do
	echo "$name $version $status"
	tell -L "$binary" | sed 's/^/\t/'
done | gzip -n -9 >"$out/dpkg.want.gz"
tar -c --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C "$root" var/lib/dpkg/status var/lib/dpkg/diversions \
	var/lib/apt/extended_states $(cd "$root" && ls var/lib/dpkg/info/*.list) | gzip -n -9 >"$out/dpkg.tar.gz"
