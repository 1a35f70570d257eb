import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { AppHandler } from '../../daemon/api/context.ts'
import { createRoutes } from '../../daemon/api/routes.ts'
import { type Permission, permissions } from '../../daemon/app/permission.ts'
import { packageRoot } from '../../daemon/config.ts'
import { type Host, startHost } from './host.ts'

let host: Host
test.before(async () => {
  host = await startHost()
})
test.after(() => host.close())

interface Route {
  method: string
  path: string
  /** One of these is needed; undefined when the route does not say. */
  may: readonly Permission[] | undefined
}

/** Every route below an app. */
const routes = (): Route[] =>
  createRoutes(host.d).closed.stack.flatMap(({ path, methods, stack }) =>
    /^\/(teams\/)?apps\/:app(\/|$)/.test(String(path))
      ? methods
          .filter((method) => method !== 'HEAD')
          .map((method) => ({ method, path: String(path), may: (stack.at(-1) as Partial<AppHandler>).may }))
      : [],
  )

test('every route below an app says what it needs, and app/README.md lists them', async () => {
  assert.equal(
    routes().filter(({ may }) => may === undefined),
    [],
  )
  const byNeed = new Map<string, string[]>()
  for (const { method, path, may = [] } of routes()) {
    const need = may.join(' or ')
    const [, team, rest] = /^(\/teams)?\/apps\/:app\/?(.*)$/.exec(path) ?? []
    const short = `${team ? 'team ' : ''}${rest?.replaceAll(':', '') || 'app'}`
    byNeed.set(need, [...(byNeed.get(need) ?? []), `${method} ${short}`])
  }
  const rows = [...byNeed].map(([need, ways]) => `| ${need} | ${ways.toSorted().join(', ')} |`).toSorted()
  const readme = await readFile(join(packageRoot, 'daemon', 'app', 'README.md'), 'utf8')
  const needs = /^\| (?:view|deploy|operate|manage)(?: or (?:deploy|operate|manage))* \| /
  const listed = readme.split('\n').filter((line) => needs.test(line))
  assert.equal(listed.toSorted(), rows, `the rows of daemon/app/README.md:\n${rows.join('\n')}\n`)
})

/** A member of the team with a token, and these permissions for the app `subject`. */
async function member(given: Permission): Promise<string> {
  const { token } = await host.invite(`${given}@example.com`)
  const body = { user: `${given}@example.com`, permissions: [given] }
  const added = await host.request('POST', '/teams/apps/subject/collaborators', { body })
  assert.is(added.status, 201, added.text)
  return token
}

test('each route refuses those who have not what it needs, and does nothing', async () => {
  await host.request('POST', '/teams/apps', { body: { name: 'subject', locked: true } })
  const stranger = (await host.invite('stranger@example.com')).token
  const tokens = new Map<Permission, string>()
  for (const permission of permissions) tokens.set(permission, await member(permission))
  for (const { method, path, may = [] } of routes()) {
    const url = path.replace(':app', 'subject').replace(/:\w+/g, 'web')
    const ask = async (token: string | undefined) => {
      const { status, json } = await host.request(method, url, { ...(token ? { token } : {}) })
      return `${method} ${url} ${status} ${json?.id}`
    }
    assert.is(await ask(stranger), `${method} ${url} 404 not_found`)
    for (const [permission, token] of tokens)
      if (!may.includes(permission) && !may.includes('view'))
        assert.is(await ask(token), `${method} ${url} 403 forbidden`, permission)
      else if (method === 'GET') assert.not.match(await ask(token), 'forbidden')
  }
  assert.is((await host.request('GET', '/apps/subject/releases')).json.length, 1)
})

test.run()
