import { lookup } from 'node:dns/promises'
import { chown, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { say, styled } from './output.ts'
import type { Program } from './program.ts'
import { attended, question } from './prompt.ts'
import { Failure, settings } from './settings.ts'
import { examples } from './usage.ts'

/*
 * The first steps of whoever has installed a platform on this host: the few settings that everybody has to think of, and what comes next.
 * Settings go into the file that the units read; what is there already stays, line by line.
 */

const FILE = '/etc/sluice/sluice.env'

/** What ACME's authorities are called, so that nobody has to look for their directories. */
const AUTHORITIES: Record<string, string> = {
  letsencrypt: 'https://acme-v02.api.letsencrypt.org/directory',
  'letsencrypt-staging': 'https://acme-staging-v02.api.letsencrypt.org/directory',
  none: '',
}

interface Item {
  /** As the daemon reads it (daemon/README.md). */
  variable: string
  ask: string
  /** What there is when nothing is said. */
  assumed: string
  /** The value as it is written; throws a Failure that says what is wrong. */
  read(text: string): string
}

type Choice = Partial<Record<'domain' | 'apiHost' | 'email' | 'acme', string>>

const items: Record<keyof Choice, Item> = {
  domain: {
    ...{ variable: 'SLUICE_DOMAIN', assumed: 'localhost', read: hostName },
    ask: 'Domain below which apps are served (APP.DOMAIN)',
  },
  apiHost: {
    ...{ variable: 'SLUICE_API_HOST', assumed: '', read: (text) => (text === '' ? '' : hostName(text)) },
    ask: 'Name of the API and of git, such as api.example.com; empty: none, only this host reaches them',
  },
  email: {
    ...{ variable: 'SLUICE_ADMIN_EMAIL', assumed: 'admin@sluice.localhost', read: mail },
    ask: 'Mail address of the administrator',
  },
  acme: {
    ...{ variable: 'SLUICE_ACME_DIRECTORY', assumed: '', read: directory },
    ask: 'Authority for certificates (letsencrypt, letsencrypt-staging, none, or the URL of a directory; its terms are agreed to by that)',
  },
}

export function register(program: Program): void {
  program
    .command('init')
    .description('the first steps on a host: settings that everybody has to think of, and what comes next')
    .option('--domain <name>', 'domain below which apps are served')
    .option('--api-host <name>', 'name of the API and of git')
    .option('--email <address>', 'mail address of the administrator')
    .option('--acme <authority>', 'letsencrypt, letsencrypt-staging, none, or the URL of a directory')
    .option('--file <path>', 'where the settings are kept', FILE)
    .option('--print', 'print the settings in place of writing them', false)
    .addHelpText(
      ...examples(
        '$ sluice init',
        '$ sluice init --domain apps.example.com --api-host api.example.com --acme letsencrypt',
      ),
    )
    .action(init)
}

async function init({ file, print, ...choice }: Choice & { file: string; print: boolean }): Promise<void> {
  const before = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw new Failure(`${file} cannot be read (${error.code}). Run this as root, or with --print.`)
  })
  const wanted = await values(choice, settingsOf(before))
  const after = changed(before, wanted)
  if (print) process.stdout.write(after)
  else if (after === before) say(`${file} says so already.`)
  else {
    await write(file, after)
    say(`Written: ${file}`)
  }
  if (!print) await sayNext(wanted, after !== before)
}

/** From flags; at a terminal the others are asked for, without one they stay as they are. */
async function values(choice: Choice, known: Map<string, string>): Promise<Map<string, string>> {
  const names = Object.keys(items) as (keyof Choice)[]
  const asks = attended() && names.every((name) => choice[name] === undefined)
  if (!asks && names.every((name) => choice[name] === undefined))
    throw new Failure(`There is no terminal to ask on. Say it by flags: ${names.map(flag).join(', ')}`)
  const found = new Map<string, string>()
  for (const name of names) {
    const { variable, assumed, ask, read } = items[name]
    const now = known.get(variable) ?? assumed
    const said = asks ? (await question(`${ask}\n  [${now}] `)).trim() || now : choice[name]
    const value = said === undefined ? now : read(said)
    if (value !== assumed || known.has(variable)) found.set(variable, value)
  }
  return found
}

