import { randomUUID } from 'node:crypto'
import { chown, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDockerEngine } from '../../daemon/engine/docker.ts'
import { DYNO_UID } from '../../daemon/engine/engine.ts'
import { createLog } from '../../daemon/log.ts'
import { listContainers, listImages, listNetworks, listVolumes } from '../e2e/engine.ts'
import { newInstallation, removeInstallation } from '../e2e/installation.ts'
import { ensureTestImage } from './image.ts'
import type { Rig } from './rig.ts'

export const socket = process.env.SLUICE_ENGINE || '/var/run/docker.sock'

export interface DockerRig extends Rig {
  data: string
  installation: string
  close(): Promise<void>
}

/** A real engine with an installation and a data folder of its own. `third` is the third octet of its networks. */
export async function createDockerRig(third: number, caBundle?: string): Promise<DockerRig> {
  const image = await ensureTestImage(socket)
  const data = await mkdtemp(join(tmpdir(), 'sluice-engine-'))
  const installation = newInstallation()
  const slug = await makeSlug(data)
  // Every layer of an image that a test builds has it.
  const ours = `sluice.test.of=${installation}`
  const log = createLog(() => {})
  const engine = () => createDockerEngine({ socket, installation, data, caBundle, log })
  return {
    engine,
    image,
    slug,
    data,
    installation,
    network: { name: `sluice-test-${installation}`, subnet: `10.102.${third}.0/26` },
    commands: {
      stays: 'echo ready; exec sleep 600',
      ignoresTerm: 'trap "" TERM; echo ready; while :; do sleep 0.1; done',
      exits: (code) => `exit ${code}`,
      starves: `echo ready; ${greedy}; exec sleep 600`,
      starvesToDeath: `${greedy} || exit 7`,
      prints: (count) => `for n in $(seq ${count}); do echo "line $n"; done; echo "the end" >&2`,
      echoes: 'echo ready; cat; echo "end of input"',
      shows: `if [ -t 0 ]; then echo yes; else echo no; fi; show() { echo "size $(stty size)"; }; trap show WINCH; show; ${idle}`,
      heedsInterrupt: `trap 'echo interrupted; exit 7' INT; echo ready; ${idle}`,
      ignoresAll: `trap "" HUP TERM; echo ready; ${idle}`,
      floods: (size) => `head -c ${size} /dev/zero`,
      buildPrints: (count, code) => bash(`for n in $(seq ${count}); do echo "line $n"; done; exit ${code}`),
      buildStays: bash('echo ready; exec sleep 600'),
    },
    dockerfiles: {
      good: `FROM ${image} AS first\nLABEL ${ours}\nUSER 0\nARG FOR\nRUN echo "built for $FOR"\nFROM ${image}\nLABEL ${ours}\nCOPY --from=first /etc/passwd /copied\nCMD ["/bin/bash", "-c", "echo \\"$0\\"", "the command of the image"]\n`,
      fails: `FROM ${image}\nLABEL ${ours}\nRUN echo before\nRUN exit 3\n`,
      stays: `FROM ${image}\nLABEL ${ours}\nRUN echo one >/tmp/one\nRUN echo ready; sleep 600\n`,
    },
    async leftovers() {
      return [
        ...(await listImages(ours)).map(({ Id, RepoTags }) => `image ${Id} ${RepoTags}`),
        ...(await listContainers(installation)).map(({ Id }) => `container ${Id}`),
        ...(await listNetworks(installation)).map(({ Name }) => `network ${Name}`),
        ...(await listVolumes(installation)).map(({ Name }) => `volume ${Name}`),
        ...(await readdir(join(data, 'dynos')).catch(() => [])).map((id) => `layer of ${id}`),
      ]
    },
    async close() {
      await removeInstallation(installation)
      await rm(data, { recursive: true, force: true })
    },
  }
}

/** Takes more memory than a test gives it. */
const greedy = `perl -e 'my $x = "x" x 300_000_000; sleep 9'`
const idle = 'while :; do sleep 0.1; done'

export const bash = (script: string): string[] => ['/bin/bash', '-c', script]

async function makeSlug(data: string): Promise<string> {
  const slug = join(data, 'slugs', randomUUID(), 'tree')
  await mkdir(join(slug, '.profile.d'), { recursive: true })
  const files = {
    shared: 'as it was\n',
    '.profile.d/a.sh': 'set -e\nfalse\nexport FROM_A="of a"\n',
    '.profile.d/b.sh': 'export FROM_B="of b" PATH="/app/bin:$PATH"\n',
    '.profile.d/c.txt': 'export FROM_B="of what is no script"\n',
    '.profile': 'export FROM_PROFILE=last\n',
  }
  for (const [name, text] of Object.entries(files)) await writeFile(join(slug, name), text)
  for (const name of ['', '.profile.d', ...Object.keys(files)]) await chown(join(slug, name), DYNO_UID, DYNO_UID)
  return slug
}
