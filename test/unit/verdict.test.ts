import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { failuresOf, runFile } from '../file.ts'

const SECOND = 1000
const folder = await mkdtemp(join(tmpdir(), 'sluice-verdict-'))
test.after(() => rm(folder, { recursive: true }))

const uvu = import.meta.resolve('uvu')
let files = 0

/** Runs a test file of this text. */
async function run(text: string, deadline = 20 * SECOND) {
  const path = join(folder, `${files++}.mjs`)
  await writeFile(path, `import { test } from ${JSON.stringify(uvu)}\n${text}`)
  const { output, ms, pid, ...verdict } = await runFile(path, deadline)
  return { ...verdict, problem: verdict.problem ?? null }
}

test('tests that pass are counted', async () => {
  const verdict = await run(`test('a', () => {}); test('b', () => {}); test.run()`)
  assert.equal(verdict, { passed: 2, failed: 0, skipped: 0, problem: null })
})

test('a test that fails is counted', async () => {
  const verdict = await run(`test('a', () => {}); test('b', () => { throw new Error('no') }); test.run()`)
  assert.equal(verdict, { passed: 1, failed: 1, skipped: 0, problem: null })
})

test('each failure is told in a line: the test and how its error begins, or what is wrong with the file', async () => {
  const lines = async (name: string, text: string) => {
    const path = join(folder, name)
    await writeFile(path, `import { test } from ${JSON.stringify(uvu)}\n${text}; test.run()`)
    return failuresOf(await runFile(path, 20 * SECOND))
  }
  const thrower = `() => { throw new Error('no') }`
  assert.equal(await lines('none.mjs', `test('a', () => {})`), [])
  assert.equal(await lines('two.mjs', `test('a "b"', ${thrower}); test('c', () => {}); test('d', ${thrower})`), [
    'a "b": no',
    'd: no',
  ])
  assert.equal(await lines('hook.mjs', `test.before(${thrower}); test('a', () => {})`), ['1 failed'])
})

test('a skipped test is told', async () => {
  assert.is((await run(`test('a', () => {}); test.skip('b', () => {}); test.run()`)).skipped, 1)
})

test('a before hook that throws fails the file', async () => {
  assert.is((await run(`test.before(() => { throw new Error('no') }); test('a', () => {}); test.run()`)).failed, 1)
})

test('a test that throws what is no Error fails the file', async () => {
  assert.ok((await run(`test('a', () => { throw 'no' }); test.run()`)).failed > 0)
})

test('a forgotten test.run() fails the file', async () => {
  assert.match((await run(`test('a', () => {})`)).problem ?? '', /test\.run\(\)/)
})

test('a file without tests fails', async () => {
  assert.is((await run('test.run()')).problem, 'has no test')
})

test('a file that hangs is killed at its deadline, and so is what it started', async () => {
  const verdict = await run(
    `import { spawn } from 'node:child_process'
     test('a', () => new Promise((resolve) => spawn('sleep', ['60'], { stdio: 'inherit' }).on('exit', resolve))); test.run()`,
    SECOND,
  )
  assert.equal(verdict, { passed: 0, failed: 1, skipped: 0, problem: 'did not end within 1 s' })
})

test('a failure after the last test fails the file', async () => {
  const verdict = await run(`process.on('exit', () => { process.exitCode = 3 }); test('a', () => {}); test.run()`)
  assert.is(verdict.problem, 'passed its tests, then exited with 3')
})

test.run()
