import { PADDING } from './mark.ts'

/**
 * What the scripts of launch.ts do, for commands in images that are not ours: in whatever /bin/sh they have (POSIX), without a profile, in the
 * folder that the image says. An image's own CMD runs without any of this.
 *
 * Arguments of the first two: the command; columns and rows of the terminal, or two empty words; the mark, or an empty word.
 */
const START = `unset TINI_KILL_PROCESS_GROUP
[ -z "$2" ] || stty columns "$2" rows "$3" 2>/dev/null
exec 9>&2 2>/dev/null`

/** Sets state, group, session and terminal of the process `$1`; a name may have any bytes in it. */
const STAT = `__sluice_stat() {
  __sluice_line=
  while IFS= read -r __sluice_part || [ -n "$__sluice_part" ]; do
    __sluice_line=$__sluice_line$__sluice_part
  done <"/proc/$1/stat"
  set -- \${__sluice_line##*) }
  __sluice_state=$1 __sluice_group=$3 __sluice_session=$4 __sluice_tty=$5
  [ $# -gt 4 ]
}`

/** In the foreground, so that the terminal is its. ^C is for it only. In a shell of its own: what ours says of its end goes nowhere. */
const COMMAND = `trap : INT QUIT
(exec /bin/sh -c "$1" 2>&9 9>&-)
__sluice_code=$?`

const END = `if [ -n "$4" ]; then
  (
    trap '' TTOU
    printf '\\036%s\\036%03d%${PADDING}s' "$4" "$__sluice_code" ''
    [ -n "$2" ] || printf '\\036%s\\036%03d%${PADDING}s' "$4" "$__sluice_code" '' >&9
  ) &
  wait $!
fi
exit $__sluice_code`

/** Where there is no sleep, nobody is waited for. */
const WAIT = 'while __sluice_others && sleep 0.05; do :; done'

export const IMAGE_LAUNCH = `${START}
${STAT}
__sluice_others() {
  for __sluice_one in /proc/[0-9]*; do
    case $__sluice_one in /proc/1 | /proc/$$) ;; *) return 0 ;; esac
  done
  return 1
}
__sluice_ignores_term() {
  while read -r __sluice_key __sluice_value; do
    [ "$__sluice_key" != SigIgn: ] || return $((0x$__sluice_value & 0x4000 ? 0 : 1))
  done <"/proc/$1/status"
  return 1
}
__sluice_tell() {
  for __sluice_one in /proc/[0-9]*; do
    __sluice_one=\${__sluice_one#/proc/}
    if [ "$__sluice_one" = 1 ] || ! __sluice_stat "$__sluice_one"; then continue; fi
    if [ "$__sluice_group" != $$ ]; then kill -s "$1" "$__sluice_one"; fi
    if [ "$1" = TERM ] && [ "$__sluice_tty" != 0 ] && __sluice_ignores_term "$__sluice_one"; then kill -s HUP "$__sluice_one"; fi
    if [ "$__sluice_state" = T ]; then kill -s CONT "$__sluice_one"; fi
  done
}
if [ -n "$4" ]; then
  (
    trap '__sluice_tell HUP' HUP
    trap '__sluice_tell TERM' TERM
    trap 'kill -s KILL $!; exit' USR1
    while sleep 3600 9>&- & do wait $!; kill -s KILL $!; command -v sleep || exit; done
  ) >/dev/null 9>&- &
  __sluice_watcher=$!
fi
trap __sluice_told=HUP HUP
trap __sluice_told=TERM TERM
${COMMAND}
[ -z "$4" ] || kill -s USR1 "$__sluice_watcher"
if [ -n "$__sluice_told" ]; then
  [ -n "$4" ] || __sluice_tell "$__sluice_told"
  ${WAIT}
fi
${END}`

export const IMAGE_EXEC = `${START}
${STAT}
__sluice_others() {
  for __sluice_one in /proc/[0-9]*; do
    __sluice_one=\${__sluice_one#/proc/}
    if [ "$__sluice_one" != $$ ] && __sluice_stat "$__sluice_one" && [ "$__sluice_session" = $$ ]; then return 0; fi
  done
  return 1
}
trap __sluice_told=1 HUP TERM
${COMMAND}
if [ -n "$__sluice_told" ]; then
  ${WAIT}
fi
${END}`

/** Sends the signal `$2` to every process in the session of the exec with the mark `$1`, which is its last word. */
export const IMAGE_SIGNAL = `${STAT}
exec 2>/dev/null
for __sluice_one in /proc/[0-9]*; do
  __sluice_last=
  while IFS= read -r __sluice_part || [ -n "$__sluice_part" ]; do __sluice_last=$__sluice_part; done <"$__sluice_one/cmdline"
  case $__sluice_last in
    *"$1") __sluice_stat "\${__sluice_one#/proc/}" && [ "$__sluice_session" = "\${__sluice_one#/proc/}" ] && __sluice_found=$__sluice_session ;;
  esac
done
[ -n "$__sluice_found" ] || exit 0
for __sluice_one in /proc/[0-9]*; do
  __sluice_one=\${__sluice_one#/proc/}
  if __sluice_stat "$__sluice_one" && [ "$__sluice_session" = "$__sluice_found" ]; then
    kill -s "$2" "$__sluice_one"
    if [ "$__sluice_state" = T ]; then kill -s CONT "$__sluice_one"; fi
  fi
done`
