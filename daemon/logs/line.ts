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
export const formatLine = ({ at, source, dyno, text }: Line): string =>
  `${new Date(at).toISOString().slice(0, -1)}000+00:00 ${source}[${dyno}]: ${text}`
