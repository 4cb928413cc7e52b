# Starts OPA and our binary over the same policies; sourced by the suites that compare them.

directory=$(mktemp -d)
started=()
end() {
  # Only the processes that were started here.
  for process in "${started[@]}"; do kill "$process" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$directory"
}
trap end EXIT

mkdir "$directory/tenants"
cp -r tests/data_api/policies "$directory/tenants/t"

ready() { # URL, log
  for _ in $(seq 200); do
    python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=2)' "$1" 2>/dev/null && return
    sleep 0.05
  done
  cat "$2"
  exit 1
}

# Sets `address`. The bundle has the name `.`, and the ids of the policies are their paths. With a
# decision log the answers have a `decision_id`, as ours do. The default decision is the one that
# is a tenant's without further configuration. OPA does not tell which port it was given, so it
# is told one that was free.
start_opa() {
  local opa log=$directory/opa.${#started[@]} port
  opa=$(tests/rego/oracle opa)
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  (cd "$directory/tenants/t" && exec "$opa" run --server --addr "127.0.0.1:$port" --skip-version-check --log-level error \
    --set decision_logs.console=true --set default_decision=/tenants/t/allow --bundle .) >"$log" 2>&1 &
  started+=($!)
  address=127.0.0.1:$port
  ready "http://$address/health" "$log"
}

# Sets `address`. ENFORCER=path uses that binary instead of building one.
start_enforcer() {
  local log=$directory/enforcer
  if [ -z "${ENFORCER:-}" ]; then
    cargo build --release --package edge-policy-enforcer
    ENFORCER=target/release/edge-policy-enforcer
  fi
  : >"$log" # It is read before the shell that starts the binary has made it.
  # Deadlines are not compared, and other suites keep the machine busy.
  ENFORCER_PORT=0 BUNDLES_DIR=$directory/tenants ENFORCER_LOG_FORMAT=json ENFORCER_QUERY_API=true ENFORCER_INSPECTIONS_PER_SECOND=1000 ENFORCER_EVAL_TIMEOUT_MS=20000 \
    "$ENFORCER" 2>"$log" &
  started+=($!)
  address=''
  for _ in $(seq 200); do
    address=$(sed -nE 's/.*"message":"listening".*"address":"([^"]*)".*/\1/p' "$log")
    [ -z "$address" ] || break
    sleep 0.05
  done
  [ -n "$address" ] || { cat "$log"; exit 1; }
  ready "http://$address/health?bundles" "$log"
}
