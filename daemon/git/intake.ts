import { Transform } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import { requireRoom } from '../build/disk.ts'
import { formatSize } from '../build/output.ts'
import { messageOf } from '../errors.ts'
import { limits } from '../limits.ts'

/**
 * What a push sends, on its way to git. Beyond `limits.sourceSize`, or when the disk fills, git gets no more of it and the client is told
 * at once; what it still sends is thrown away up to the same bound, because a client that cannot send reads no answer.
 *
 *   passing -- too much, or no room --> refused (the answer is out) -- the body's end --> ended
 *                                          +-- as much again --> unread -- PARTING --> cut off
 *
 * unread: a connection that is cut takes with it what the client has not read of the answer yet.
 */
export function createIntake(data: string, refuse: (answer: Buffer) => void): Transform {
  let head = Buffer.alloc(0)
  let size = 0
  let looked = 0
  let refused = false
  const end = (why: string): void => {
    refused = true
    refuse(refusal(head, why))
  }
  return new Transform({
    async transform(chunk: Buffer, _encoding, done) {
      size += chunk.length
      if (head.length < HEAD) head = Buffer.concat([head, chunk.subarray(0, HEAD - head.length)])
      if (refused) {
        if (size <= 2 * limits.sourceSize) return done()
        await setTimeout(PARTING)
        return done(new Error('a refused push does not end'))
      }
      if (size > limits.sourceSize) end(tooLarge())
      else if (size - looked >= LOOK_EVERY) {
        looked = size
        await requireRoom(data).catch((error: unknown) => end(messageOf(error)))
      }
      done(null, refused ? undefined : chunk)
    },
  })
}

/** Of the body: the commands that it begins with. */
const HEAD = 64 * 1024
const LOOK_EVERY = 8 * 1024 * 1024
const PARTING = 3_000
/** All that one packet has room for, however long their names are. */
const MOST_TOLD = 100

const tooLarge = (): string =>
  `This push is larger than ${formatSize(limits.sourceSize)}.\nTake large files out of the history (git filter-repo), or push the newest commit only, from a clone made with --depth=1.`

/** What receive-pack would answer (https://git-scm.com/docs/gitprotocol-pack#_report_status), with the reason for people before it. */
function refusal(head: Buffer, why: string): Buffer {
  const commands = packets(head).filter((line) => !line.startsWith('shallow '))
  if (!/\bside-band-64k\b/.test(commands[0]?.split('\0')[1] ?? '')) return Buffer.alloc(0)
  const names = commands.slice(0, MOST_TOLD).map((command) => command.split('\0')[0]?.trim().split(' ')[2] ?? '')
  const report = ['unpack refused\n', ...names.map((name) => `ng ${name} refused\n`)].map(packet).join('')
  const shown = `\n${why.replace(/^/gm, ' !     ')}\n\n`
  return Buffer.from(`${packet(`\x02${shown}`)}${packet(`\x01${report}0000`)}0000`, 'latin1')
}

const packet = (text: string): string => `${(text.length + 4).toString(16).padStart(4, '0')}${text}`

/** Those up to the first flush. */
function packets(head: Buffer): string[] {
  const found: string[] = []
  for (let at = 0; at < head.length; ) {
    const length = Number.parseInt(head.toString('latin1', at, at + 4), 16)
    if (!(length > 4)) break
    found.push(head.toString('latin1', at + 4, at + length))
    at += length
  }
  return found
}
