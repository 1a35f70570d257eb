import { PADDING } from './mark.ts'

/**
 * The scripts that stand above the command of a dyno or an exec, in bash. Common to them:
 * - Their own variables must not collide with config vars, and none of them reaches the command.
 * - They stay until the command has ended, and after a SIGHUP or SIGTERM until all processes of theirs have: the container ends with the
 *   launch script, and a shell such as that of `a | b` dies of the signal at once while `a` still finishes its work.
 *
 * - They print the mark of mark.ts last.
 *
 * Arguments of both: the command; columns and rows of the terminal, or two empty words; the mark, or an empty word when nobody is attached.
 */

/** What docker-init is told with it, nobody else needs to know. The size is set before anything can ask for it. */
const TERMINAL = `unset TINI_KILL_PROCESS_GROUP
[ -z "$2" ] || command -p stty columns "$2" rows "$3" 2>/dev/null`

/**
 * Sources the slug's profile scripts, with `||`, which keeps a `set -e` of theirs from ending the shell; a `set -a` of theirs would export what is ours.
 * They and the command have the umask of Heroku's dynos: scripts that write keys count on it.
 */
const PROFILE = `umask 077
for __sluice in /app/.profile.d/*.sh /app/.profile; do
  if [ -f "$__sluice" ] && [ -r "$__sluice" ]; then . "$__sluice" || :; set +eu; fi
done
set +a
unset __sluice
[ "$PWD" = /app ] || cd /app`

/** Sets `stat` to the state, parent, group, session and terminal of the process `$1`; a name may have any bytes in it. */
const STAT = `__sluice_stat() {
  local IFS=' ' line=
  read -rd '' line <"/proc/$1/stat"
  stat=(\${line##*) })
  [ \${#stat[@]} -gt 4 ]
}`

/** In the foreground: bash may lose the exit code of a background command when a signal comes as it ends. ^C is for the command only. */
const COMMAND = `trap : INT QUIT
SHLVL=$((SHLVL - 1)) /bin/bash -c "$1" 2>&9 9>&-
__sluice_code=$?`

/** Prints the mark. In the background, because nobody may read, and a signal must end that. `tostop` of a terminal must not. */
const END = `__sluice_end() {
  local end
  trap '' TTOU
  printf -v end '\\036%s\\036%03d%${PADDING}s' "$2" "$__sluice_code" ''
  printf %s "$end"
  [ -n "$1" ] || printf %s "$end" >&9
}
if [ -n "$4" ]; then
  __sluice_end "$2" "$4" &
  wait $!
fi
exit $__sluice_code`

/**
 * A dyno's. docker-init signals its own process group; the rest is signalled here, at the end of the command. When a client holds the
 * terminal that would never come: an interactive shell puts itself and its jobs into other groups. So a watcher does it at once there, in
 * a process of its own, because no trap runs while a command does. An interactive shell also ignores SIGTERM, and ends on SIGHUP; so
 * whatever has a terminal and ignores the one gets the other. SIGCONT, because a stopped process hears nothing.
 */
export const LAUNCH = `${TERMINAL}
${PROFILE}
${STAT}
__sluice_others() {
  local process
  for process in /proc/[0-9]*; do
    process=\${process#/proc/}
    case $process in 1 | $$ | "$__sluice_watcher_PID") ;; *) return 0 ;; esac
  done
  return 1
}
__sluice_ignores_term() {
  local IFS=$' \\t' key value
  while read -r key value; do
    if [ "$key" = SigIgn: ]; then return $((16#$value & 0x4000 ? 0 : 1)); fi
  done <"/proc/$1/status"
  return 1
}
__sluice_tell() {
  local process stat
  for process in /proc/[0-9]*; do
    process=\${process#/proc/}
    if [ "$process" = 1 ] || ! __sluice_stat "$process"; then continue; fi
    if [ "\${stat[2]}" != $$ ]; then kill -s "$1" "$process"; fi
    if [ "$1" = TERM ] && [ "\${stat[4]}" != 0 ] && __sluice_ignores_term "$process"; then kill -s HUP "$process"; fi
    if [ "\${stat[0]}" = T ]; then kill -s CONT "$process"; fi
  done
}
exec 9>&2 2>/dev/null
if [ -n "$4" ]; then
  coproc __sluice_watcher {
    trap '__sluice_tell HUP' HUP
    trap '__sluice_tell TERM' TERM
    read
  }
fi
trap __sluice_told=HUP HUP
trap __sluice_told=TERM TERM
${COMMAND}
if [ -n "$__sluice_told" ]; then
  [ -n "$4" ] || __sluice_tell "$__sluice_told"
  while __sluice_others; do sleep 0.05; done
fi
${END}`

/** An exec's: leader of a session of its own, whose processes are signalled from outside, by the launch script or by `SIGNAL`. */
export const EXEC = `${TERMINAL}
${PROFILE}
${STAT}
__sluice_others() {
  local process stat
  for process in /proc/[0-9]*; do
    process=\${process#/proc/}
    if [ "$process" != $$ ] && __sluice_stat "$process" && [ "\${stat[3]}" = $$ ]; then return 0; fi
  done
  return 1
}
exec 9>&2 2>/dev/null
trap __sluice_told=1 HUP TERM
${COMMAND}
if [ -n "$__sluice_told" ]; then
  while __sluice_others; do sleep 0.05; done
fi
${END}`

/** Sends the signal `$2` to every process in the session of the exec with the mark `$1`. Starts no process: there may be none left to have. */
export const SIGNAL = `${STAT}
exec 2>/dev/null
for process in /proc/[0-9]*; do
  process=\${process#/proc/}
  mapfile -d '' words <"/proc/$process/cmdline"
  if [ \${#words[@]} -gt 5 ] && [ "\${words[-1]}" = "$1" ] && __sluice_stat "$process" && [ "\${stat[3]}" = "$process" ]; then
    session=$process
  fi
done
[ -n "$session" ] || exit 0
for process in /proc/[0-9]*; do
  process=\${process#/proc/}
  if __sluice_stat "$process" && [ "\${stat[3]}" = "$session" ]; then
    kill -s "$2" "$process"
    if [ "\${stat[0]}" = T ]; then kill -s CONT "$process"; fi
  fi
done`
