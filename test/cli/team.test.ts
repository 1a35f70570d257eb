import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { packageRoot } from '../../daemon/config.ts'
import { openTerminal } from '../e2e/terminal.ts'
import { type Rig, startRig } from './rig.ts'

const rig: Rig = await startRig()
const { heroku, refused, host, home } = rig
const { token } = await host.invite('ann@example.com')
const ann = { env: { HEROKU_API_KEY: token } }
test.after(() => rig.close())

test('heroku teams and orgs list the one team, and members who is in it', async () => {
  assert.match(await heroku('teams'), /sluice +admin/)
  assert.match(await heroku('orgs'), /sluice +admin/)
  const members = await heroku('members --team sluice')
  assert.match(members, /admin@example\.com +admin/)
  assert.match(members, /ann@example\.com +member/)
  assert.not.match(members, 'herokumanager')
})

test('heroku members:add shows the link that the new member chooses a password with; members:remove takes it back', async () => {
  const added = await heroku('members:add new@example.com --role member --team sluice')
  assert.match(added, 'Inviting new@example.com to sluice as member... done')
  assert.match(added.replace(/[\s›]+/g, ''), `Passthislinkontowhomyouinvite;itisgoodonce:${host.url}/invitations/`)
  assert.match(await heroku('members --team sluice --pending'), /new@example\.com +member +pending/)
  assert.match(
    await heroku('members:remove new@example.com --team sluice'),
    'Revoking invite for new@example.com in sluice... done',
  )
  assert.not.match(await heroku('members --team sluice'), 'new@example.com')
  assert.match(await refused('members:add ann@example.com --role member --team sluice'), 'has an account here already')
})

test('heroku members:set makes an admin and a member again; the last admin stays', async () => {
  assert.match(
    await heroku('members:set ann@example.com --role admin --team sluice'),
    'Adding ann@example.com to sluice as admin... done',
  )
  assert.match(await heroku('members --team sluice --role admin'), 'ann@example.com')
  await heroku('members:set ann@example.com --role member --team sluice')
  assert.match(await refused('members:set admin@example.com --role member --team sluice'), 'is the last admin')
})

test('heroku apps:create -t makes a team app, apps -t and -A list it, apps does not', async () => {
  assert.match(await heroku('apps:create ours -t sluice --no-remote'), 'Creating ours... done')
  assert.match(await heroku('apps:info -a ours'), /Owner: +sluice@herokumanager\.com/)
  await heroku('apps:create theirs --no-remote', ann)
  assert.match(await heroku('apps -t sluice'), /=== Apps in team sluice\s+ours/)
  assert.match(await heroku('apps -A'), /ours +sluice@herokumanager\.com\s[\s\S]*theirs +ann@example\.com/)
  assert.not.match(await heroku('apps'), 'theirs')
})

test('heroku access:add, :update and :remove give and take permissions', async () => {
  const add = await heroku('access:add ann@example.com --permissions deploy -a ours')
  assert.match(add, 'Adding ann@example.com access to the app ours with deploy, view permissions... done')
  assert.match(await heroku('access -a ours'), /ann@example\.com +member +deploy, view/)
  const update = await heroku('access:update ann@example.com --permissions operate -a ours')
  assert.match(update, 'Updating ann@example.com in application ours with operate,view permissions... done')
  const access = await heroku('access -a ours')
  assert.match(access, /ann@example\.com +member +operate, view/)
  assert.match(access, /admin@example\.com +admin +deploy, manage, operate, view/)
  assert.not.match(access, 'herokumanager')
  assert.match(
    await refused('access:add nobody@example.com --permissions view -a ours'),
    'Let an admin invite it first',
  )
  assert.match(
    await heroku('access:remove ann@example.com -a ours'),
    'Removing ann@example.com access from the app ours... done',
  )
  assert.not.match(await heroku('access -a ours'), 'ann@example.com')
})

test('heroku apps:lock keeps members out, apps:unlock lets them join and leave', async () => {
  assert.match(await heroku('apps:lock -a ours'), 'Locking ours... done')
  assert.match(await heroku('apps -t sluice'), 'ours [locked]')
  assert.match(await refused('apps:join -a ours', ann), "Couldn't find that app. Error ID: not_found")
  assert.match(await heroku('apps:unlock -a ours'), 'Unlocking ours... done')
  assert.match(await heroku('apps:join -a ours', ann), 'Joining ours... done')
  assert.match(await heroku('access -a ours'), /ann@example\.com +member +deploy, operate, view/)
  assert.match(await heroku('apps:leave -a ours', ann), 'Leaving ours... done')
  assert.match(await refused('apps:lock -a theirs'), 'theirs is not a team app')
})

test('heroku apps:transfer offers a personal app to somebody, and moves apps to the team and back', async () => {
  const offer = await heroku('apps:transfer admin@example.com -a theirs', ann)
  assert.match(offer, 'Initiating transfer of theirs to admin@example.com... email sent')
  assert.match(offer.replace(/[\s›]+/g, ' '), 'The recipient accepts with: PATCH /account/app-transfers/')
  const accepted = await host.request('PATCH', '/account/app-transfers/theirs', { body: { state: 'accepted' } })
  assert.is(accepted.status, 200)
  assert.match(await heroku('apps'), 'theirs')
  assert.match(
    await heroku('apps:transfer sluice -a theirs --locked'),
    /Transferring theirs to sluice\.\.\. done[\s\S]*Locking theirs\.\.\. done/,
  )
  const back = await heroku('apps:transfer admin@example.com -a theirs --confirm theirs')
  assert.match(back, 'Transferring theirs to admin@example.com... done')
  assert.match(await heroku('access -a theirs'), /admin@example\.com +owner/)
})

test('heroku apps:transfer --bulk moves the apps that are chosen in the terminal', async () => {
  const env = {
    ...{ PATH: process.env.PATH, HOME: home, HEROKU_HOST: host.url, HEROKU_API_KEY: host.token },
    ...{ HEROKU_PARTICLEBOARD_URL: host.url, DISABLE_TELEMETRY: 'true', HEROKU_DISABLE_AUTOUPDATE: '1' },
    ...{ HEROKU_SKIP_NEW_VERSION_CHECK: '1', NO_PROXY: 'localhost' },
  }
  const cli = join(packageRoot, 'node_modules', 'heroku', 'bin', 'run.js')
  const terminal = await openTerminal(env, { cli, cwd: home })
  try {
    await terminal.enter('heroku apps:transfer --bulk sluice')
    await terminal.shows(/theirs \(admin@example\.com\)/)
    await terminal.press('Down', 'Space')
    await terminal.shows(/[◉✔⬢] *theirs/)
    await terminal.press('Enter')
    await terminal.shows(/Transferring .*theirs\.\.\. done/)
  } finally {
    await terminal.close()
  }
  assert.match(await heroku('apps:info -a theirs'), /Owner: +sluice@herokumanager\.com/)
})

test('heroku members:remove removes a member with their token', async () => {
  assert.match(
    await heroku('members:remove ann@example.com --team sluice'),
    'Removing ann@example.com from sluice... done',
  )
  assert.is((await host.request('GET', '/account', { token })).status, 401)
})

test.run()
