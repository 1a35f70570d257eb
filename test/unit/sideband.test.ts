import { PassThrough } from 'node:stream'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createSideband } from '../../daemon/git/sideband.ts'

const MOST = 64 * 1024
const LINES = 10_000

/** A client that reads nothing until it is told to. */
function open() {
  const client = new PassThrough({ highWaterMark: 1024 })
  const sideband = createSideband(client, 'See the log.', MOST)
  const read = async (): Promise<string> => {
    let text = ''
    for await (const chunk of client) text += chunk
    return text
  }
  return { client, sideband, read }
}

test('all of what a client reads in time reaches it', async () => {
  const { client, sideband, read } = open()
  const text = read()
  sideband.write('one\n')
  sideband.write(Buffer.from('two\n'))
  sideband.end()
  client.end()
  assert.is(await text, 'one\ntwo\n')
})

test('a client that does not read keeps a bounded amount of memory, and learns what it missed and how it ended', async () => {
  const { client, sideband, read } = open()
  for (let line = 0; line < LINES; line++) sideband.write(`${line} ${'x'.repeat(100)}\n`)
  sideband.write('-----> Launching...\n')
  assert.ok(client.writableLength < MOST + 1024, `${client.writableLength} bytes wait`)
  sideband.end()
  client.end()
  const text = await read()
  const [, count = ''] = /\n ! {5}([\d,]+) bytes of output were left out here/.exec(text) ?? []
  assert.match(text, / ! {5}See the log\.\n/)
  assert.ok(text.endsWith(`${LINES - 1} ${'x'.repeat(100)}\n-----> Launching...\n`))
  const notice = text.slice(text.indexOf('\n !   '), text.indexOf('See the log.\n\n') + 'See the log.\n\n'.length)
  const all = Array.from({ length: LINES }, (_, line) => `${line} ${'x'.repeat(100)}\n`).join('')
  const whole = all.length + '-----> Launching...\n'.length
  assert.is(text.length - notice.length + Number(count.replaceAll(',', '')), whole)
})

test('a client that reads again gets everything from then on', async () => {
  const { client, sideband } = open()
  for (let line = 0; line < LINES; line++) sideband.write(`${'x'.repeat(100)}\n`)
  const seen: Buffer[] = []
  client.on('data', (chunk) => seen.push(chunk))
  await new Promise((resolve) => setImmediate(resolve))
  sideband.write('later\n')
  sideband.end()
  const text = Buffer.concat(seen).toString()
  assert.is(text.match(/left out here/g)?.length, 1)
  assert.ok(text.endsWith('later\n'))
})

test('nothing is written to a client that has gone', () => {
  const { client, sideband } = open()
  client.destroy()
  sideband.write('one\n')
  sideband.end()
})

test.run()
