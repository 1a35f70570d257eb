import type { Attempts } from './account/attempt.ts'
import type { BrowserLogins } from './account/browser-login.ts'
import type { Backups } from './backup/backups.ts'
import type { Queue } from './build/queue.ts'
import type { Clock } from './clock.ts'
import type { Config } from './config.ts'
import type { Disk } from './disk/disk.ts'
import type { Engine } from './engine/engine.ts'
import type { Log } from './log.ts'
import type { Collector } from './logs/collect.ts'
import type { Deliveries } from './logs/drain/deliveries.ts'
import type { Logs } from './logs/logs.ts'
import type { Transcripts } from './logs/transcript.ts'
import type { Underway } from './pipeline/underway.ts'
import type { Registry } from './registry/registry.ts'
import type { Issuance } from './route/issuance.ts'
import type { Routers } from './route/routers.ts'
import type { Capacity } from './run/capacity.ts'
import type { Exec } from './run/exec.ts'
import type { Rendezvous } from './run/rendezvous.ts'
import type { Settlements } from './run/rollout.ts'
import type { Tunnel } from './run/tunnel.ts'
import type { Runner } from './runner.ts'
import type { Db } from './store/database.ts'
import type { Seal } from './store/seal.ts'
import type { Watch } from './watch/watch.ts'
import type { Webhooks } from './webhook/webhooks.ts'

/** The running parts that the domain's functions work with; made once, in assemble.ts. */
export interface Daemon {
  config: Config
  clock: Clock
  log: Log
  db: Db
  seal: Seal
  /** Holds up those who guess passwords. */
  attempts: Attempts
  /** Logins that are finished in a browser. */
  browserLogins: BrowserLogins
  engine: Engine
  /** Memory of the machine that is left to promise. */
  capacity: Capacity
  /** Builds take turns in it. */
  queue: Queue
  /** Further processes in running dynos, as many as each may have. */
  exec: Exec
  runner: Runner
  /** Keeps disk in bounds. */
  disk: Disk
  /** Makes backups of all of it. */
  backups: Backups
  /** Keeps images that are pushed. */
  registry: Registry
  /** Lines of apps, for `heroku logs`. */
  logs: Logs
  /** Reads the output of dynos into `logs`. */
  collector: Collector
  /** Carries lines of apps to their log drains. */
  drains: Deliveries
  /** Tells the apps' webhooks what happens. */
  webhooks: Webhooks
  /** Stored output of builds and release commands that can be followed while it is written. */
  transcripts: Transcripts
  /** The connected routers. */
  routers: Routers
  /** Gets certificates from a public authority, and renews them. */
  acm: Issuance
  /** Where clients of one-off dynos meet them. */
  rendezvous: Rendezvous
  /** Where clients of ps:exec come in. */
  tunnel: Tunnel
  /** Tells those who wait that a release was settled. */
  settlements: Settlements
  /** Promotions and set-ups that go on after their answer. */
  underway: Underway
  /** How the platform does. */
  watch: Watch
  /** The image that a stack's dynos run on and the one that its builds run on. */
  stack(name: string): { run: string; build: string; origin: 'official' | 'debian' }
}
