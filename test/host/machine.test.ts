import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { startMachine } from './machine.ts'

/** What host tests stand on. */
test('two machines run at once, each with its own systemd, and what they were given survives a power cut', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-machine-'))
  const machines = await Promise.all([startMachine([{ from: folder, to: folder }]), startMachine()])
  const [one, other] = machines
  try {
    const unit = '[Service]\nExecStart=/bin/sleep 600\n'
    for (const machine of machines) await machine.write('/etc/systemd/system/asleep.service', unit)
    for (const machine of machines) await machine.must(['systemctl', 'start', 'asleep'])
    await one.must(['systemctl', 'stop', 'asleep'])
    const state = ({ run }: typeof one) => run(['systemctl', 'is-active', 'asleep']).then(({ stdout }) => stdout.trim())
    assert.equal(await Promise.all(machines.map(state)), ['inactive', 'active'])
    assert.is((await one.run(['node', '--version'])).code, 127)
    assert.is((await one.must(['curl', '-s', '--unix-socket', '/run/docker.sock', 'http://engine/_ping'])).trim(), 'OK')
    await one.must(['sh', '-c', `echo kept >${folder}/file; echo kept >/etc/file`])
    await one.down('at once')
    await one.up()
    assert.equal([await one.read('/etc/file'), await one.read(join(folder, 'file'))], ['kept\n', 'kept\n'])
    assert.is(await state(other), 'active')
  } finally {
    await Promise.all(machines.map(({ stop }) => stop()))
    await rm(folder, { recursive: true })
  }
})

test.run()
