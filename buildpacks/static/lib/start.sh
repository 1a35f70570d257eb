# Serves the app with nginx on $PORT: `bash .heroku/static/start`.
set -euo pipefail

home=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
static=$home/.heroku/static
work=$(mktemp -d)

if [[ $(jq '.basic_auth == true' "$static/static.json") == true ]]; then
  : "${BASIC_AUTH_USERNAME:?is needed for basic_auth of static.json}" "${BASIC_AUTH_PASSWORD:?is needed for basic_auth of static.json}"
  # The password by standard input: arguments can be seen by other processes.
  printf '%s:%s\n' "$BASIC_AUTH_USERNAME" "$(openssl passwd -5 -stdin <<< "$BASIC_AUTH_PASSWORD")" > "$work/htpasswd"
fi
jq -r --arg port "${PORT:-5000}" --arg workers "${WEB_CONCURRENCY:-2}" --arg home "$home" --arg work "$work" \
  -f "$static/config.jq" "$static/static.json" > "$work/nginx.conf"

# In a session of its own: SIGTERM comes to every process of the dyno's group, and nginx takes that for "at once". SIGQUIT lets requests end.
setsid "$static/nginx" -p "$work" -c "$work/nginx.conf" &
nginx=$!
trap 'kill -QUIT "$nginx" 2> /dev/null || true' TERM INT
until wait "$nginx"; do
  code=$?
  kill -0 "$nginx" 2> /dev/null || exit "$code"
done
