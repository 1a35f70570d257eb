import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { indexOf } from '../../daemon/build/buildpack/setting.ts'
import { readConfig } from '../../daemon/config.ts'

test('the index of this host is what pip is set to, the environment first', () => {
  assert.is(indexOf(''), undefined)
  assert.is(indexOf("global.timeout='60'\n"), undefined)
  assert.is(
    indexOf("global.cert='/x.pem'\nglobal.index-url='https://mirror.example/simple'"),
    'https://mirror.example/simple',
  )
  const several =
    "global.index-url='https://a.example/simple'\ninstall.index-url='https://b.example/x=y'\n:env:.index-url='https://c.example/'"
  assert.is(indexOf(several), 'https://c.example/')
  assert.is(indexOf(several.replace(/\n:env:.*/, '')), 'https://b.example/x=y')
})

test('an index that only this host can read is none for builds', () => {
  assert.is(indexOf("global.index-url='file:///srv/simple'"), undefined)
})

test('SLUICE_PIP_INDEX must be a URL, and is not repeated when it is none, for it may hold a password', () => {
  assert.is(
    readConfig({ SLUICE_PIP_INDEX: 'https://u:p@pypi.example/simple' }).pipIndex,
    'https://u:p@pypi.example/simple',
  )
  assert.is(readConfig({}).pipIndex, undefined)
  assert.throws(
    () => readConfig({ SLUICE_PIP_INDEX: 'ftp://u:s3cret@x/' }),
    (error: Error) => /SLUICE_PIP_INDEX must be/.test(error.message) && !/s3cret/.test(error.message),
  )
})

test.run()
