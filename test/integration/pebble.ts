import { type ChildProcess, spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { get } from 'node:https'
import { join } from 'node:path'
import { make } from './chains.ts'
import type { NameServer } from './dns-server.ts'
import { eventually } from './router-rig.ts'

/** Pebble, an authority for tests: its settings from the environment, and of its file. */
export interface PebbleSettings {
  env?: Record<string, string>
  file?: object
}

type Ports = Record<'http' | 'https' | 'directory' | 'management', number>

/** Its own certificate is in `folder/pebble.pem`. `root`: PEM, of what it issues. `http`, `https`: where it looks at challenges. */
export async function startPebble(
  folder: string,
  { ports, dns, env = {}, file = {} }: { ports: Ports; dns: NameServer } & PebbleSettings,
): Promise<{ child: ChildProcess; root: string }> {
  const { cert, key } = await make({ names: ['localhost'] })
  await writeFile(join(folder, 'pebble.pem'), cert)
  await writeFile(join(folder, 'pebble.key'), key)
  const config = {
    listenAddress: `127.0.0.1:${ports.directory}`,
    managementListenAddress: `127.0.0.1:${ports.management}`,
    certificate: join(folder, 'pebble.pem'),
    privateKey: join(folder, 'pebble.key'),
    httpPort: ports.http,
    tlsPort: ports.https,
    ...file,
  }
  await writeFile(join(folder, 'pebble.json'), JSON.stringify({ pebble: config }))
  const args = ['-config', join(folder, 'pebble.json'), '-dnsserver', `127.0.0.1:${dns.port}`, '-strict']
  const child = spawn('pebble', args, {
    stdio: 'ignore',
    env: {
      PATH: process.env.PATH,
      PEBBLE_VA_NOSLEEP: '1',
      PEBBLE_AUTHZREUSE: '0',
      PEBBLE_WFE_NONCEREJECT: '20',
      ...env,
    },
  })
  let root: string | undefined
  const ask = (): void => {
    fetchText(`https://localhost:${ports.management}/roots/0`, cert).then(
      (text) => {
        root = text
      },
      () => void setTimeout(ask, 20),
    )
  }
  ask()
  await eventually(
    () => root !== undefined,
    () => 'pebble',
  )
  return { child, root: root ?? '' }
}

const fetchText = (url: string, ca: string): Promise<string> =>
  new Promise((resolve, reject) => {
    get(url, { ca, family: 4 }, async (response) => {
      let text = ''
      for await (const chunk of response) text += chunk
      resolve(text)
    }).once('error', reject)
  })
