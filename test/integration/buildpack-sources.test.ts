import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { fetchBuildpack } from '../../daemon/build/fetch.ts'
import { startRig } from './build-rig.ts'
import { type Served, serveBuildpacks } from './buildpack-server.ts'

const rig = await startRig()
let served: Served
test.before(async () => {
  served = await serveBuildpacks()
})
test.after(async () => {
  await served.close()
  await rig.close()
})

const pack = (says: string) => ({
  'bin/detect': '#!/usr/bin/env bash\necho Probe\n',
  'bin/compile': `#!/usr/bin/env bash\necho "${says}"\n`,
})
const source = { Procfile: 'web: true\n' }

test('a ref may be a branch with slashes, or a commit', async () => {
  const url = await served.add('refs', pack('from a branch'), 'archive/v250')
  const byBranch = await rig.push(await rig.app([`${url}#archive/v250`]), source)
  assert.match(byBranch.output, /^from a branch$/m)
  const { revision } = await fetchBuildpack(rig.d.config, `${url}#archive/v250`, new AbortController().signal)
  const byCommit = await rig.push(await rig.app([`${url}#${revision}`]), source)
  assert.match(byCommit.output, /^from a branch$/m)
  const missing = await rig.push(await rig.app([`${url}#nowhere`]), source)
  assert.match(missing.output, /cannot be fetched: it has no branch or tag "nowhere"/)
})

test('an archive may have a folder around the buildpack, and need not keep executable bits', async () => {
  const url = await served.addArchive('wrapped', pack('from an archive'))
  const { output } = await rig.push(await rig.app([url]), source)
  assert.match(output, /^from an archive$/m)
})

test('a URL of something that is no buildpack is told', async () => {
  const url = await served.add('empty', { 'README.md': 'no' })
  const { output } = await rig.push(await rig.app([url]), source)
  assert.match(output, /has no bin\/compile/)
})

test('what was fetched with a password is not had without it, though its commit is known', async () => {
  const signal = new AbortController().signal
  const url = await served.add('private', pack('secret'))
  const { archive, revision } = await fetchBuildpack(rig.d.config, url.replace('//', '//user:password@'), signal)
  const again = await fetchBuildpack(rig.d.config, `${url.replace('//', '//user:password@')}#${revision}`, signal)
  assert.is(again.archive, archive)
  let said = ''
  await fetchBuildpack(rig.d.config, `${served.url('nowhere.git')}#${revision}`, signal).catch((error: Error) => {
    said = error.message
  })
  assert.match(said, /cannot be fetched/)
  assert.is.not((await fetchBuildpack(rig.d.config, url, signal)).archive, archive)
})

test('a server that names one commit and sends another is refused', async () => {
  const signal = new AbortController().signal
  const named = '1'.repeat(40)
  const url = await served.add('liar', pack('lies'))
  served.name('liar.git', named)
  let said = ''
  await fetchBuildpack(rig.d.config, `${url}#main`, signal).catch((error: Error) => {
    said = error.message
  })
  assert.match(said, /cannot be fetched: what the server sent is not the commit that it named/)
})

test('a file of this host is no source of a buildpack', async () => {
  const signal = new AbortController().signal
  let said = ''
  await fetchBuildpack(rig.d.config, 'file:///etc/x.git', signal).catch((error: Error) => {
    said = error.message
  })
  assert.match(said, /not allowed/)
})

test.run()
