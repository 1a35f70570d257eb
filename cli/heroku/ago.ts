const MINUTE = 60
const HOUR = 60 * MINUTE
const two = (number: number): string => String(Math.floor(number)).padStart(2, '0')

/** `2026/11/17 17:37:41 +0100 (~ 1h ago)`, in the time zone of who reads; without the distance when it is more than a day. */
export function ago(time: string, now = Date.now()): string {
  const at = new Date(time)
  const passed = Math.floor((now - at.getTime()) / 1000)
  const about =
    passed < MINUTE
      ? ` (~ ${passed}s ago)`
      : passed < HOUR
        ? ` (~ ${Math.floor(passed / MINUTE)}m ago)`
        : passed < 25 * HOUR
          ? ` (~ ${Math.floor(passed / HOUR)}h ago)`
          : ''
  return `${local(at)}${about}`
}

function local(at: Date): string {
  const day = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())].join('/')
  const clock = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':')
  const east = -at.getTimezoneOffset()
  return `${day} ${clock} ${east < 0 ? '-' : '+'}${two(Math.abs(east) / 60)}${two(Math.abs(east) % 60)}`
}

/** `2026-11-17 16:37 UTC`. */
export const utc = (time: string): string => `${new Date(time).toISOString().slice(0, 16).replace('T', ' ')} UTC`

const DAY = 1440
const MONTH = 30 * DAY
const YEAR = 365 * DAY
const count = (number: number, unit: string): string => `${number} ${unit}${number === 1 ? '' : 's'}`

/** `3 days`, `about 2 hours`, `less than a minute`: how far `time` is from now, either way, in the official CLI's steps. */
export function distance(time: string, now = Date.now()): string {
  const minutes = Math.round(Math.abs(now - Date.parse(time)) / 60_000)
  if (minutes < 1) return 'less than a minute'
  if (minutes < 45) return count(minutes, 'minute')
  if (minutes < DAY) return `about ${count(Math.round(minutes / 60), 'hour')}`
  if (minutes < MONTH) return count(minutes < 1.75 * DAY ? 1 : Math.round(minutes / DAY), 'day')
  if (minutes < 2 * MONTH) return `about ${count(Math.round(minutes / MONTH), 'month')}`
  if (minutes < YEAR) return count(Math.round(minutes / MONTH), 'month')
  return `about ${count(Math.round(minutes / YEAR), 'year')}`
}
