import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { limits } from '../../daemon/limits.ts'
import { progressed } from '../../daemon/route/acm-domain.ts'
import { startRig } from './rig.ts'

/** What people see of Automated Certificate Management. No authority is asked here; integration/acme is about that. */
const rig = await startRig({ SLUICE_ACME_DIRECTORY: 'https://acme.example.com/directory' })
const { heroku, refused, host } = rig
test.after(() => rig.close())

const api = async (method: string, path: string, body?: object) =>
  (await host.request(method, `/apps/demo${path}`, body ? { body } : {})).json

test.before(async () => {
  await host.request('POST', '/apps', { body: { name: 'demo' } })
})

/** The row of `heroku certs:auto`, in words. */
const row = async (hostname: string): Promise<string | undefined> =>
  (await heroku('certs:auto -a demo'))
    .split('\n')
    .find((line) => line.includes(hostname))
    ?.trim()
    .replace(/ {2,}/g, ' | ')

test('heroku certs:auto:refresh is for apps that have it enabled; heroku certs:auto:enable enables it', async () => {
  assert.match(await refused('certs:auto:refresh -a demo'), 'is off for demo: heroku certs:auto:enable.')
  const said = await heroku('certs:auto:enable -a demo')
  assert.match(said, 'Enabling Automatic Certificate Management... starting. See status with heroku certs:auto')
  assert.match(said, 'Your certificate will now be managed by Heroku.')
  assert.is((await api('GET', '')).acm, true)
  assert.match(await heroku('certs:auto -a demo'), /enabled on[\s\S]*heroku domains:add <yourdomain\.com>/)
})

test('heroku certs:auto tells of each domain how far it is, and why; --wait waits for no wildcard', async () => {
  for (const hostname of ['www.example.com', '*.example.org']) await api('POST', '/domains', { hostname })
  assert.match((await row('www.example.com')) ?? '', /^www\.example\.com \| Pending \|/)
  assert.match(
    (await row('*.example.org')) ?? '',
    /^\*\.example\.org \| Failed \| A wildcard domain needs a certificate of/,
  )
  const { id } = await api('GET', '/domains/www.example.com')
  const state = (state: 'verified' | 'failing' | 'failed' | 'issued', reason: string | null) => {
    const now = host.d.clock.now()
    return progressed(host.d.db, { id, now }, { state, reason, next_at: now + 86_400_000 })
  }
  await state('verified', null)
  assert.match((await row('www.example.com')) ?? '', /In Progress/)
  await state('failing', 'no such name')
  assert.match(
    (await row('www.example.com')) ?? '',
    /^www\.example\.com \| Failing \| no such name \| less than a minute/,
  )
  await state('issued', null)
  assert.match((await row('www.example.com')) ?? '', /Cert issued/)
  assert.match(await heroku('certs:auto -a demo --wait'), 'Some domains failed validation after multiple attempts')
})

test('heroku certs:auto:refresh has what failed tried again', async () => {
  const { id } = await api('GET', '/domains/www.example.com')
  const now = host.d.clock.now()
  await progressed(host.d.db, { id, now }, { state: 'failed', reason: 'no such name', next_at: now + 86_400_000 })
  assert.match(await heroku('certs:auto:refresh -a demo'), 'Refreshing Automatic Certificate Management... done')
  const { next_at } = await host.d.db.selectFrom('acm_domains').select('next_at').executeTakeFirstOrThrow()
  assert.is(next_at, now + limits.acmRefresh)
})

test('heroku certs:auto:disable forgets it all', async () => {
  const said = await heroku('certs:auto:disable -a demo --confirm demo')
  assert.match(said, 'Disabling Automatic Certificate Management... done')
  assert.match(await heroku('certs:auto -a demo'), 'Automatic Certificate Management is disabled on demo')
  assert.is((await api('GET', '/domains/www.example.com')).acm_status, null)
  assert.equal(await host.d.db.selectFrom('acm_domains').selectAll().execute(), [])
  const told = await host.d.db.selectFrom('activities').select('text').where('text', 'like', '%Automated%').execute()
  assert.equal(
    told.map(({ text }) => text),
    ['Enable', 'Refresh', 'Disable'].map((verb) => `${verb} Automated Certificate Management`),
  )
})

test.run()
