/** One line of an app's log, in Heroku's terms (https://devcenter.heroku.com/articles/logging#log-format). */
export interface Line {
  /** ms since the epoch */
  at: number
  /** `app`: what the app and its users did; `heroku`: what the platform did. */
  source: 'app' | 'heroku'
  /** `web.1`, `router`, `api`, `release.4`, `build` */
  dyno: string
  text: string
}

/** `2026-11-23T06:57:42.358000+00:00 app[web.1]: text` */
export const formatLine = ({ at, source, dyno, text }: Line): string => `${formatTime(at)} ${source}[${dyno}]: ${text}`

/** The last second that was formatted: neighbours share it. */
let second = Number.NaN
let formatted = ''

/** `2026-11-23T06:57:42.358000+00:00` */
export function formatTime(at: number): string {
  const whole = Math.floor(at / 1000)
  if (whole !== second) {
    second = whole
    formatted = new Date(whole * 1000).toISOString().slice(0, -4)
  }
  return `${formatted}${String(Math.floor(at) - whole * 1000).padStart(3, '0')}000+00:00`
}
