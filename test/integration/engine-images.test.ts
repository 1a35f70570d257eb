import { readFile } from 'node:fs/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { EngineError } from '../../daemon/engine/engine.ts'
import { call } from '../e2e/engine.ts'
import { declareContract } from '../engine/contract.ts'
import { contextOf, finish, imageParts } from '../engine/contract-images.ts'
import { createDockerRig } from '../engine/docker-rig.ts'
import { testImage } from '../engine/image.ts'
import { appOf, ended, never, outputOf, rejection, textOf } from '../engine/rig.ts'

const rig = await createDockerRig(9)
test.after(() => rig.close())
const engine = rig.engine()

declareContract(test, rig, [imageParts])

test('an image without a shell runs by its CMD, as nobody, with its own folder; a command in it is refused in words', async () => {
  const { imageBuild, spec, id: app } = appOf(rig)
  // A program that needs no other file.
  const files = { program: await readFile('/sbin/ldconfig') }
  const dockerfile = 'FROM scratch\nCOPY program /program\nWORKDIR /here\nVOLUME /data\nCMD ["/program", "--version"]\n'
  const { id } = await finish(await engine.images.build(imageBuild(), contextOf(dockerfile, files), never))
  const dyno = spec('', { image: id, code: { kind: 'image', command: null }, env: ['A=b'] })
  await engine.start(dyno)
  assert.is(await ended(engine, dyno.id), 0)
  assert.match(textOf(await outputOf(engine, dyno.id)), /^ldconfig \(/)
  const pipes = { kind: 'pipes' } as const
  const refused = await rejection(engine.exec({ id: dyno.id, command: 'ls', env: [], terminal: pipes }))
  assert.instance(refused, EngineError)
  assert.match(refused.message, /The image of this dyno has no \/bin\/sh/)
  await engine.removeApp(app)
  await engine.sweepBuilds()
  assert.equal(await rig.leftovers(), [])
  assert.is(await engine.images.inspect(id), null)
})

test('what others have made of the same base image, and have not named, is not taken for what a failed build left', async () => {
  const { imageBuild } = appOf(rig)
  const { Id: container } = await call<{ Id: string }>('POST', '/containers/create', {
    Image: testImage,
    Cmd: ['true'],
  })
  const { Id: theirs } = await call<{ Id: string }>('POST', `/commit?container=${container}`)
  try {
    const fails = `FROM ${testImage}\nRUN exit 3\n`
    const error = await rejection(engine.images.build(imageBuild(), contextOf(fails), never).then(finish))
    assert.match((error as Error).message, /non-zero code: 3/)
    assert.is((await engine.images.inspect(theirs))?.id, theirs)
  } finally {
    await call('DELETE', `/containers/${container}`)
    await call('DELETE', `/images/${theirs}`)
  }
})

test.run()
