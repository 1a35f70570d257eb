import type { Account } from '../account/account.ts'
import type { Daemon } from '../daemon.ts'

/** Tells the app's log what somebody did to it, as Heroku does: `app[api]: TEXT by user EMAIL`. */
export const tell = (d: Daemon, app: { id: string }, account: Account, text: string): void =>
  d.logs.write(app.id, { at: d.clock.now(), source: 'app', dyno: 'api', text: `${text} by user ${account.email}` })
