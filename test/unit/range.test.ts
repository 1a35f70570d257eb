import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { cut, type Keys, parseRange } from '../../daemon/api/range.ts'
import { UserError } from '../../daemon/errors.ts'

interface Item {
  id: string
  version: number
  created_at: number
}

const keys: Keys<Item> = {
  version: ({ version }) => version,
  id: ({ id }) => id,
  created_at: ({ created_at }) => created_at,
}
const attributes = Object.keys(keys)
const items: Item[] = Array.from({ length: 10 }, (_, index) => ({
  id: `id-${String(index).padStart(2, '0')}`,
  version: index + 1,
  created_at: 1_000_000 + Math.floor(index / 4),
}))

const versions = (header: string) =>
  cut(items, parseRange(header, attributes), keys).items.map(({ version }) => version)

test('every sloppy form that clients send is understood', () => {
  const parsed = (header: string | undefined) => {
    const { attribute, max, order } = parseRange(header, ['id', 'version', 'created_at', 'seq', 'number'])
    return `${attribute} ${max} ${order}`
  }
  assert.is(parsed('version ..; order=desc,max=1'), 'version 1 desc')
  assert.is(parsed('version ..; max=15, order=desc'), 'version 15 desc')
  assert.is(parsed('version ..; order=desc'), 'version 200 desc')
  assert.is(parsed('id ..; max=1000;'), 'id 1000 asc')
  assert.is(parsed('id ..; max=200;'), 'id 200 asc')
  assert.is(parsed('created_at ..; max=15, order=desc'), 'created_at 15 desc')
  assert.is(parsed('seq ..; order=desc,max=1000'), 'seq 1000 desc')
  assert.is(parsed('number ..; order=desc,max=1'), 'number 1 desc')
  assert.is(parsed('id ..; ;'), 'id 200 asc')
  assert.is(parsed('version ..; order=desc,max=2;'), 'version 2 desc')
  assert.is(parsed(''), 'id 200 asc')
  assert.is(parsed(undefined), 'id 200 asc')
  assert.is(parsed('version'), 'version 200 asc')
  assert.is(parsed('..'), 'id 200 asc')
  assert.is(parsed('  version   ..  ;  MAX = 3 ;order=DESC'), 'version 3 desc')
})

test('more than 1000 at once are not given', () => {
  assert.is(parseRange('id ..; max=5000', ['id']).max, 1000)
})

test('units of others, such as bytes, are ignored', () => {
  assert.is(parseRange('bytes=0-99', ['id']).attribute, 'id')
})

test('what a range cannot mean is refused with 416', () => {
  for (const header of [
    'color ..',
    'version 3',
    'version ..; max=0',
    'version ..; max=x',
    'version ..; order=up',
    'version ..; top=3',
    'version a..b',
  ])
    assert.throws(
      () => versions(header),
      (error: unknown) => error instanceof UserError && error.id === 'requested_range_not_satisfiable',
      header,
    )
})

test('bounds are inside the range unless a bracket turns away', () => {
  assert.equal(versions('version 3..5'), [3, 4, 5])
  assert.equal(versions('version ]3..5'), [4, 5])
  assert.equal(versions('version ]3..]5'), [4])
  assert.equal(versions('version [3..5['), [3, 4])
  assert.equal(versions('version 9..'), [9, 10])
  assert.equal(versions('version ..2'), [1, 2])
})

test('a descending range starts from its first bound downwards, and takes two bounds in either order', () => {
  assert.equal(versions('version ..; order=desc,max=2'), [10, 9])
  assert.equal(versions('version ]9..; order=desc,max=2'), [8, 7])
  assert.equal(versions('version 3..5; order=desc'), [5, 4, 3])
  assert.equal(versions('version 5..3; order=desc'), [5, 4, 3])
})

for (const attribute of attributes)
  for (const order of ['asc', 'desc'])
    test(`following Next-Range by ${attribute}, ${order}, gives each item once, in order`, () => {
      const seen: Item[] = []
      let header: string | undefined = `${attribute} ..; max=3, order=${order}`
      for (let parts = 0; header !== undefined; parts++) {
        assert.ok(parts < 10, 'it must end')
        const page: { items: Item[]; nextRange: string | undefined } = cut(items, parseRange(header, attributes), keys)
        seen.push(...page.items)
        header = page.nextRange
      }
      const wanted = order === 'asc' ? items : items.toReversed()
      assert.equal(seen, wanted)
    })

test('Next-Range keeps the last bound and the options', () => {
  const page = cut(items, parseRange('version 2..9; max=3', attributes), keys)
  assert.is(page.nextRange, 'version ]4..9; max=3')
  assert.is(page.contentRange, 'version 2..4; max=3')
})

test('a bounded descending range is followed to its lower bound, however it was written', () => {
  for (const header of ['version 2..9; max=3, order=desc', 'version 9..2; max=3, order=desc']) {
    const seen: number[] = []
    let next: string | undefined = header
    for (let parts = 0; next !== undefined && parts < 10; parts++) {
      const page: { items: Item[]; nextRange: string | undefined } = cut(items, parseRange(next, attributes), keys)
      seen.push(...page.items.map(({ version }) => version))
      next = page.nextRange
    }
    assert.equal(seen, [9, 8, 7, 6, 5, 4, 3, 2])
  }
})

test('a complete list has no next part, an empty one no content range', () => {
  assert.is(cut(items, parseRange('', attributes), keys).nextRange, undefined)
  assert.equal(cut([] as Item[], parseRange('', attributes), keys), {
    items: [],
    nextRange: undefined,
    contentRange: undefined,
  })
})

test.run()
