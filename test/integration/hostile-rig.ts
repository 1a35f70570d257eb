import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { limits } from '../../daemon/limits.ts'
import { listContainers } from '../e2e/engine.ts'
import { waitFor } from '../e2e/wait.ts'
import { type Pushed, type Rig, startRig } from './build-rig.ts'
import { serveBuildpacks } from './buildpack-server.ts'

/** Builds that do harm, with bounds that are reached in seconds. */
export interface HostileRig {
  rig: Rig
  /** A buildpack with these scripts. */
  pack(compile: string, release?: string): Promise<string>
  /** A build whose bin/compile is this script. */
  build(compile: string): Promise<Pushed>
  bound(some: Partial<Record<keyof typeof limits, number>>): void
  /** After each test: the bounds as they were, and whatever the build was, nothing of it left, in the engine nor on the disk. */
  settle(): Promise<void>
  close(): Promise<void>
}

export const SOURCE = { Procfile: 'web: true\n' }

export const buildsOf = async ({ installation }: Rig) =>
  (await listContainers(installation)).filter(({ Labels }) => Labels['sluice.kind'] === 'build')

export async function startHostileRig(): Promise<HostileRig> {
  const rig = await startRig()
  const served = await serveBuildpacks()
  const before = { ...limits }
  let number = 0
  const pack = (compile: string, release = 'echo ---'): Promise<string> =>
    served.add(`hostile-${++number}`, {
      'bin/detect': '#!/usr/bin/env bash\necho Hostile\n',
      'bin/compile': `#!/usr/bin/env bash\n${compile}\n`,
      'bin/release': `#!/usr/bin/env bash\n${release}\n`,
    })
  return {
    rig,
    pack,
    build: async (compile) => rig.push(await rig.app([await pack(compile)]), SOURCE),
    bound: (some) => void Object.assign(limits, some),
    async settle() {
      Object.assign(limits, before)
      const folder = join(rig.d.config.data, 'builds')
      await waitFor('the folders of builds to be gone', async () => (await readdir(folder)).length === 0)
      assert.equal(await buildsOf(rig), [])
    },
    async close() {
      await served.close()
      await rig.close()
    },
  }
}
