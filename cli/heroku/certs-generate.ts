import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appOf } from '../app.ts'
import type { Program } from '../program.ts'
import { attended, question } from '../prompt.ts'
import { Failure } from '../settings.ts'
import { endpointsOf } from './certificate.ts'
import { appCommand } from './command.ts'

interface Owner {
  owner?: string | undefined
  country?: string | undefined
  area?: string | undefined
  city?: string | undefined
}

interface Wanted extends Owner {
  subject?: string | undefined
  keysize: string
  selfsigned: boolean
  now: boolean
}

/** A key, and a request for a certificate or one that is signed with the key itself, made by this machine's openssl. */
export function registerGenerate(program: Program): void {
  appCommand(program, 'certs:generate', 'generate a key and a CSR or self-signed certificate')
    .argument('<domain>', 'domain name to generate')
    .option('--selfsigned', 'generate a self-signed certificate instead of a CSR', false)
    .option('--keysize <bits>', 'RSA key size in bits', '2048')
    .option('--owner <owner>', 'name of organization certificate belongs to')
    .option('--country <country>', 'country of owner, as a two-letter ISO country code')
    .option('--area <area>', 'sub-country area (state, province, etc.) of owner')
    .option('--city <city>', 'city of owner')
    .option('--subject <subject>', 'specify entire certificate subject')
    .option('--now', 'do not prompt for any owner information', false)
    .action(async (domain, options) => generate(await appOf(options), domain, options))
}

async function generate(app: string, domain: string, wanted: Wanted): Promise<void> {
  if (domain.startsWith('-') || domain.includes('/')) throw new Failure(`${domain} is no domain name.`)
  const subject = wanted.subject ?? subjectOf(domain, await ownerOf(wanted))
  const known = (await endpointsOf(app)).some(({ ssl_cert }) => ssl_cert.cert_domains.includes(domain))
  const next = `sluice certs:${known ? 'update' : 'add'}`
  const [key, csr, crt] = [`${domain}.key`, `${domain}.csr`, `${domain}.crt`]
  const args = ['req', '-new', '-newkey', `rsa:${wanted.keysize}`, '-nodes', '-keyout', key, '-subj', subject]
  if (wanted.selfsigned) {
    await openssl([...args, '-out', crt, '-x509'])
    tell('Your key and self-signed certificate have been generated.', 'Next, run:', `$ ${next} ${crt} ${key}`)
  } else {
    await openssl([...args, '-out', csr])
    tell(
      'Your key and certificate signing request have been generated.',
      `Submit the CSR in '${csr}' to your preferred certificate authority.`,
      "When you've received your certificate, run:",
      `$ ${next} CERTFILE ${key}`,
    )
  }
}

const tell = (...lines: string[]): void => void process.stderr.write(lines.map((line) => `${line}\n`).join(''))

/** A person is asked when no flag says anything of it. */
async function ownerOf({ owner, country, area, city, now }: Wanted): Promise<Owner> {
  if (now || owner || country || area || city) return { owner, country, area, city }
  if (!attended())
    throw new Failure('There is no terminal to ask for the owner on. Give --now, --subject, or --owner and the like.')
  return {
    owner: await question('Owner of this certificate: '),
    country: await question('Country of owner (two-letter ISO code): '),
    area: await question('State/province/etc. of owner: '),
    city: await question('City of owner: '),
  }
}

/** As openssl wants it; a slash inside a value is no border. */
function subjectOf(domain: string, { owner, country, area, city }: Owner): string {
  const parts = { C: country, ST: area, L: city, O: owner, CN: domain }
  return Object.entries(parts)
    .filter(([, value]) => value)
    .map(([name, value]) => `/${name}=${value?.replace(/[\\/]/g, '\\$&')}`)
    .join('')
}

async function openssl(args: string[]): Promise<void> {
  const child = spawn('openssl', args, { stdio: 'inherit' })
  const [code] = await once(child, 'close').catch(({ message }: Error) => {
    throw new Failure(`openssl is needed to make a key: ${message}`)
  })
  if (code !== 0) throw new Failure(`Non zero openssl error ${code}`)
}
