import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'

/**
 * Which test files run when: files of all suites two at a time, because half of their time is waiting, and beside those, one at a time, files that
 * do next to nothing but wait; then those that must have the machine or the engine to themselves, one at a time.
 */
export interface TestFile {
  /** From the root of the repository: `test/unit/range.test.ts`. */
  path: string
  /** ms until it is killed. */
  deadline: number
}

export interface Schedule {
  together: TestFile[]
  waiting: TestFile[]
  alone: TestFile[]
}

const SECOND = 1000

const suites = [
  { folder: 'unit', deadline: 240 * SECOND },
  { folder: 'simulation', deadline: 480 * SECOND },
  { folder: 'api', deadline: 300 * SECOND },
  { folder: 'integration', deadline: 240 * SECOND },
  { folder: 'cli', deadline: 600 * SECOND },
  { folder: 'engine', deadline: 300 * SECOND },
  { folder: 'e2e', deadline: 1200 * SECOND },
  { folder: 'host', deadline: 1200 * SECOND },
]

/** Why a file runs alone. */
export const alone: Record<string, string> = {
  'test/api/hostile.test.ts': 'opens thousands of connections and measures memory',
  'test/integration/git-stalled.test.ts': 'measures memory',
  'test/integration/router-flood.test.ts': 'loads the machine, and measures memory',
  'test/e2e/l-flood.test.ts':
    'prints as fast as the machine can, and counts what is lost at a rate that must be reached',
  'test/e2e/z-disk.test.ts': 'has a disk of 1.5 GB in memory, and fills it',
}

/** What a file waits for, most of its time: it takes less than a tenth of that in CPU. */
export const waiting: Record<string, string> = {
  'test/integration/engine-image-dyno.test.ts': 'dynos of images that start and end, one after the other',
  'test/integration/engine-hangup.test.ts': 'commands whose clients go, and that have time to end',
  'test/integration/engine-faults.test.ts': 'an engine that does not answer',
  'test/integration/engine-log-faults.test.ts': 'the same, when it is asked for output',
  'test/unit/drain-delivery.test.ts': 'drains that are tried again, later each time',
  'test/unit/drain-http.test.ts': 'the same, over HTTP',
}

/**
 * These begin first in their suite, so that nothing long is left when the rest is done. Those that run the CLI, which loads a core, stand
 * beside those that wait.
 */
export const longest = [
  'test/e2e/z-failpoint-push.test.ts',
  'test/e2e/z-failpoint-change.test.ts',
  'test/e2e/z-engine-steps.test.ts',
  'test/e2e/z-fault-router-steps.test.ts',
  'test/e2e/run.test.ts',
  'test/e2e/l-lines.test.ts',
  'test/e2e/cli.test.ts',
  'test/e2e/z-failed-release.test.ts',
]

/** The files below `root` whose path has one of `parts`, or all when there are none. */
export function scheduled(root: string, parts: string[]): Schedule {
  const files = suites.flatMap(({ folder, deadline }) =>
    filesIn(root, folder).map((path): TestFile => ({ path, deadline })),
  )
  const wanted = files.filter(({ path }) => parts.length === 0 || parts.some((part) => path.includes(part)))
  return {
    together: wanted.filter(({ path }) => alone[path] === undefined && waiting[path] === undefined),
    waiting: wanted.filter(({ path }) => waiting[path] !== undefined),
    alone: wanted.filter(({ path }) => alone[path] !== undefined),
  }
}

/** Only what has a source is run: `dist` may hold tests that are gone. */
const filesIn = (root: string, folder: string): string[] =>
  readdirSync(join(root, 'test', folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => relative(root, join(root, 'test', folder, name)))
    .sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))

const rank = (path: string): number => {
  const place = longest.indexOf(path)
  return place === -1 ? longest.length : place
}
