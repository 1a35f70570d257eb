import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { bootTimeOf, faultOf } from '../../daemon/run/setting.ts'

const bootTime = (value: string) => bootTimeOf({ SLUICE_BOOT_SECONDS: value })
const WORDS = 'SLUICE_BOOT_SECONDS must be a whole number of seconds from 60 to 180.'

test('an app may raise its boot timeout from Heroku’s 60 seconds to Heroku’s 180', () => {
  assert.equal(['60', '61', '180'].map(bootTime), [60_000, 61_000, 180_000])
  assert.is(bootTimeOf({}), 60_000)
})

test('another value is refused, and sets nothing', () => {
  for (const value of ['59', '181', '1e2', '-90', '90.5', ' 90', 'soon', '1000000000090']) {
    assert.is(faultOf('SLUICE_BOOT_SECONDS', value), WORDS, value)
    assert.is(bootTime(value), 60_000, value)
  }
  assert.is(faultOf('SLUICE_BOOT_SECONDS', '90'), undefined)
  assert.is(faultOf('SLUICE_BOOT_SECONDS', ''), undefined)
  assert.is(faultOf('OTHER', 'soon'), undefined)
})

test.run()
