import { readdir, readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { ask, list } from '../api.ts'
import { action, header, json, say, warn } from '../output.ts'
import type { Program } from '../program.ts'
import { attended, confirmed } from '../prompt.ts'
import { Failure } from '../settings.ts'
import { at } from './command.ts'
import { chosen } from './confirm.ts'

interface Key {
  id: string
  comment: string
  email: string
  public_key: string
}

const keysOf = (): Promise<Key[]> => list('/account/keys')

export function register(program: Program): void {
  program
    .command('keys')
    .description('display your SSH keys')
    .option('-l, --long', 'display full SSH keys', false)
    .option('--json', 'output in json format', false)
    .action(keys)
  program
    .command('keys:add')
    .description('add an SSH key of yours')
    .argument('[key]', 'path of the public key; without one, it is looked for in ~/.ssh')
    .option('-y, --yes', 'do not ask', false)
    .action(async (path, { yes }) => add(path ?? (await found(yes))))
  program
    .command('keys:remove')
    .description('remove an SSH key of yours')
    .argument('<key>', 'its comment: what stands behind the key')
    .action(remove)
  program
    .command('keys:clear')
    .description('remove all SSH keys of yours')
    .action(() =>
      action('Removing all SSH keys', async () => {
        for (const { id } of await keysOf()) await ask('DELETE', at('account', 'keys', id))
      }),
    )
}

async function keys({ long, json: asJson }: { long: boolean; json: boolean }): Promise<void> {
  const all = await keysOf()
  if (asJson) return json(all)
  const [first] = all
  if (!first) return warn('You have no SSH keys.')
  header(`${first.email} keys`)
  for (const { public_key } of all) say(long ? public_key : short(public_key))
}

function short(key: string): string {
  const [type = '', text = '', comment = ''] = key.trim().split(/\s+/)
  return `${type} ${text.slice(0, 10)}...${text.slice(-10)} ${comment}`
}

/** The public key in ~/.ssh; a person chooses where there are several. */
async function found(yes: boolean): Promise<string> {
  const folder = join(homedir(), '.ssh')
  const names = await readdir(folder).catch(() => [])
  const paths = names.filter((name) => name.endsWith('.pub')).map((name) => join(folder, name))
  const [only, other] = paths
  if (only === undefined)
    throw new Failure('There is no public key in ~/.ssh. Make one with ssh-keygen, then run this again.')
  if (other !== undefined)
    return chosen('Which SSH key would you like to upload?', paths, only, `Say which key: ${paths.join(', ')}`)
  say(`Found an SSH public key at ${only}`)
  if (yes) return only
  if (!attended()) throw new Failure(`Say that it is this: sluice keys:add ${only}`)
  if (await confirmed('Would you like to upload it?', true)) return only
  throw new Failure('No key to upload')
}

async function add(path: string): Promise<void> {
  await action(`Uploading ${path} SSH key`, async () => {
    const public_key = await readFile(path, 'utf8').catch(({ message }: Error) => {
      throw new Failure(message)
    })
    await ask('POST', '/account/keys', { body: { public_key } })
  })
}

async function remove(comment: string): Promise<void> {
  await action(`Removing ${comment} SSH key`, async () => {
    const all = await keysOf()
    if (all.length === 0) throw new Failure('No SSH keys on account')
    const doomed = all.filter((key) => key.comment === comment)
    if (doomed.length === 0)
      throw new Failure(`SSH Key ${comment} not found.\nFound keys: ${all.map((key) => key.comment).join(', ')}.`)
    for (const { id } of doomed) await ask('DELETE', at('account', 'keys', id))
  })
}
