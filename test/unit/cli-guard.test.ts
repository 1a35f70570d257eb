import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { guarded, inFront } from '../../cli/guard.ts'

/** Programs that a command gives its terminal to. */
const program = (script: string) => spawn('sh', ['-c', script], { stdio: 'ignore' })

test('Ctrl-C is known for the end of a program also when it is heard here after that', async () => {
  for (const [script, how] of [
    ['exit 255', 255],
    ['exit 130', 130],
    ['kill -s INT $$', 'SIGINT'],
  ] as const) {
    const ended = program(script)
    const heard = once(ended, 'close').then(() => setTimeout(() => process.emit('SIGINT', 'SIGINT'), 50))
    const { code, signal, interrupted } = await guarded(
      () => {},
      () => inFront(ended),
    )
    await heard
    assert.equal([code ?? signal, interrupted], [how, true])
  }
})

test('a program that ends so by itself was not interrupted', async () => {
  const { code, interrupted } = await inFront(program('exit 255'))
  assert.equal([code, interrupted], [255, false])
})

test.run()
