import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { client, type Dyno, get, httpDyno, type Rig, startRig } from './router-rig.ts'

let rig: Rig
let dynos: Dyno[]
test.before.each(async () => {
  rig = await startRig()
  dynos = await Promise.all(['one', 'two', 'three'].map((name) => httpDyno((_, res) => res.end(`<${name}>`))))
})
test.after.each(async () => {
  for (const dyno of dynos) dyno.close()
  await rig.close()
})

const serving = (from = 0) => dynos.slice(from).map((dyno, n) => dyno.route('serve', `dyno-${from + n}`))

async function ask(...lines: string[]): Promise<{ by: string; cookie: string | undefined; text: string }> {
  const text = await client(rig.port)
    .write(get(...lines))
    .until(/<\w+>/)
  return {
    text,
    by: /<(\w+)>/.exec(text)?.[1] ?? '',
    cookie: /^Set-Cookie: (heroku-session-affinity=[\w-]{22}); Path=\/; HttpOnly\r$/m.exec(text)?.[1],
  }
}

test('a client that keeps its cookie stays with its dyno, and gets the cookie once', async () => {
  rig.serve({ affinity: true, backends: serving() })
  for (let client = 0; client < 5; client++) {
    const first = await ask()
    assert.ok(first.cookie, first.text)
    for (let n = 0; n < 10; n++) {
      const next = await ask(`Cookie: a=b; ${first.cookie}; c=d`)
      assert.equal([next.by, next.cookie], [first.by, undefined])
    }
  }
})

test('a cookie of a dyno that is gone, or that is made up, leads to another and is given anew', async () => {
  rig.serve({ affinity: true, backends: serving() })
  let bound = await ask()
  while (bound.by !== 'one') bound = await ask()
  rig.serve({ affinity: true, backends: serving(1) })
  const moved = await ask(`Cookie: ${bound.cookie}`)
  assert.ok(moved.by !== 'one' && moved.cookie && moved.cookie !== bound.cookie, moved.text)
  const odd = await ask(`Cookie: heroku-session-affinity=${'x'.repeat(22)}`, 'Cookie: heroku-session-affinity=')
  assert.ok(odd.cookie, odd.text)
})

test('a dyno that refuses loses its clients to one that does not', async () => {
  rig.serve({ affinity: true, backends: serving() })
  let bound = await ask()
  while (bound.by !== 'two') bound = await ask()
  dynos[1]?.close()
  const moved = await ask(`Cookie: ${bound.cookie}`)
  assert.ok(moved.by !== 'two' && moved.cookie, moved.text)
})

test('without the feature no client is told anything, and its cookie means nothing', async () => {
  rig.serve({ affinity: true, backends: serving() })
  const { cookie } = await ask()
  rig.serve({ backends: serving() })
  const by = new Set<string>()
  for (let n = 0; n < 60; n++) {
    const next = await ask(`Cookie: ${cookie}`)
    assert.not.match(next.text, /Set-Cookie/)
    by.add(next.by)
  }
  assert.is(by.size, 3)
})

test('every one of an app’s cookies stays as it was', async () => {
  const own = await httpDyno((_, res) => res.setHeader('Set-Cookie', ['a=1', 'b=2']).end('<own>'))
  rig.serve({ affinity: true, backends: [own.route()] })
  const { text } = await ask()
  assert.equal(
    [...text.matchAll(/^Set-Cookie: (\w+)/gim)].map(([, name]) => name),
    ['a', 'b', 'heroku'],
  )
  own.close()
})

test.run()
