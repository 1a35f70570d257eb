import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundled } from '../../buildpacks/bundled.ts'
import { resolveStacks } from '../../buildpacks/stack.ts'
import { bundledBuildpack } from '../../daemon/build/buildpack/folder.ts'
import { readConfig } from '../../daemon/config.ts'
import { limits } from '../../daemon/limits.ts'
import { run } from '../e2e/command.ts'

/** The bundled Node.js buildpack without Sluice, on one app's sources, with the cache of its own last run. */
export interface Plain {
  /** From `docker run` to its end: detect, compile and release; ms. What they need is laid out before. */
  build(source: string): Promise<number>
  remove(): Promise<void>
}

const config = readConfig(process.env)
const user = '1000:1000'
const names = { build: '/tmp/build_bench', cache: '/tmp/codon/tmp/cache', env: '/tmp/env', packs: '/tmp/buildpacks' }

/** Detect, compile and release with the environment that Sluice's builds have. */
const script = `cd ${names.packs}/0
pack() { env -i PATH="$PATH" HOME=/app DYNO=run.1 STACK=heroku-24 REQUEST_ID=bench BUILDPACK_LOG_FILE=/dev/null "$@" < /dev/null; }
pack bin/detect ${names.build} && pack bin/compile ${names.build} ${names.cache} ${names.env} && pack bin/release ${names.build}`

export async function createPlain(): Promise<Plain> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
  const kept = join(folder, 'cache')
  await mkdir(kept)
  const image = (await resolveStacks(config.engineSocket)).get('heroku-24')?.build
  if (image === undefined) throw new Error('there is no image of heroku-24; run the set-up first')
  return {
    async build(source) {
      const tmp = join(folder, 'tmp')
      await layOut(tmp, { source, kept })
      const began = performance.now()
      const { code, output } = await run(['docker', ...dockerRun(image, tmp)], {
        env: process.env,
        timeout: limits.buildTime,
      })
      const took = performance.now() - began
      if (code !== 0) throw new Error(`the buildpack failed:\n${output}`)
      await rm(kept, { recursive: true })
      await rename(join(tmp, names.cache.slice('/tmp'.length)), kept)
      await rm(tmp, { recursive: true })
      return took
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

async function layOut(tmp: string, { source, kept }: { source: string; kept: string }): Promise<void> {
  const at = (path: string) => join(tmp, path.slice('/tmp'.length))
  for (const path of Object.values(names)) await mkdir(at(path), { recursive: true })
  const archive = `git -C ${source} archive HEAD | tar -x -C ${at(names.build)} && cp -a ${kept}/. ${at(names.cache)}`
  await must(['bash', '-c', archive])
  const nodejs = bundled.find(({ folder }) => folder === 'nodejs')
  if (!nodejs) throw new Error('there is no bundled buildpack for Node.js')
  await (await bundledBuildpack(config, nodejs)).place(at(names.packs), 0)
  await must(['chown', '-Rh', user, tmp])
}

/** As Sluice's build containers are. */
const dockerRun = (image: string, tmp: string): string[] => [
  ...['run', '--rm', '--init', '--user', user, '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'],
  ...['--memory', String(limits.buildMemory), '--pids-limit', String(limits.buildPids), '--volume', `${tmp}:/tmp`],
  ...(config.caBundle ? ['--volume', `${config.caBundle}:/etc/ssl/certs/ca-certificates.crt:ro`] : []),
  ...['--entrypoint', '/bin/bash', image, '-c', script],
]

async function must(argv: [string, ...string[]]): Promise<void> {
  const { code, output } = await run(argv, { env: process.env })
  if (code !== 0) throw new Error(`${argv[0]} failed: ${output}`)
}
