# Sourced in each dyno. WEB_CONCURRENCY is how many processes gunicorn, uvicorn and others start:
# https://devcenter.heroku.com/articles/python-concurrency
export PATH="$HOME/.heroku/python/bin:$PATH"
# Python finds itself; a PYTHONHOME would lead it away from its packages.
unset PYTHONHOME
export PYTHONUNBUFFERED=true
export PYTHONHASHSEED="${PYTHONHASHSEED:-random}"
export PYTHONPATH="${PYTHONPATH:-$HOME}"
export LANG="${LANG:-C.UTF-8}"
# Only the router speaks to a dyno, so gunicorn may believe its X-Forwarded-* headers.
export FORWARDED_ALLOW_IPS='*'
export GUNICORN_CMD_ARGS="${GUNICORN_CMD_ARGS:---access-logfile -}"

__cores=$(nproc)
__most=$((__cores * 2 + 1))
__reason='number of CPU cores'
for __limit in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
  if [ -r "$__limit" ] && read -r __bytes < "$__limit" && [[ $__bytes =~ ^[0-9]{1,12}$ ]]; then
    export DYNO_RAM=$((__bytes / 1048576))
    if [ "$((DYNO_RAM / 256))" -lt "$__most" ]; then
      __most=$((DYNO_RAM / 256 > 0 ? DYNO_RAM / 256 : 1))
      __reason='available memory'
    fi
  fi
done
if [[ ${DYNO-} == web.* ]]; then
  echo "Python buildpack: Detected ${DYNO_RAM-unlimited} MB available memory and $__cores CPU cores." >&2
  if [ -n "${WEB_CONCURRENCY-}" ]; then
    echo "Python buildpack: Skipping automatic configuration of WEB_CONCURRENCY since it's already set." >&2
  else
    echo "Python buildpack: Defaulting WEB_CONCURRENCY to $__most based on the $__reason." >&2
  fi
fi
export WEB_CONCURRENCY="${WEB_CONCURRENCY:-$__most}"
unset __cores __most __reason __limit __bytes
