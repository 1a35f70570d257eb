import { existsSync, readdirSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { type Outcome, runFile } from './file.ts'

/**
 * `node dist/test/run.js [part of a path ...]`: runs the test files whose path has one of the parts, each in a process of its own, those
 * without containers two at a time, the others alone, because they share the engine and the machine's two cores. Exits with 1 on any failure.
 * A test may be skipped on a developer's machine; with CI set that is a failure.
 */
const root = resolve(import.meta.dirname, '..', '..')
const SECOND = 1000

const suites = [
  { folder: 'unit', deadline: 60 * SECOND, atOnce: 2 },
  { folder: 'api', deadline: 120 * SECOND, atOnce: 2 },
  { folder: 'integration', deadline: 120 * SECOND, atOnce: 1 },
  { folder: 'cli', deadline: 300 * SECOND, atOnce: 2 },
  { folder: 'engine', deadline: 300 * SECOND, atOnce: 1 },
  { folder: 'e2e', deadline: 600 * SECOND, atOnce: 1 },
]

const ci = Boolean(process.env.CI) && process.env.CI !== 'false'

async function main(): Promise<number> {
  const parts = process.argv.slice(2).map(sourceName)
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort())
  const sum = { passed: 0, failed: 0, skipped: 0 }
  let files = 0
  for (const { folder, deadline, atOnce } of suites) {
    const queue = filesIn(folder).filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)))
    files += queue.length
    const work = async (): Promise<void> => {
      for (let file = queue.shift(); file && !interrupted.signal.aborted; file = queue.shift()) {
        const outcome = strict(await runFile(compiledName(file), deadline, interrupted.signal))
        print(file, outcome)
        for (const key of ['passed', 'failed', 'skipped'] as const) sum[key] += outcome[key]
      }
    }
    await Promise.all(Array.from({ length: atOnce }, work))
  }
  if (files === 0) console.log('No test file matches. Is it compiled (npm run build)?')
  if (files === 0 || interrupted.signal.aborted) sum.failed++
  console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`)
  return sum.failed === 0 ? 0 : 1
}

/** Only what has a source is run: `dist` may hold tests that are gone. */
const filesIn = (folder: string): string[] => {
  const path = join(root, 'test', folder)
  if (!existsSync(path)) return []
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => relative(root, join(path, name)))
    .sort()
}

const compiledName = (source: string): string => join(root, 'dist', source.replace(/\.ts$/, '.js'))

/** What a person may name a test by: its source, or what was compiled of it, from anywhere. */
const sourceName = (given: string): string =>
  given
    .replace(`${root}/`, '')
    .replace(/^(\.\/)?(dist\/)?/, '')
    .replace(/\.js$/, '.ts')

const strict = (outcome: Outcome): Outcome =>
  ci && outcome.skipped > 0
    ? {
        ...outcome,
        failed: outcome.failed + outcome.skipped,
        skipped: 0,
        problem: outcome.problem ?? 'skips tests in CI',
      }
    : outcome

function print(file: string, { passed, failed, skipped, problem, output, ms }: Outcome): void {
  const counts = `${passed} passed${failed ? `, ${failed} failed` : ''}${skipped ? `, ${skipped} skipped` : ''}`
  console.log(`${failed ? 'FAIL' : 'ok  '} ${file}  (${counts}, ${(ms / SECOND).toFixed(1)} s)`)
  if (failed) console.log(`${problem ? `     It ${problem}.\n` : ''}${output.replace(/^/gm, '     ').trimEnd()}`)
}

process.exitCode = await main()
