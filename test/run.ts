import { join, resolve } from 'node:path'
import { failuresOf, type Outcome, runFile } from './file.ts'
import { clear, cleared, clearHost } from './leftovers.ts'
import { scheduled, type TestFile } from './schedule.ts'

/**
 * `node dist/test/run.js [part of a path ...]`: runs the test files whose path has one of the parts, each in a process of its own, two
 * at a time and a third that waits, or alone (schedule.ts). Exits with 1 on any failure, also when a file leaves something in the engine.
 * A test may be skipped on a developer's machine; with CI set that is a failure.
 */
const root = resolve(import.meta.dirname, '..', '..')
const SECOND = 1000
const AT_ONCE = 2

const ci = Boolean(process.env.CI) && process.env.CI !== 'false'

async function main(): Promise<number> {
  const parts = process.argv.slice(2).map(sourceName)
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort())
  const sum = { passed: 0, failed: 0, skipped: 0 }
  const failures: string[] = []
  const { together, waiting, alone } = scheduled(root, parts)
  const files = together.length + waiting.length + alone.length
  await clear()
  await clearHost()
  const work = async (queue: TestFile[]): Promise<void> => {
    for (let file = queue.shift(); file && !interrupted.signal.aborted; file = queue.shift()) {
      const outcome = await runFile(compiledName(file.path), file.deadline, interrupted.signal)
      const verdict = strict(await cleared(outcome))
      print(file.path, verdict)
      failures.push(...failuresOf(verdict).map((failure) => `${file.path}: ${failure}`))
      for (const key of ['passed', 'failed', 'skipped'] as const) sum[key] += verdict[key]
    }
  }
  await Promise.all([...Array.from({ length: AT_ONCE }, () => work(together)), work(waiting)])
  await work(alone)
  const late = await clear()
  if (late.length > 0) failures.push(`This was made in the engine after its test had ended: ${late.join(', ')}`)
  if (late.length > 0) sum.failed++
  if (files === 0) console.log('No test file matches. Is it compiled (npm run build)?')
  if (files === 0 || interrupted.signal.aborted) sum.failed++
  // once more: whoever reads only the end of a long log must see all of them
  for (const failure of failures) console.log(`FAIL ${failure}`)
  console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`)
  return sum.failed === 0 ? 0 : 1
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
