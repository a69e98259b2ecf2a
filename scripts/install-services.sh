#!/bin/sh
# Installs what the tests need besides Python packages: Chromium, Redis and curl. PostgreSQL comes as a Python package.
set -eu

missing=""
[ -x /usr/bin/chromium ] || missing="chromium"
command -v redis-server >/dev/null || missing="$missing redis-server"
command -v curl >/dev/null || missing="$missing curl"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "The tests need Chromium at /usr/bin/chromium, redis-server and curl: install them (Debian: apt-get install chromium redis-server curl) and try again" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
