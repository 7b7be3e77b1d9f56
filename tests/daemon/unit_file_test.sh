#!/bin/sh
# Checks the systemd files: unit_file_test.sh UNIT SYSUSERS_CONF
# Exit 77 (skipped) where systemd-analyze is missing, unless CI is set.
set -eu

unit=$1
sysusers=$2
if ! command -v systemd-analyze > /dev/null || ! command -v systemd-sysusers > /dev/null; then
  echo "systemd-analyze and systemd-sysusers are needed"
  [ -z "${CI:-}" ] || exit 1
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The unit names an installed program; any that exists will do.
checked=$work/$(basename "$unit")
sed -e 's#^ExecStart=.*#ExecStart=/bin/true#' "$unit" > "$checked"
if grep -q '@' "$unit" && grep -E '@[A-Z_]+@' "$unit"; then
  echo "the unit holds a variable that CMake did not replace"
  exit 1
fi

complaints=$(systemd-analyze verify "$checked" 2>&1)
if [ -n "$complaints" ]; then
  echo "systemd-analyze verify: $complaints"
  exit 1
fi

# What docs/metrics.md says of the daemon's sandbox: a loopback port, and a socket in /run/forge.
if [ "$(basename "$unit")" = forged.service ]; then
  for line in 'IPAddressAllow=localhost' 'RuntimeDirectory=forge' \
      'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6'; do
    if ! grep -q "^$line\$" "$unit"; then
      echo "the unit lacks $line, without which metrics_listen does not work"
      exit 1
    fi
  done
fi

# The score of exposure, times ten.
if ! systemd-analyze security --offline=yes --threshold=16 "$checked" \
    > "$work/score" 2>&1; then
  grep -v '✓' "$work/score"
  exit 1
fi
tail -n 1 "$work/score"

# The accounts that the unit names come out of sysusers.d.
mkdir -p "$work/root/etc"
systemd-sysusers --root="$work/root" "$(realpath "$sysusers")"
grep -q '^forge:' "$work/root/etc/passwd"
for group in forge render video; do
  grep -q "^$group:" "$work/root/etc/group"
done
