import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A source of packages in apt's own terms. */
interface Source {
  uri: string
  suites: string[]
}

const RELEASE = 'trixie'
/** Names of Debian's releases and of their aliases; a mirror of one is a mirror of all. */
const SUITES = /^(bullseye|bookworm|trixie|forky|duke|sid|oldoldstable|oldstable|stable|testing|unstable)$/
const SECURITY = /^(.+)(-security|\/updates)$/

/** One-line sources of a Debian, by the name of its release, from the mirrors that this host itself uses. Rejects with a sentence when it uses none of Debian's. */
export async function aptSources(folder = '/etc/apt', release = RELEASE): Promise<string> {
  const sources = await readSources(folder)
  const main = mirror(sources, (suite) => SUITES.test(suite))
  const security = mirror(sources, (suite) => SUITES.test(SECURITY.exec(suite)?.[1] ?? ''))
  if (!main)
    throw new Error(
      `Neither Heroku's images nor a mirror of Debian can be reached: ${folder} names none. Add one, or pull heroku/heroku:24 and heroku/heroku:24-build.`,
    )
  const lines = [`deb ${main} ${release} main`, `deb ${main} ${release}-updates main`]
  if (security) lines.push(`deb ${security} ${release}-security main`)
  return `${lines.join('\n')}\n`
}

const mirror = (sources: Source[], wanted: (suite: string) => boolean): string | undefined =>
  sources.find(({ suites }) => suites.some(wanted))?.uri

async function readSources(folder: string): Promise<Source[]> {
  const parts = join(folder, 'sources.list.d')
  const files = existsSync(parts) ? (await readdir(parts)).sort().map((name) => join(parts, name)) : []
  const sources = await Promise.all(
    [join(folder, 'sources.list'), ...files].filter(existsSync).map(async (file) => {
      const text = await readFile(file, 'utf8')
      if (file.endsWith('.sources')) return stanzas(text)
      return file.endsWith('.list') ? lines(text) : []
    }),
  )
  return sources.flat()
}

/** `deb [options] URI SUITE COMPONENT…` */
export function lines(text: string): Source[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*deb\s+(?:\[[^\]]*\]\s*)?(\S+)\s+(\S+)/.exec(line)
    return match?.[1] && match[2] ? [{ uri: match[1], suites: [match[2]] }] : []
  })
}

/** deb822: `Types: deb`, `URIs: …`, `Suites: …`, stanzas apart by an empty line. */
export function stanzas(text: string): Source[] {
  const plain = text.replace(/^#.*\n?/gm, '').replace(/\n[ \t]+/g, ' ')
  return plain.split(/\n\s*\n/).flatMap((stanza) => {
    const field = (name: string) =>
      new RegExp(`^${name}:[ \t]*(.*)$`, 'im').exec(stanza)?.[1]?.split(/\s+/).filter(Boolean) ?? []
    const uri = field('URIs')[0]
    if (!uri || !field('Types').includes('deb') || field('Enabled')[0] === 'no') return []
    return [{ uri, suites: field('Suites') }]
  })
}
