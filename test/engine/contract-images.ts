import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pack } from 'tar-stream'
import * as assert from 'uvu/assert'
import { BuilderError, EngineError, type ImageBuild, type ImageBuildSpec } from '../../daemon/engine/engine.ts'
import { type Declare, ended, never, outputOf, printed, type Rig, rejection, textOf } from './rig.ts'

/** Images of apps: built, held, run. */
export function imageParts(test: Declare, rig: Rig): void {
  const engine = rig.engine()
  const { images } = engine
  const { good, fails, stays } = rig.dockerfiles
  const begin = (text: string, spec: ImageBuildSpec, signal = never) => images.build(spec, contextOf(text), signal)

  test('an image is built with its arguments, and is held for whoever builds', async ({ imageBuild }) => {
    const spec = imageBuild({ args: { FOR: 'the test' } })
    const build = await begin(good, spec)
    assert.match(await read(build), /built for the test\n/)
    const { id, stages } = await build.done
    assert.is(stages.at(-1), id)
    const { config } = (await images.inspect(id)) ?? {}
    assert.equal(config?.cmd?.at(-1), 'the command of the image')
    await images.keep(id, `slug-of-${spec.build}:web`)
    assert.ok(await images.forget(`build-${spec.build}`))
    assert.is((await images.inspect(id))?.id, id)
    assert.equal(ofBuild(await images.kept(), spec), [`slug-of-${spec.build}:web`])
    const listed = (await images.list()).find((one) => one.id === id)
    assert.equal([listed?.kept, listed?.names], [[`slug-of-${spec.build}:web`], []])
    assert.ok(listed && listed.bytes > 0)
    assert.ok(await images.forget(`slug-of-${spec.build}`))
    assert.is(await images.inspect(id), null)
    assert.ok(await images.forget(`slug-of-${spec.build}`))
  })

  test('a build of an image that fails gives its words, and leaves nothing', async ({ imageBuild }) => {
    const spec = imageBuild()
    const build = await begin(fails, spec)
    assert.match(await read(build), /before\n/)
    const error = await rejection(build.done)
    assert.instance(error, BuilderError)
    assert.match(error.message, /returned a non-zero code: 3/, error.message)
    assert.equal(ofBuild(await images.kept(), spec), [])
    assert.instance(await rejection(begin(good, imageBuild({ dockerfile: 'absent' })).then(finish)), BuilderError)
  })

  test('a build of an image that is aborted rejects with the reason, and leaves nothing', async ({ imageBuild }) => {
    const spec = imageBuild()
    const abort = new AbortController()
    const reason = new Error('the push was interrupted')
    const build = await begin(stays, spec, abort.signal)
    let output = ''
    for await (const chunk of build.output) {
      output += chunk
      if (output.includes('ready\n')) abort.abort(reason)
    }
    assert.is(await rejection(build.done), reason)
    assert.is(await rejection(begin(stays, spec, abort.signal)), reason)
    assert.equal(ofBuild(await images.kept(), spec), [])
  })

  test('what a crashed daemon held for a build is swept', async ({ imageBuild }) => {
    const spec = imageBuild()
    await finish(await begin(good, spec))
    assert.is.not(ofBuild(await images.kept(), spec).length, 0)
    await rig.engine().sweepBuilds()
    assert.equal(ofBuild(await images.kept(), spec), [])
  })

  test('a dyno of an image runs its CMD; the image stays while it is used', async ({ imageBuild, spec }) => {
    const wanted = imageBuild()
    const { id } = await finish(await begin(good, wanted))
    const dyno = spec('', { image: id, code: { kind: 'image', command: null }, env: [] })
    await engine.start(dyno)
    assert.is(await ended(engine, dyno.id), 0)
    assert.is(textOf(await outputOf(engine, dyno.id)), 'the command of the image\n')
    assert.is(await images.forget(`build-${wanted.build}`), false)
    await engine.stop(dyno.id, 0)
    assert.ok(await images.forget(`build-${wanted.build}`))
    assert.is(await images.inspect(id), null)
  })

  test('a dyno of an image runs another command in its shell, and heeds SIGTERM', async ({ spec }) => {
    const dyno = spec('', { code: { kind: 'image', command: rig.commands.stays }, env: [] })
    await engine.start(dyno)
    await printed(engine, dyno.id, 'ready')
    const before = performance.now()
    await engine.stop(dyno.id, 60_000)
    assert.ok(performance.now() - before < 40_000)
  })

  test('images that were saved are loaded again under the ids that they had', async ({ imageBuild }) => {
    const spec = imageBuild()
    const { id } = await finish(await begin(good, spec))
    const before = await images.inspect(id)
    const archive = await buffer(await images.save([id]))
    assert.ok(await images.forget(`build-${spec.build}`))
    assert.is(await images.inspect(id), null)
    assert.instance(await rejection(images.save([id]).then(buffer)), EngineError)
    await images.load(Readable.from([archive], { objectMode: false }))
    assert.equal(await images.inspect(id), before)
    const listed = (await images.list()).find((one) => one.id === id)
    assert.equal([listed?.kept, listed?.names], [[], []])
    await images.keep(id, `again-${spec.build}:web`)
    assert.ok(await images.forget(`again-${spec.build}`))
    assert.is(await images.inspect(id), null)
  })

  test('an image that no registry has is not pulled, and there is nothing to inspect', async () => {
    const absent = `127.0.0.1:1/none@sha256:${'0'.repeat(64)}`
    assert.instance(await rejection(images.pull(absent)), EngineError)
    assert.is(await images.inspect(absent), null)
  })
}

/** A context that is this Dockerfile. */
export function contextOf(dockerfile: string, files: Record<string, string | Buffer> = {}): Readable {
  const tar = pack()
  for (const [name, text] of Object.entries({ Dockerfile: dockerfile, ...files }))
    tar.entry({ name, mode: 0o755 }, text)
  tar.finalize()
  return Readable.from(tar as unknown as AsyncIterable<Buffer>)
}

export async function read({ output }: ImageBuild): Promise<string> {
  let text = ''
  for await (const chunk of output) text += chunk
  return text
}

export async function finish(build: ImageBuild): Promise<{ id: string; stages: string[] }> {
  const said = await read(build)
  return build.done.catch((error: unknown) => {
    throw error instanceof EngineError ? new Error(`${error.message}\n${said}`) : error
  })
}

const ofBuild = (kept: string[], { build }: ImageBuildSpec): string[] => kept.filter((name) => name.includes(build))
