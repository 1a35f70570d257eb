import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { certificateReport } from '../../daemon/route/certificate-report.ts'
import { waitFor } from '../e2e/wait.ts'
import { type AcmeRig, startAcmeRig } from './acme-rig.ts'

/** Certificates of the platform's own names and of apps' own hosts, from a real authority that wants to know its customer. */

const KEY = Buffer.from('a key for the account of a customer').toString('base64url')
const binding = { externalAccountBindingRequired: true, externalAccountMACKeys: { customer: KEY } }

let rig: AcmeRig
test.before(async () => {
  rig = await startAcmeRig({
    pebble: { file: binding },
    settings: {
      ...{ SLUICE_API_HOST: 'api.example.com', SLUICE_GIT_HOST: 'git.example.com' },
      ...{ SLUICE_DOMAIN: 'apps.example.net', SLUICE_ACME_EAB_KID: 'customer', SLUICE_ACME_EAB_HMAC: KEY },
    },
  })
})
test.after(() => rig.close())

async function serves(name: string): Promise<boolean> {
  await rig.followed()
  const { names, trusted } = await rig.greet(name)
  return trusted && names === `DNS:${name}`
}

const rows = () => rig.host.d.db.selectFrom('acm_hosts').selectAll().orderBy('hostname').execute()

const states = async () => new Map((await rows()).map(({ hostname, state }) => [hostname, state]))

/** Time passes when it has failed, so that it has its turn again. */
const issued = (hostname: string) =>
  waitFor(`a certificate for ${hostname}`, async () => {
    const state = (await states()).get(hostname)
    if (state === 'failing' || state === 'failed') rig.passTime(2 * 3600 * 1000)
    return state === 'issued' ? true : undefined
  })

async function app(name: string): Promise<void> {
  const { json } = await rig.host.request('POST', '/apps', { body: { name } })
  const row = rig.host.d.db.selectFrom('apps').selectAll().where('id', '=', json.id)
  await rig.host.deploy(await row.executeTakeFirstOrThrow(), { web: 'true' })
  rig.host.d.acm.wake()
}

test('the platform’s names get theirs at first; those that do not lead here hold up no other', async () => {
  rig.dns.known.add('api.example.com')
  await issued('api.example.com')
  assert.ok(await serves('api.example.com'))
  await waitFor('a failure', async () => (await states()).get('git.example.com') === 'failing')
  const [, git] = await certificateReport(rig.host.d)
  assert.match(String(git?.reason), /git\.example\.com/)
  assert.equal([git?.hostname, git?.expires_at], ['git.example.com', null])
  rig.dns.known.add('git.example.com')
  await issued('git.example.com')
  assert.ok(await serves('git.example.com'))
})

test('an app’s own host gets one once something serves there, and another with another name', async () => {
  await rig.host.request('POST', '/apps', { body: { name: 'empty' } })
  for (const name of ['shop', 'store', 'empty']) rig.dns.known.add(`${name}.apps.example.net`)
  await app('shop')
  await issued('shop.apps.example.net')
  assert.ok(await serves('shop.apps.example.net'))
  await rig.host.request('PATCH', '/apps/shop', { body: { name: 'store' } })
  await issued('store.apps.example.net')
  assert.ok(await serves('store.apps.example.net'))
  assert.equal(
    (await rows()).map(({ hostname }) => hostname),
    ['api.example.com', 'git.example.com', 'store.apps.example.net'],
  )
  assert.not(rig.dns.asked.includes('empty.apps.example.net'))
  assert.equal(
    await rig.host.d.db
      .selectFrom('acme_accounts')
      .select('directory')
      .execute()
      .then((all) => all.length),
    1,
  )
})

test('no key is in the rows or the log as it is', async () => {
  const text = JSON.stringify(await rows()) + rig.host.logged.join('')
  assert.match(text, /BEGIN CERTIFICATE/)
  assert.not.match(text, /PRIVATE KEY/)
  assert.not.match(text, new RegExp(KEY))
})

test('what is from another authority is ordered anew, and served until then', async () => {
  const before = await rig.greet('api.example.com')
  await rig.host.d.db
    .updateTable('acm_hosts')
    .set({ directory: 'https://staging.example/' })
    .where('hostname', '=', 'api.example.com')
    .execute()
  await rig.restart()
  await waitFor('another certificate', async () => (await rows())[0]?.directory !== 'https://staging.example/')
  await rig.followed()
  const after = await rig.greet('api.example.com')
  assert.ok(after.trusted && after.serial !== before.serial)
})

test('the report tells whose certificates there are, from whom, and until when', async () => {
  const report = await certificateReport(rig.host.d)
  const [api] = report
  assert.equal(
    report.map(({ hostname, kind, state }) => `${kind} ${hostname} ${state}`),
    ['platform api.example.com issued', 'platform git.example.com issued', 'host store.apps.example.net issued'],
  )
  assert.match(String(api?.issuer), /Pebble/)
  assert.ok(Number(api?.expires_at) > Date.now())
})

test('turned off, apps’ own hosts have the platform’s again, and its names keep theirs', async () => {
  const { acme } = rig.host.d.config
  assert.ok(acme)
  acme.hosts = false
  await rig.restart()
  await waitFor('the end of the others', async () => (await rows()).length === 2)
  assert.not(await serves('store.apps.example.net'))
  assert.ok(await serves('git.example.com'))
})

test.run()
