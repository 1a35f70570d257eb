import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { packageRoot } from '../../daemon/config.ts'
import { run } from '../e2e/command.ts'

test('install.sh in a checkout says why it installs nothing', async () => {
  const script = join(packageRoot, 'systemd', 'install.sh')
  const { code, output } = await run(['bash', script, '--dry-run'], { env: process.env })
  assert.is(code, 1)
  // the second on a machine with systemd
  assert.match(
    output,
    /^sluice: (systemd does not run on this machine|\S+ is not an unpacked archive of Sluice)\. .*\n$/,
  )
})

test.run()
