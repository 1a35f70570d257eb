import { randomUUID } from 'node:crypto'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { packageRoot } from '../../daemon/config.ts'
import { startRig } from './build-rig.ts'

const versions = [
  ...['0.12.18', '8.2.1', '16.20.2', '18.2.0', '18.20.8', '20.0.0', '20.20.2', '22.3.0', '22.14.0', '22.23.3'],
  ...['24.9.0', '24.21.0', '26.0.0-rc.1', '26.10.0'],
]

/** As npm's own `semver` answers them. */
const cases: [string, string | null][] = [
  ['22.x', '22.23.3'],
  ['22', '22.23.3'],
  ['v22.14.0', '22.14.0'],
  ['=20.0.0', '20.0.0'],
  ['22.14', '22.14.0'],
  ['22.14.*', '22.14.0'],
  ['^20.1', '20.20.2'],
  ['^20.0.0', '20.20.2'],
  ['^0.12.1', '0.12.18'],
  ['^0.1.0', null],
  ['~22.3', '22.3.0'],
  ['~22', '22.23.3'],
  ['>=18 <21', '20.20.2'],
  ['>= 18.0.0 < 20', '18.20.8'],
  ['<=18.2', '18.2.0'],
  ['<18.2.0', '16.20.2'],
  ['>24', '26.10.0'],
  ['>20.0.0 <=22.3.0', '22.3.0'],
  ['18.x || 20.x', '20.20.2'],
  ['18||16', '18.20.8'],
  ['16 - 18.2', '18.2.0'],
  ['16.0.0 - 20.0.0', '20.0.0'],
  ['*', '26.10.0'],
  ['x', '26.10.0'],
  ['', '26.10.0'],
  ['99.x', null],
  ['latest', null],
  ['22.x; rm -rf /', null],
]

/** All in one container, because jq is in the stack image and need not be on this host. */
async function answers(): Promise<(string | null)[]> {
  const rig = await startRig()
  const folder = await mkdtemp(join(tmpdir(), 'sluice-range-'))
  try {
    await chmod(folder, 0o755)
    await writeFile(join(folder, 'versions'), JSON.stringify(versions))
    await writeFile(join(folder, 'ranges'), cases.map(([range]) => `${range}\n`).join(''))
    const script = 'while IFS= read -r range; do jq --arg range "$range" -f /lib.jq /in/versions; done < /in/ranges'
    const container = await rig.d.engine.build(
      {
        id: randomUUID(),
        app: randomUUID(),
        image: rig.d.stack('heroku-24').build,
        command: ['/bin/bash', '-c', script],
        env: [],
        mounts: [
          { host: folder, path: '/in', readOnly: true },
          { host: join(packageRoot, 'buildpacks', 'nodejs', 'lib', 'range.jq'), path: '/lib.jq', readOnly: true },
        ],
        memory: 256 * 1024 * 1024,
        pids: 64,
        cpu: 1,
      },
      new AbortController().signal,
    )
    let output = ''
    for await (const chunk of container.output) output += chunk.toString()
    await container.exit
    return output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
  } finally {
    await rm(folder, { recursive: true })
    await rig.close()
  }
}

const found = await answers()

for (const [index, [range, version]] of cases.entries())
  test(`the newest version in "${range}" is ${version}`, () => assert.is(found[index], version))

test.run()
