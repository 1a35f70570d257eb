import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { limits } from '../../daemon/limits.ts'
import { createLog } from '../../daemon/log.ts'
import { createTranscripts } from '../../daemon/logs/transcript.ts'

const id = 'build-0b4bd1f3-6f0e-4f43-9a0f-27cf32a4ef8c'
let data = ''
test.before.each(async () => {
  data = await mkdtemp(join(tmpdir(), 'sluice-transcript-'))
})
test.after.each(() => rm(data, { recursive: true }))

const make = () =>
  createTranscripts(
    { data },
    createLog(() => {}),
  )

async function all(chunks: AsyncIterable<Buffer>): Promise<string> {
  const read: Buffer[] = []
  for await (const chunk of chunks) read.push(chunk)
  return Buffer.concat(read).toString()
}

test('whoever follows gets everything from the start, and the end', async () => {
  const transcripts = make()
  const transcript = await transcripts.open(id)
  transcript.write('one\n')
  const early = all(transcripts.follow(id, new AbortController().signal))
  transcript.write(Buffer.from('two\n'))
  const late = all(transcripts.follow(id, new AbortController().signal))
  for (let n = 0; n < 1000; n++) transcript.write('x')
  await transcript.end()
  const after = await all(transcripts.follow(id, new AbortController().signal))
  assert.is(after, `one\ntwo\n${'x'.repeat(1000)}`)
  assert.equal(await Promise.all([early, late]), [after, after])
})

test('a follower sees output while it is written', async () => {
  const transcripts = make()
  const transcript = await transcripts.open(id)
  const chunks = transcripts.follow(id, new AbortController().signal)[Symbol.asyncIterator]()
  for (const text of ['a', 'b', 'c']) {
    transcript.write(text)
    assert.is(String((await chunks.next()).value), text)
  }
  await transcript.end()
  assert.ok((await chunks.next()).done)
})

test('a transcript whose daemon was killed has ended', async () => {
  const killed = await make().open(id)
  killed.write('half')
  const other = make()
  await killed.end()
  assert.is(await all(other.follow(id, new AbortController().signal)), 'half')
  const again = await other.open(id)
  again.write(' and more')
  await again.end()
  assert.is(await readFile(join(data, 'transcripts', id), 'utf8'), 'half and more')
})

test('a missing transcript is empty, a removed one is missing', async () => {
  const transcripts = make()
  assert.not(await transcripts.has(id))
  assert.is(await all(transcripts.follow(id, new AbortController().signal)), '')
  const transcript = await transcripts.open(id)
  transcript.write('x')
  assert.ok(await transcripts.has(id))
  await transcripts.remove(id)
  assert.not(await transcripts.has(id))
  transcript.write('late')
  await transcript.end()
  assert.not(await transcripts.has(id))
})

test('a follower stops when it is no longer wanted', async () => {
  const transcripts = make()
  const transcript = await transcripts.open(id)
  const wanted = new AbortController()
  const following = all(transcripts.follow(id, wanted.signal))
  wanted.abort()
  assert.is(await following, '')
  await transcript.end()
})

test('of output beyond the bound the end is stored, from the beginning of a line on', async () => {
  const transcripts = make()
  const transcript = await transcripts.open(id)
  transcript.write(Buffer.alloc(limits.transcript - 5, 'y'))
  transcript.write('12345')
  const line = `${'z'.repeat(99)}\n`
  for (let n = 0; n < 20_000; n++) transcript.write(line)
  transcript.write('the reason\n')
  await transcript.end()
  const text = await readFile(join(data, 'transcripts', id), 'utf8')
  const [head = '', rest = ''] = text.split(
    '\n !     This output is too long: of what follows only the end is stored.\n\n',
  )
  assert.is(head.length, limits.transcript)
  assert.ok(head.endsWith('y12345'))
  assert.ok(rest.startsWith(line))
  assert.ok(rest.endsWith(`${line}the reason\n`))
  assert.ok(rest.length <= limits.transcriptEnd && rest.length > limits.transcriptEnd - 100)
})

test('what is only a little beyond the bound is stored whole', async () => {
  const transcripts = make()
  const transcript = await transcripts.open(id)
  transcript.write(Buffer.alloc(limits.transcript - 1, 'y'))
  transcript.write('no lines here')
  const following = all(transcripts.follow(id, new AbortController().signal))
  await transcript.end()
  assert.match((await following).slice(-200), /yn\n ! {5}This output is too long: .*\n\no lines here$/)
})

test('an id cannot lead out of the folder', async () => {
  await writeFile(join(data, 'secret'), 'secret')
  assert.throws(() => make().has('../secret'), /not a transcript id/)
})

test.run()
