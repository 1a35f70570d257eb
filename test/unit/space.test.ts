import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { limits } from '../../daemon/limits.ts'
import { isOver, parseBudget } from '../../daemon/space.ts'

const GB = 1e9
const space = (size: number, free: number, files = Number.POSITIVE_INFINITY) => ({ size, free, files })

test('a budget is a part of the file system or a size, and nothing else', () => {
  const parse = (text: string) => parseBudget('SLUICE_DISK', text)
  assert.equal(parse('85%'), { share: 0.85 })
  assert.equal(parse('200GB'), { bytes: 200 * GB })
  assert.equal(parse('1.5 TiB'), { bytes: 1.5 * 2 ** 40 })
  for (const wrong of ['', '0%', '101%', '85', '-1GB', '0GB', 'all', '85 percent', '1e9GB'])
    assert.throws(() => parse(wrong), /^SLUICE_DISK is ".*"; it must be a percentage up to 100%, such as 85%/, wrong)
})

test('a disk is over its budget when more is in use, or when builds would soon be refused', () => {
  assert.not.ok(isOver(space(100 * GB, 16 * GB), { share: 0.85 }))
  assert.ok(isOver(space(100 * GB, 14 * GB), { share: 0.85 }))
  assert.not.ok(isOver(space(100 * GB, 60 * GB), { bytes: 41 * GB }))
  assert.ok(isOver(space(100 * GB, 60 * GB), { bytes: 39 * GB }))
  assert.ok(isOver(space(100 * GB, 2 * limits.diskReserve - 1), { share: 1 }))
  assert.ok(isOver(space(100 * GB, 60 * GB, 2 * limits.filesReserve - 1), { share: 0.85 }))
})

test.run()
