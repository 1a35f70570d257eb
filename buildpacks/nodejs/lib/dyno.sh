# Sourced in each dyno. WEB_CONCURRENCY is for apps that start a process for each part of the dyno's memory:
# https://devcenter.heroku.com/articles/node-concurrency
export PATH="$HOME/.heroku/node/bin:$PATH:$HOME/bin:$HOME/node_modules/.bin"
export NODE_HOME="$HOME/.heroku/node"
export NODE_ENV="${NODE_ENV:-production}"

if [ -z "${MEMORY_AVAILABLE-}" ]; then
  MEMORY_AVAILABLE=512
  for __limit in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
    if [ -r "$__limit" ] && read -r __bytes < "$__limit" && [[ $__bytes =~ ^[0-9]{1,13}$ ]]; then
      MEMORY_AVAILABLE=$((__bytes / 1048576))
    fi
  done
  unset __limit __bytes
fi
export MEMORY_AVAILABLE
export WEB_MEMORY="${WEB_MEMORY:-512}"
if [ -z "${WEB_CONCURRENCY-}" ]; then
  WEB_CONCURRENCY=$((WEB_MEMORY > 0 ? MEMORY_AVAILABLE / WEB_MEMORY : 1))
  if [ "$WEB_CONCURRENCY" -lt 1 ]; then WEB_CONCURRENCY=1; fi
fi
export WEB_CONCURRENCY
