import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { EngineError } from '../../daemon/engine/engine.ts'
import { createLog } from '../../daemon/log.ts'

/** What the log says of an error. */
function told(error: unknown): string {
  const lines: string[] = []
  createLog((line) => lines.push(line)).error('it failed', { error })
  assert.is(lines.length, 1)
  return JSON.parse((lines[0] ?? '').replace('<3>', '')).error
}

test('an error of the engine is logged with what the engine or the system said', () => {
  const cause = Object.assign(new Error('connect ECONNREFUSED /run/docker.sock'), { code: 'ECONNREFUSED' })
  const text = told(new EngineError('The Docker engine does not answer.', { cause }))
  assert.match(text, /^EngineError: The Docker engine does not answer\.\n/)
  assert.match(text, /\n {2}caused by: connect ECONNREFUSED \/run\/docker\.sock$/)
})

test('an engine that says much is quoted in part', () => {
  const text = told(new EngineError('The Docker engine failed.', { cause: new Error('x'.repeat(100_000)) }))
  assert.ok(text.length < 5000, `${text.length} characters`)
})

test('signatures in addresses that the engine quotes do not come into the log', () => {
  const words = 'Get "https://registry.example/blob?X-Amz-Signature=hidden": dial tcp: lookup registry.example failed'
  const text = told(new EngineError(`The Docker engine could not pull: ${words}`, { cause: new Error(words) }))
  assert.not.match(text, /hidden/)
  assert.match(text, /caused by: Get "https:\/\/registry\.example\/blob\?…": dial tcp: lookup registry\.example failed/)
})

test('what lies behind other errors is not logged: it may quote what a client sent', () => {
  assert.not.match(
    told(new Error('The body is not valid JSON.', { cause: new Error('Unexpected "secret"') })),
    /secret/,
  )
})

test.run()
