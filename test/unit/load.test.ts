import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { startLoad, underLoad } from '../e2e/load.ts'
import { waitFor } from '../e2e/wait.ts'

/** A server under load, that answers with this status. */
async function serving<Result>(status: number, work: (load: ReturnType<typeof startLoad>) => Promise<Result>) {
  const server = createServer((_, answer) => answer.writeHead(status).end('v1'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    return await work(startLoad((server.address() as AddressInfo).port, 'app.localhost'))
  } finally {
    server.close()
  }
}

const messageOf = (work: Promise<void>) => work.then(() => '', String)

test('work under load fails with what went wrong in it, and with the requests that failed meanwhile', async () => {
  const message = await serving(500, (load) =>
    messageOf(
      underLoad({ app: load }, async () => {
        await waitFor('a request', () => load.sent() > 0)
        throw new Error('the dyno did not come')
      }),
    ),
  )
  assert.match(message, /^Error: the dyno did not come\napp: (\d+) of \1 requests failed\n {2}at .*: 500 v1/)
})

test('work that succeeds under a load of which requests fail has failed', async () => {
  const message = await serving(500, (load) =>
    messageOf(underLoad({ app: load }, async () => void (await waitFor('a request', () => load.sent() > 0)))),
  )
  assert.match(message, /app: \d+ of \d+ requests failed/)
})

test('work that fails alone fails as it is, and that under which all is well succeeds', async () => {
  const error = new Error('the dyno did not come')
  await serving(200, async (load) => {
    const got = await underLoad({ app: load }, () => Promise.reject(error)).catch((error) => error)
    assert.is(got, error)
    assert.is(got.message, 'the dyno did not come')
  })
  await serving(200, (load) =>
    underLoad({ app: load }, async () => void (await waitFor('a request', () => load.sent() > 0))),
  )
})

test.run()
