# shellcheck shell=bash
# What every script here starts with: strict mode, the root of the tree, and the two ways to say something.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

say() { printf '==> %s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
# The comment that a script opens with is its help.
usage() { sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0"; }

# Fills a folder with busybox-static and what a container needs beside it.
busybox_tree() {
  local busybox applet
  busybox=$(command -v busybox) || die "busybox-static is missing: scripts/packages test"
  ! ldd "$busybox" >/dev/null 2>&1 || die "$busybox is not static: scripts/packages test"
  mkdir -p "$1"/{bin,etc,tmp,root,home,var/www}
  chmod 1777 "$1/tmp"
  install -m 755 "$busybox" "$1/bin/busybox"
  for applet in $("$busybox" --list); do [ "$applet" = busybox ] || ln -s busybox "$1/bin/$applet"; done
  printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/sh\n' >"$1/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$1/etc/group"
}

# LAYER PROGRAM [PATH]: puts a program of this host into an image's folder, with the libraries that it is linked with.
install_program() {
  local libraries library path=${3:-$2}
  libraries=$(ldd "$2")
  ! grep -q 'not found' <<<"$libraries" || die "libraries of $2 are missing here: $(grep 'not found' <<<"$libraries")"
  install -D -m 755 "$2" "$1$path"
  for library in $(grep -oE '/[^ ]+' <<<"$libraries" | sort -u); do install -D "$(realpath "$library")" "$1$library"; done
}
