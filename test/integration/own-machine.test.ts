import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { waitFor } from '../e2e/wait.ts'

/** A machine of a test file's own (e2e/own-machine.ts) has a network of its own, and leaves nothing, whatever ends the file. */
const FILE = join(import.meta.dirname, 'own-machine-file.js')
const CGROUPS = '/sys/fs/cgroup'
const HIERARCHY = existsSync(join(CGROUPS, 'pids')) ? join(CGROUPS, 'pids') : CGROUPS

interface Said {
  folder: string
  controlGroup: string
  networks: string[]
}

async function start(env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [FILE], {
    env: { ...process.env, HIERARCHY, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  const [line] = await once(createInterface(child.stdout), 'line')
  return { child, ended, said: JSON.parse(line) as Said }
}

/** The environments of those inside. */
async function processesOf({ folder }: Said): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const environments = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')))
  return environments.filter((one) => one.split('\0').includes(`TMPDIR=${folder}`))
}

const isLeft = ({ folder, controlGroup }: Said): boolean =>
  existsSync(folder) || existsSync(`${HIERARCHY}${controlGroup}`)

test('a file that ends inside ends outside in the same way, and nothing is left', async () => {
  const { ended, said } = await start({ EXIT: '3' })
  assert.equal(said.networks, ['lo'])
  assert.equal(await ended, [3, null])
  assert.not(isLeft(said))
})

test('a file that is killed takes its machine with it, and the next one removes what is left', async () => {
  const { child, ended, said } = await start()
  assert.ok(isLeft(said))
  assert.ok((await processesOf(said)).length > 0)
  child.kill('SIGKILL')
  await ended
  await waitFor('its processes to be gone', async () => (await processesOf(said)).length === 0)
  const next = await start({ EXIT: '0' })
  await next.ended
  assert.not(isLeft(said))
})

test.run()
