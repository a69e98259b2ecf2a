#!/bin/sh
# Installs what the tests need besides Python packages: Chromium. PostgreSQL comes as a Python package.
set -eu

[ -x /usr/bin/chromium ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "The browser tests need Chromium at /usr/bin/chromium: install it (Debian: apt-get install chromium) and try again" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends chromium >/dev/null
