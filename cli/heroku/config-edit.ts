import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { ask } from '../api.ts'
import { guarded, INTERRUPTED, inFront } from '../guard.ts'
import { action, say, styled, warn } from '../output.ts'
import { attended, confirmed } from '../prompt.ts'
import { Failure } from '../settings.ts'
import { at } from './command.ts'
import { type Config, configOf } from './config.ts'
import { quote, unquote } from './quote.ts'

/** Config vars in an editor: what was added, removed or changed there is shown, agreed to, and set in one release. */
export async function editConfig(app: string, key: string | undefined, agreed: string | undefined): Promise<void> {
  if (agreed !== app && !attended())
    throw new Failure(`There is no terminal to agree at. Use sluice config:set, or --confirm ${app}.`)
  const before = await action('Fetching config', () => configOf(app))
  const after = key === undefined ? await editAll(before) : await editOne(before, key)
  if (isDeepStrictEqual(before, after)) return warn('no changes to config')
  say('\nConfig Diff:')
  for (const line of difference(before, after)) say(line)
  say('')
  if (agreed !== app && !(await confirmed(`Update config on ${app} with these values?`, false))) return
  await action('Verifying new config', async () => {
    if (!isDeepStrictEqual(before, await configOf(app)))
      throw new Failure('Config changed on server. Refusing to update.')
  })
  const removed = Object.keys(before).filter((name) => !Object.hasOwn(after, name))
  const body = { ...after, ...Object.fromEntries(removed.map((name) => [name, null])) }
  await action('Updating config', () => ask('PATCH', at('apps', app, 'config-vars'), { body }))
}

async function editAll(config: Config): Promise<Config> {
  const lines = Object.keys(config)
    .sort()
    .map((key) => `${key}=${quote(config[key] ?? '')}`)
  return parsed(await edited(lines.join('\n'), 'config.sh'))
}

async function editOne(config: Config, key: string): Promise<Config> {
  const before = (Object.hasOwn(config, key) && config[key]) || ''
  const text = await edited(before, key.replace(/\W/g, '_'))
  return { ...config, [key]: before.endsWith('\n') ? text : text.replace(/\n$/, '') }
}

export function parsed(text: string): Config {
  const lines = text.split('\n').filter((line) => line !== '')
  return Object.fromEntries(
    lines.map((line) => {
      const end = line.indexOf('=')
      if (end === -1) throw new Failure(`Invalid line: ${line}`)
      return [line.slice(0, end), unquote(line.slice(end + 1))]
    }),
  )
}

function difference(before: Config, after: Config): string[] {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()
  return keys.flatMap((key) => {
    const [old, fresh] = [before[key], after[key]]
    if (old === fresh) return []
    return [
      ...(old === undefined ? [] : [styled('red', `- ${key}=${quote(old)}`)]),
      ...(fresh === undefined ? [] : [styled('green', `+ ${key}=${quote(fresh)}`)]),
    ]
  })
}

/** What an editor makes of a text, in a file that nobody else may read, and that is gone however this command ends. */
async function edited(text: string, name: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-config-'))
  const file = join(folder, name)
  return guarded(
    () => rmSync(folder, { recursive: true, force: true }),
    async () => {
      writeFileSync(file, text, { mode: 0o600 })
      const { code, signal, interrupted } = await inFront(edit(process.env.VISUAL || process.env.EDITOR || 'vi', file))
      if (code !== 0 && interrupted) throw new Failure('', INTERRUPTED)
      if (code !== 0) throw new Failure(`Editor exited with ${signal ?? `code ${code}`}. Nothing was changed.`)
      return readFileSync(file, 'utf8')
    },
  )
}

/** The editor's words are the user's own shell's, as git takes them: `EDITOR="code --wait"`. */
const edit = (editor: string, file: string): ChildProcess =>
  spawn('sh', ['-c', `${editor} "$@"`, editor, file], { stdio: 'inherit' })
