#!/usr/bin/env bash
# The startup command of an Azure App Service (Linux, Python 3.11 or newer):
#
#   az webapp config set --startup-file "bash config/azure/startup.sh" --web-sockets-enabled true --always-on true ...
#   az webapp config set --generic-configurations '{"healthCheckPath": "/healthz"}' ...
#   az webapp config appsettings set --settings SCM_DO_BUILD_DURING_DEPLOYMENT=true \
#       WEBSITES_CONTAINER_STOP_TIME_LIMIT=30 SWIM_DATABASE__URL=... SWIM_DATABASE__AUTHENTICATION=managed-identity ...
#
# - PORT: where the service's front end looks for the program, set by App Service.
# - Health path: /healthz. Until it answers with 200, an instance gets no clients; after ten minutes without, it is replaced.
# - Logs: /home/LogFiles, where "az webapp log tail" reads; a file for each instance.
# - Stop: App Service sends SIGTERM and kills after WEBSITES_CONTAINER_STOP_TIME_LIMIT seconds (5 unless set; at most
#   120). "exec" below makes the signal reach the service: it closes its clients with 1012, and they come back.
# - /home is a network share, on which SQLite's locks do not hold. So SWIM_HOME is on the instance's own disk: history
#   lasts as long as the instance. Keys must outlive it, so they belong into Azure SQL (SWIM_DATABASE__URL).
# - The front end names the client's address, with its port, at the end of X-Forwarded-For.
set -euo pipefail

site=${HOME:-/home}/site/wwwroot
logs=${HOME:-/home}/LogFiles
instance=${WEBSITE_INSTANCE_ID:-local}

# The environment that the deployment built, else whatever has the command installed.
for folder in "$site/antenv" "$site/.venv"; do
  if [ -x "$folder/bin/swimctl" ]; then
    PATH=$folder/bin:$PATH
    break
  fi
done
command -v swimctl > /dev/null || {
  echo "startup.sh: no swimctl in $site/antenv, $site/.venv or PATH: deploy with SCM_DO_BUILD_DURING_DEPLOYMENT=true" >&2
  exit 1
}

export SWIM_HOME=${SWIM_HOME:-/var/lib/swim}
export SWIM_SERVER__HOST=${SWIM_SERVER__HOST:-0.0.0.0}
export SWIM_SERVER__PORT=${PORT:-8000}
# The front ends reach the container from link-local addresses.
export SWIM_SERVER__TRUSTED_PROXIES=${SWIM_SERVER__TRUSTED_PROXIES:-169.254.0.0/16,127.0.0.1,::1}
export SWIM_LOGGING__FILE=${SWIM_LOGGING__FILE:-$logs/swim-${instance:0:8}.log}

umask 077
mkdir -p "$SWIM_HOME" "$logs"
cd "$site"
exec swimctl serve
