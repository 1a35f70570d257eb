import { readFile } from 'node:fs/promises'
import { Argument } from '@commander-js/extra-typings'
import { USAGE } from './command.ts'
import { butaneOf, type Host, type System } from './coreos.ts'
import { ignitionOf } from './ignition.ts'
import { say } from './output.ts'
import type { Program } from './program.ts'
import { Failure } from './settings.ts'
import { examples } from './usage.ts'

const systems: System[] = ['fcos', 'flatcar']
const EXAMPLE =
  '$ sluice host:ignition fcos --archive https://example.com/sluice-0.1.0-linux-x64.tar.gz --sha256 9f86… --ssh-key ~/.ssh/id_ed25519.pub --domain apps.example.com >host.ign'

interface Choice {
  archive: string
  sha256: string
  sshKey: string[]
  domain: string
  dataDisk?: string
  reboot: string
  set: string[]
  butane?: true
}

export function register(program: Program): void {
  program
    .command('host:ignition')
    .description(
      'print the Ignition config of a host that boots into a running platform\n\nFor Fedora CoreOS and Flatcar. The archive is what npm run pack makes, put where the host can fetch it.',
    )
    .addArgument(new Argument('<system>', 'Fedora CoreOS or Flatcar').choices(systems))
    .requiredOption('--archive <url>', 'where the host fetches the release')
    .requiredOption('--sha256 <hex>', 'what is in the .sha256 beside the archive')
    .requiredOption('--ssh-key <file>', 'public key of who may log in as core; can be repeated', also, [])
    .requiredOption('--domain <name>', 'apps are served at APP.NAME')
    .option('--data-disk <device>', 'a disk for the data alone, which is formatted unless it has our label')
    .option('--reboot <time>', 'when the system may reboot into its next version, UTC, for two hours', 'Sun 04:00')
    .option('--set <name=value>', 'a setting of the daemon; can be repeated', also, [])
    .option('--butane', 'the Butane config instead')
    .addHelpText(...examples(EXAMPLE))
    .action(async (system, choice) =>
      say((await textOf(await hostOf(system as System, choice), choice.butane === true)).trimEnd()),
    )
}

const also = (value: string, before: string[]): string[] => [...before, value]

async function textOf(host: Host, butane: boolean): Promise<string> {
  const config = butaneOf(host)
  if (!butane) return JSON.stringify(ignitionOf(config), null, 2)
  const { stringify } = await import('yaml')
  return stringify(config, { lineWidth: 0 })
}

async function hostOf(system: System, choice: Choice): Promise<Host> {
  const { archive: url, sha256, domain, dataDisk, reboot } = choice
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? '')) wrong('--archive', url, 'an http or https URL')
  if (!/^[0-9a-f]{64}$/.test(sha256)) wrong('--sha256', sha256, '64 hexadecimal digits')
  if (!DOMAIN.test(domain) || domain.length > 190) wrong('--domain', domain, 'a domain name such as apps.example.com')
  if (dataDisk !== undefined && !/^\/dev\/[\w/.:+-]+$/.test(dataDisk)) wrong('--data-disk', dataDisk, 'a device')
  if (!/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([01]\d|2[0-3]):[0-5]\d$/.test(reboot))
    wrong('--reboot', reboot, 'like Sun 04:00')
  const sshKeys = (await Promise.all(choice.sshKey.map(keysIn))).flat()
  const settings = Object.fromEntries(choice.set.map(setting))
  return { system, archive: { url, sha256 }, domain, sshKeys, disk: dataDisk, reboot, settings }
}

const DOMAIN = /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

function wrong(flag: string, value: string, wanted: string): never {
  throw new Failure(`${flag} is "${value}"; it must be ${wanted}.`, USAGE)
}

/** Without one nobody would ever get in. */
async function keysIn(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Failure(`The key ${path} cannot be read (${error.code}).`)
  })
  const keys = text.split('\n').filter((line) => /^[a-z][\w@.-]+ [A-Za-z0-9+/=]+( |$)/.test(line))
  if (keys.length === 0) throw new Failure(`${path} is not a public SSH key, such as ~/.ssh/id_ed25519.pub.`)
  return keys.map((key) => key.trim())
}

function setting(text: string): [string, string] {
  const [, name = '', value = ''] =
    /^(SLUICE_[A-Z_]+)=([^\r\n]*)$/.exec(text) ?? wrong('--set', text, 'like SLUICE_NAME=value')
  return [name, value]
}
