import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../daemon/config.ts'
import { absent } from './absent.ts'

interface Manifest {
  commands: Record<string, Official>
}

interface Official {
  hidden?: boolean
  aliases?: string[]
  flags: Record<string, Flag>
  args: Record<string, { name: string; required?: boolean }>
}

interface Flag {
  name: string
  char?: string
  hidden?: boolean
}

const { commands }: Manifest = JSON.parse(
  readFileSync(join(packageRoot, 'node_modules', 'heroku', 'oclif.manifest.json'), 'utf8'),
)

/** The commands of the official CLI as it lists them itself. */
export const official = commands

/** The names of all commands of the official CLI, hidden ones too; aliases are no commands of their own. */
export const names: string[] = Object.keys(commands).sort()

const byAlias = new Map(
  Object.entries(commands).flatMap(([name, { aliases = [] }]) => aliases.map((alias) => [alias, name])),
)

/** How tests run the CLI: through a rig, in a list of words, or as a person types it into a terminal. */
const CALLS = [
  /\bheroku\(\s*(?:`|'|")([a-z][\w:-]*)/g,
  /(?:\bcli(?:AtTerminal)?\(\s*|\.\.\.)\[\s*'([a-z][\w:-]*)'/g,
  /\b(?:enter|execute|type)\([^)]*?\bheroku ([a-z][\w:-]*)/g,
]

/** By command: the test files that run it. */
export function runBy(): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const folder of ['cli', 'e2e'])
    for (const file of readdirSync(join(packageRoot, 'test', folder)).filter((name) => name.endsWith('.test.ts'))) {
      const text = readFileSync(join(packageRoot, 'test', folder, file), 'utf8')
      for (const call of CALLS)
        for (const [, word = ''] of text.matchAll(call)) {
          const name = byAlias.get(word) ?? word
          const where = `${folder}/${file.replace(/\.test\.ts$/, '')}`
          if (name in commands) found.set(name, [...new Set([...(found.get(name) ?? []), where])])
        }
    }
  return found
}

const inTopic = (name: string, pattern: string): boolean => {
  const topic = pattern.replace(/:\*$/, '')
  return name === topic || name.startsWith(`${topic}:`)
}

/** Why a command is absent: what names it alone comes before what names its topic. */
export function whyAbsent(name: string): { reason: string; pattern: string } | undefined {
  const all = Object.entries(absent).flatMap(([reason, patterns]) => patterns.map((pattern) => ({ reason, pattern })))
  const fitting = all.filter(({ pattern }) => (pattern.endsWith(':*') ? inTopic(name, pattern) : pattern === name))
  return fitting.toSorted((a, b) => Number(a.pattern.endsWith('*')) - Number(b.pattern.endsWith('*')))[0]
}

/** The rows of the table in daemon/api/README.md: one a command that works, one a topic of those that are absent for the same reason. */
export function tableRows(): string[] {
  const works = runBy()
  const rows = new Map<string, string>()
  const groups = new Map<string, string[]>()
  for (const name of names) {
    const files = works.get(name)
    const why = whyAbsent(name)
    const hidden = commands[name]?.hidden ? ' (hidden)' : ''
    if (files) rows.set(name, `| \`${name}\`${hidden} | works: ${files.sort().join(', ')} |`)
    else {
      const key = `${name.split(':')[0]} ${why?.reason ?? 'NO REASON'}`
      groups.set(key, [...(groups.get(key) ?? []), name])
    }
  }
  for (const [key, group] of groups) {
    const [topic = '', ...reason] = key.split(' ')
    const whole = names.filter((name) => inTopic(name, topic)).length === group.length && group.length > 1
    const shown = whole ? `\`${topic}:*\` (${group.length})` : group.map((name) => `\`${name}\``).join(', ')
    rows.set(group[0] ?? topic, `| ${shown} | absent: ${reason.join(' ')} |`)
  }
  return [...rows].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row)
}
