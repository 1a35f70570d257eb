import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createGate } from '../../daemon/build/slug/gate.ts'

const folder = await mkdtemp(join(tmpdir(), 'sluice-gate-'))
test.after(() => rm(folder, { recursive: true }))

/** As the compile script waits. */
const wait = async (path: string) =>
  (await promisify(execFile)('bash', ['-c', 'read -r word < "$1"; echo "$word"', '-', path])).stdout.trim()

test('who comes before the gate is opened waits, who comes later does not', async () => {
  for (const early of [true, false]) {
    const path = join(folder, `gate-${early}`)
    const gate = await createGate(path)
    if (!early) await gate.open()
    const word = wait(path)
    if (early) await gate.open()
    assert.is(await word, 'open')
    await gate.close()
  }
})

test('who waits at a gate whose keeper goes away reads its end', async () => {
  const path = join(folder, 'closed')
  const gate = await createGate(path)
  const waiting = promisify(execFile)('bash', [
    '-c',
    'exec 3< "$1"; echo here; read -r word <&3 || echo ended',
    '-',
    path,
  ])
  await new Promise<void>((resolve) => waiting.child.stdout?.once('data', () => resolve()))
  await gate.close()
  assert.is((await waiting).stdout, 'here\nended\n')
})

test.run()
