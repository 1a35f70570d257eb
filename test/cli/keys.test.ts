import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { makeSshKey } from '../api/ssh-key.ts'
import { type Rig, startRig } from './rig.ts'

const rig: Rig = await startRig()
const { heroku, refused, home } = rig
test.after(() => rig.close())

/** A public key in a file of the person's. */
async function keyFile(name: string): Promise<string> {
  const { public: text } = makeSshKey(`${name}@host`)
  await writeFile(join(home, `${name}.pub`), `${text}\n`)
  return text
}

test('heroku keys adds, lists, removes and clears', async () => {
  assert.match(await heroku('keys'), 'You have no SSH keys.')
  const text = await keyFile('first')
  assert.match(await heroku('keys:add first.pub'), /Uploading first\.pub SSH key\.\.\. done/)
  assert.match(await refused('keys:add first.pub'), 'Key is already added to this account')
  assert.match(await heroku('keys'), /^ssh-ed25519 AAAAC3NzaC\.\.\..{10} first@host$/m)
  assert.match(await heroku('keys --long'), text)
  await keyFile('second')
  await heroku('keys:add second.pub')
  assert.match(await heroku('keys:remove first@host'), 'Removing first@host SSH key... done')
  assert.not.match(await heroku('keys'), 'first@host')
  assert.match(await heroku('keys:clear'), 'Removing all SSH keys... done')
  assert.match(await heroku('keys'), 'You have no SSH keys.')
})

test('a file that is no public key is refused', async () => {
  await writeFile(join(home, 'wrong.pub'), 'hello\n')
  assert.match(await refused('keys:add wrong.pub'), 'Key is invalid')
  const { private: secret } = makeSshKey()
  await writeFile(join(home, 'secret'), secret)
  assert.match(await refused('keys:add secret'), 'This is a private key')
})

test.run()
