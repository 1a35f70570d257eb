import * as assert from 'uvu/assert'
import { createSession, type Result } from './kept.ts'
import { type Rig, startRig, words } from './rig.ts'

/**
 * The official CLI and `sluice` side by side, against the same API: each does the same to a twin of what the other does it to. `%` in a line
 * is `aa` for the one and `bb` for the other, and `{name}` what `call` says.
 */
export interface Twins {
  rig: Rig
  /** Both print the same, on both outputs, and end with the same code. */
  same(...lines: string[]): Promise<void>
  /** They differ, for a reason; what `sluice` prints matches. */
  differ(line: string, why: string, ours: RegExp): Promise<void>
  /** Gives a name to what has another id at each. */
  call(name: string, theirs: string, ours: string): void
  /** Runs `sluice` alone. */
  run(line: string): Promise<Result>
  /** What `sluice` prints, which must succeed. */
  sluice(line: string): Promise<string>
  close(): Promise<void>
}

export async function startTwins(): Promise<Twins> {
  const rig = await startRig()
  const { host, home } = rig
  const session = createSession('session-sluice.js', home, () => ({
    PATH: process.env.PATH,
    HOME: home,
    SLUICE_API_URL: host.url,
    SLUICE_API_KEY: host.token,
    NO_COLOR: '1',
    TERM: 'xterm',
  }))
  const called = new Map<string, [string, string]>()
  const meant = (line: string, side: 0 | 1): string =>
    line.replaceAll('%', side === 0 ? 'aa' : 'bb').replace(/{(\w+)}/g, (_, name) => called.get(name)?.[side] ?? name)
  const both = async (line: string): Promise<[Result, Result]> => [
    await rig.run(meant(line, 0)),
    await session.run(words(meant(line, 1))),
  ]
  return {
    rig,
    async same(...lines) {
      for (const line of lines) {
        const [theirs, ours] = await both(line)
        assert.equal(plain(ours), plain(theirs), line)
      }
    },
    async differ(line, why, wanted) {
      const [theirs, ours] = await both(line)
      assert.not.equal(plain(ours), plain(theirs), `${line} does not differ: ${why}`)
      assert.match(`${ours.out}${ours.err}`, wanted, `${line}: ${why}`)
    },
    call: (name, theirs, ours) => void called.set(name, [theirs, ours]),
    run: (line) => session.run(words(line)),
    async sluice(line) {
      const { code, out, err } = await session.run(words(line))
      assert.is(code, 0, `sluice ${line}\n${out}${err}`)
      return `${out}${err}`
    },
    async close() {
      session.close()
      await rig.close()
    },
  }
}

/** Without what must differ: names of the twins, ids, times, tokens, the commands' own names, pages of Heroku's, and where lines are broken. */
const plain = ({ code, out, err }: Result): Result => ({
  code,
  out: bare(withoutPages(out)),
  // the official CLI breaks what it says at 74 columns
  err: bare(withoutPages(named(err)).replace(/[\s›]+/g, ' '))
    .replace(/(See more help with --help).*/, '$1')
    // how openssl makes a key
    .replace(/(^| )[.+*-]+(?= |$)/g, '')
    .trim(),
})

/** Of arguments that are missing, what they are called, not what is said about them. */
const named = (text: string): string =>
  text.replace(/(Missing \d required args?:)\n([\s\S]*?)( › {3}See more help with --help)/, (_, head, list, end) =>
    [head, ...[...list.matchAll(/^ › {3}(\S+) {2}\S/gm)].map(([, name]) => name), end].join('\n'),
  )

const withoutPages = (text: string): string =>
  text.replace(/^.*https:\/\/(devcenter\.heroku|help\.salesforce)\.com.*\n?/gm, '')

const bare = (text: string): string =>
  text
    .replace(/\b(heroku|sluice) (?=[a-z])/g, 'CLI ')
    .replace(/ \$ (CLI [\w:]+) /g, '$1')
    .replace(/-(aa|bb)\b/g, '-xx')
    .replace(/\b[a-z]+-\d{5}\b/g, 'CERTIFICATE')
    .replace(/\brun\.\d{4}\b/g, 'run.N')
    .replace(/(invitations\/)[\w-]+/g, '$1SECRET')
    .replace(/SLUICE-[\w*-]+/g, 'TOKEN')
    .replace(/\b([0-9a-f]{2}:){15}[0-9a-f]{2}\b/g, 'FINGERPRINT')
    .replace(/"expires_in": \d+/g, '"expires_in": N')
    .replace(/(less than a minute|\d minutes?) ago/g, 'AGO')
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'ID')
    .replace(/\b[0-9a-f]{4}(\*{10}|[0-9a-f]{24,})[0-9a-f]{4}\b/g, 'SECRET')
    .replace(/\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d [+-]\d{4} \(~ \d+[sm] ago\) */g, 'AGO')
    // as wide as the table, which times make wider as they pass
    .replace(/─+/g, '─')
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, 'TIME')
    .replace(/\w{3} \w{3} \d\d \d{4} \d\d:\d\d:\d\d GMT[+-]\d{4} \([^)]*\)/g, 'DATE')
