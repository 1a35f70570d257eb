import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { DynoSpec } from '../../daemon/engine/engine.ts'
import { dynoContainer } from '../../daemon/engine/spec.ts'

const spec: DynoSpec = {
  id: 'd',
  app: { id: 'a', name: 'app' },
  release: { id: 'r', version: 1 },
  type: 'web',
  name: 'web.1',
  image: 'stack',
  code: { kind: 'slug', tree: '/slug', command: 'true' },
  env: ['HOME=/app'],
  memory: 1024 ** 3,
  cpu: 1,
  pids: 256,
  network: { name: 'n', subnet: '10.0.0.0/26' },
}

function told(cgroup: 1 | 2, env: string[] = spec.env): string[] {
  const site = { installation: 'i', data: '/data', caBundle: undefined, cores: 2, cgroup, tellsMemory: true }
  const { Env = [] } = dynoContainer(site, { ...spec, env }, [])
  return Env.filter((one) => one.startsWith('MEMORY'))
}

test('where buildpacks cannot read the memory of a dyno they are told it, unless the app says otherwise', () => {
  assert.equal(told(1), [])
  assert.equal(told(2), ['MEMORY_AVAILABLE=1024'])
  assert.equal(told(2, ['MEMORY_AVAILABLE=300']), ['MEMORY_AVAILABLE=300'])
})

test.run()