const flag = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`

const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?'

function hostName(text: string): string {
  const name = text.toLowerCase().replace(/\.$/, '')
  if (name.length <= 253 && new RegExp(`^${LABEL}(?:\\.${LABEL})*$`).test(name)) return name
  throw new Failure(`${text} is no name of a host. It is like apps.example.com`)
}

function mail(text: string): string {
  if (text.length <= 254 && /^[^\s@"'\\$]+@[^\s@"'\\$]+$/.test(text)) return text
  throw new Failure(`${text} is no mail address.`)
}

function directory(text: string): string {
  const url = AUTHORITIES[text] ?? text
  if (url === '' || (URL.canParse(url) && /^https:\/\/[^\s"'\\$]+$/.test(url))) return url
  throw new Failure(
    `${text} is no authority. Say letsencrypt, letsencrypt-staging, none, or the https URL of its directory.`,
  )
}

const settingsOf = (text: string): Map<string, string> =>
  new Map(
    text.split('\n').flatMap((line): [string, string][] => {
      const { name, value = '' } = /^(?<name>[A-Z_]+)=(["']?)(?<value>.*)\2$/.exec(line)?.groups ?? {}
      return name === undefined ? [] : [[name, value]]
    }),
  )

/** The file with these settings: their lines changed in their places, or put at the end. */
export function changed(text: string, wanted: Map<string, string>): string {
  const left = new Map(wanted)
  const lines = text.split('\n').map((line) => {
    const name = /^([A-Z_]+)=/.exec(line)?.[1] ?? ''
    const value = left.get(name)
    if (value === undefined) return line
    left.delete(name)
    return `${name}=${value}`
  })
  while (lines.at(-1) === '') lines.pop()
  return [...lines, ...[...left].map(([name, value]) => `${name}=${value}`), ''].join('\n')
}

/** Whole or not at all, and whose and how readable it was before; a new one is for root and its group. */
async function write(file: string, text: string): Promise<void> {
  const temporary = `${file}.new`
  try {
    await mkdir(dirname(file), { recursive: true })
    const before = await stat(file).catch(() => undefined)
    await writeFile(temporary, text, { mode: before ? before.mode & 0o777 : 0o640, flush: true })
    if (before) await chown(temporary, before.uid, before.gid)
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw new Failure(
      `${file} cannot be written (${(error as NodeJS.ErrnoException).code}). Run this as root, or with --print.`,
    )
  }
}

async function sayNext(wanted: Map<string, string>, isChanged: boolean): Promise<void> {
  const domain = wanted.get('SLUICE_DOMAIN') ?? 'localhost'
  const api = wanted.get('SLUICE_API_HOST') ?? ''
  const email = wanted.get('SLUICE_ADMIN_EMAIL') ?? 'admin@sluice.localhost'
  const names = [...(domain === 'localhost' ? [] : [`*.${domain}`]), ...(api === '' ? [] : [api])]
  const absent = []
  for (const name of names) if (!(await lookup(name.replace('*', 'sluice')).catch(() => undefined))) absent.push(name)
  const url = `https://${api}`
  // without an authority that everybody trusts the platform's own has to be brought along
  const [trust, trustToo] = wanted.get('SLUICE_ACME_DIRECTORY') ? ['', ''] : ['--cacert ca.pem ', '--ca ca.pem ']
  const steps = [
    ...absent.map((name) => `Let ${name} lead to this host: its name servers don't know it yet.`),
    ...(isChanged ? ['Have it read:  systemctl restart sluiced sluice-router'] : []),
    'See whether all is well:  sluice doctor',
    `Choose a password:  sluice users:reset-password ${email}`,
    ...(api === ''
      ? []
      : [
          ...(trust === ''
            ? []
            : [`Take ${join(settings.data, 'tls', 'ca.pem')} to your laptop, because nobody else vouches for ${api}.`]),
          `On your laptop:  curl -fsSL ${trust}${url}/cli/install.sh | sh && sluice login ${trustToo}${url}`,
        ]),
    'In a folder with an app:  sluice create && git push heroku main',
  ]
  say('')
  say(styled('bold', 'Next'))
  for (const [n, step] of steps.entries()) say(`  ${n + 1}. ${step}`)
}
