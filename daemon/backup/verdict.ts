/** How a backup has something of the data folder, or why it has not. */
export type Verdict = { kept: How } | { left: string }

/** `whole`: each file as it is when its turn comes; the others are taken in a way of their own (`capture.ts`, `content.ts`). */
export type How = 'whole' | 'key' | 'database' | 'slugs' | 'repositories' | 'registry' | 'transcripts' | 'logs'

/**
 * By the first name of a path below the data folder. A test fails when code puts something there that has no verdict. In the order in which they are
 * taken: how far drains have got before the lines that they are at, so that some lines come twice and none is missing.
 */
export const verdicts: Record<string, Verdict> = {
  installation: { kept: 'whole' },
  'seal.key': { kept: 'key' },
  'admin.token': { kept: 'whole' },
  'router.token': { kept: 'whole' },
  'metrics.token': { kept: 'whole' },
  'ssh.key': { kept: 'whole' },
  'stream.key': { kept: 'whole' },
  'registry.secret': { kept: 'whole' },
  tls: { kept: 'whole' },
  slugs: { kept: 'slugs' },
  repos: { kept: 'repositories' },
  registry: { kept: 'registry' },
  transcripts: { kept: 'transcripts' },
  'drains.json': { kept: 'whole' },
  logs: { kept: 'logs' },
  'sluice.db': { kept: 'database' },

  'sluice.db-wal': { left: 'it is in the copy of the database' },
  'sluice.db-shm': { left: 'it is in the copy of the database' },
  builds: { left: 'a build that a restart breaks off has failed' },
  cache: { left: 'the next build makes it again' },
  buildpacks: { left: 'they are fetched again' },
  sources: { left: 'they are for a build on the same day, and are sent again' },
  setups: { left: 'every start removes them' },
  hooks: { left: 'every start makes them' },
  'hook.sock': { left: 'every start makes it' },
  dynos: { left: 'what a dyno has written goes with the dyno' },
  router: { left: 'it is of the router of one host' },
  'routers.json': { left: 'routers are known again when they connect' },
  reserve: { left: 'every start makes it' },
  'after-upgrade.db': { left: 'it is of a release that did not come up' },
  'after-upgrade.db-wal': { left: 'it is of a release that did not come up' },
  'before-upgrade.db': { left: 'it is for the way back from an upgrade of one host' },
  'sluice.pid': { left: 'it is of a process' },
  'sluice.log': { left: 'it tells of one host' },
  'sluice.log.1': { left: 'it tells of one host' },
  backups: { left: 'they are backups' },
  'backup.json': { left: 'it tells of backups of one host' },
  snapshot: { left: 'it is of a backup that is being made' },
  restore: { left: 'it is of a restore that goes on' },
}

export const isKept = (name: string): boolean => 'kept' in (verdicts[name] ?? { left: '' })
