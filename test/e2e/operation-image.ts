import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { dockerApp } from './docker-app.ts'
import { done, either, type Operation, refused, telling } from './operation.ts'
import type { Platform } from './platform.ts'
import type { Source } from './source.ts'

const run = promisify(execFile)

/** What is done to an app of the container stack, whose answers are its version. */
export interface Images {
  /** A Dockerfile is pushed and built. */
  push: Operation
  /** An image that was pushed to the registry is released; two in turn. */
  release: Operation
}

/** Every layer that is built here has this label. */
export const layerLabel = `sluice.test.of=${process.pid}`

export const imageApp = (version: string): Record<string, string> => {
  const { Dockerfile = '', ...files } = dockerApp(version)
  return { ...files, Dockerfile: Dockerfile.replace('\n', `\nLABEL ${layerLabel}\n`) }
}

export function images(platform: Platform, app: string, source: Source): Images {
  let number = 1
  let [before, after] = ['v1\n', 'v1\n']
  const answer = async () => (await platform.request(app)).body
  const inEffect = async () => either(await answer(), { before, after })
  let pushed: string[] = []
  return {
    push: {
      async perform() {
        before = await answer()
        after = `v${++number}\n`
        await source.commit(imageApp(after.trim()))
        const { code, output } = await platform.push(source, app)
        return code === 0 ? done : refused(output)
      },
      inEffect,
    },
    release: {
      async perform() {
        if (pushed.length === 0) pushed = [await pushImage(platform, app, 'v-a'), await pushImage(platform, app, 'v-b')]
        before = await answer()
        const next = before === 'v-a\n' ? 1 : 0
        after = next === 1 ? 'v-b\n' : 'v-a\n'
        const updates = [{ type: 'web', docker_image: pushed[next] }]
        return telling(platform.api('PATCH', `/apps/${app}/formation`, { updates }))
      },
      inEffect,
    },
  }
}

/** As `docker push` does it. Returns the image's id. */
async function pushImage(platform: Platform, app: string, version: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-image-'))
  const registry = `127.0.0.1:${platform.ports.api}`
  const name = `${registry}/${app}/web:${version}`
  for (const [path, text] of Object.entries(imageApp(version))) await writeFile(join(folder, path), text)
  const token = await readFile(join(platform.data, 'admin.token'), 'utf8')
  const auth = Buffer.from(`_:${token.trim()}`).toString('base64')
  await writeFile(join(folder, 'config.json'), JSON.stringify({ auths: { [registry]: { auth } } }))
  const docker = async (...args: string[]) => (await run('docker', ['--config', folder, ...args])).stdout.trim()
  const id = await docker('build', '--quiet', '--tag', name, folder)
  await docker('push', '--quiet', name)
  await docker('rmi', name)
  await rm(folder, { recursive: true })
  return id
}
