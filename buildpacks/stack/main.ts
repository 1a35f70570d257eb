import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureStacks, PackagesMissing, stackNames, stacksReady } from '../stack.ts'
import { run } from './process.ts'

/**
 * `node dist/buildpacks/stack/main.js [SOCKET [STACK…]]`: makes sure that the engine has the stacks. The second of two at once waits for the first.
 * Ends with 69 when packages have to be installed first.
 */
async function main([socket = '/var/run/docker.sock', ...names]: string[]): Promise<number | null> {
  const wanted = stackNames.filter((name) => (names.length === 0 ? name === stackNames[0] : names.includes(name)))
  if (await stacksReady(socket, wanted)) return 0
  if (names.at(-1) === LOCKED) {
    await ensureStacks(socket, wanted)
    return 0
  }
  const locked = [LOCK, process.execPath, import.meta.filename, socket, ...wanted, LOCKED]
  const code = await run(['flock', '--nonblock', '--conflict-exit-code', String(TAKEN), ...locked])
  if (code !== TAKEN) return code
  process.stdout.write('stack: another process is making the stack images; waiting for it\n')
  return run(['flock', ...locked])
}

const LOCKED = '--locked'
const TAKEN = 75
const WANTS_PACKAGES = 69
/** Held by the kernel for as long as the process lives; the file itself means nothing. */
const LOCK = join(existsSync('/run/lock') ? '/run/lock' : tmpdir(), 'sluice-stack.lock')

main(process.argv.slice(2)).then(
  (code) => process.exit(code ?? 1),
  (error: unknown) => {
    process.stderr.write(`stack: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(error instanceof PackagesMissing ? WANTS_PACKAGES : 1)
  },
)
