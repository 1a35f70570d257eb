import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createRoutes } from '../../daemon/api/routes.ts'
import { packageRoot } from '../../daemon/config.ts'
import { startHost } from './host.ts'

test('the README lists exactly the routes that there are, and which need no token', async () => {
  const host = await startHost()
  const { open, closed } = createRoutes(host.d)
  const routes = [
    ...[...open.stack].map((layer) => ({ layer, mark: ' (no token)' })),
    ...[...closed.stack].map((layer) => ({ layer, mark: '' })),
  ].flatMap(({ layer, mark }) =>
    layer.methods.filter((method) => method !== 'HEAD').map((method) => `- ${method} \`${layer.path}\`${mark}`),
  )
  const readme = await readFile(join(packageRoot, 'daemon', 'api', 'README.md'), 'utf8')
  const listed = readme.split('\n').filter((line) => /^- [A-Z]+ `\//.test(line))
  await host.close()
  assert.equal(listed.toSorted(), routes.toSorted())
})

test.run()
