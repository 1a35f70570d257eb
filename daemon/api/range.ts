import { UserError } from '../errors.ts'

/**
 * Lists in parts, as Heroku does it (https://devcenter.heroku.com/articles/platform-api-reference#ranges):
 * `Range: version ]3..9; max=15, order=desc`. Clients write this in every sloppy form, and send `Next-Range` back word for word.
 */
export interface Range {
  attribute: string
  first: Bound | undefined
  last: Bound | undefined
  max: number
  order: 'asc' | 'desc'
}

export interface Bound {
  value: string
  exclusive: boolean
}

/** How an attribute's value is read from an item; the first one is the default order. Times are numbers. */
export type Keys<T> = Record<string, (item: T) => string | number>

export interface Page<T> {
  items: T[]
  /** Set when there is more. */
  nextRange: string | undefined
  contentRange: string | undefined
}

export const DEFAULT_MAX = 200
const MOST = 1000
const TIMES = new Set(['created_at', 'updated_at'])
const NUMBERS = new Set(['version', 'seq', 'number'])

/** What the header asks for; an absent or foreign one (`bytes=0-9`) asks for the start of the list. Throws 416 for what it cannot mean. */
export function parseRange(header: string | undefined, attributes: readonly string[]): Range {
  const [spec = '', ...options] = (header ?? '').split(/[;,]/).map((part) => part.trim())
  const fallback: Range = {
    attribute: attributes[0] ?? 'id',
    first: undefined,
    last: undefined,
    max: DEFAULT_MAX,
    order: 'asc',
  }
  if (spec.includes('=')) return fallback
  const [, attribute = fallback.attribute, bounds = ''] = /^([A-Za-z_]*)\s*(.*)$/.exec(spec) ?? []
  const name = attribute === '' ? fallback.attribute : attribute
  if (!attributes.includes(name)) throw unsatisfiable(`there is no order by "${name}"; use ${attributes.join(', ')}`)
  const [first = '', last = ''] = splitBounds(bounds)
  return { ...fallback, ...parseOptions(options), attribute: name, first: parseBound(first), last: parseBound(last) }
}

function splitBounds(text: string): [string, string] {
  if (text === '') return ['', '']
  const at = text.indexOf('..')
  if (at < 0) throw unsatisfiable(`"${text.slice(0, 100)}" is not a range; write FIRST..LAST`)
  return [text.slice(0, at), text.slice(at + 2)]
}

/** A bracket that turns away from the range leaves the bound out. */
function parseBound(text: string): Bound | undefined {
  const value = text.replace(/^[[\]]|[[\]]$/g, '').trim()
  return value === '' ? undefined : { value, exclusive: text.startsWith(']') || text.endsWith('[') }
}

function parseOptions(options: string[]): Partial<Range> {
  const range: Partial<Range> = {}
  for (const option of options.filter(Boolean)) {
    const [name = '', value = ''] = option.split('=').map((part) => part.trim().toLowerCase())
    if (name === 'max') range.max = parseMax(value)
    else if (name === 'order' && (value === 'asc' || value === 'desc')) range.order = value
    else throw unsatisfiable(`"${option.slice(0, 100)}" is none of its options max=NUMBER, order=asc and order=desc`)
  }
  return range
}

function parseMax(value: string): number {
  if (!/^\d{1,9}$/.test(value) || Number(value) === 0) throw unsatisfiable('max must be a number from 1 to 1000')
  return Math.min(Number(value), MOST)
}

const unsatisfiable = (why: string): UserError =>
  new UserError('requested_range_not_satisfiable', `The Range header cannot be satisfied: ${why}.`)

/** The part of `items` that the range asks for, in its order, and how to ask for the next. */
export function cut<T extends { id: string }>(items: readonly T[], range: Range, keys: Keys<T>): Page<T> {
  const key = keys[range.attribute]
  if (!key) throw unsatisfiable(`there is no order by "${range.attribute}"`)
  const direction = range.order === 'asc' ? 1 : -1
  const [low, high] = edges(range)
  const wanted = items
    .map((item) => ({ item, key: key(item), id: item.id }))
    .filter((place) => inside(place, low, high))
    .sort((a, b) => direction * compare(a, b))
  return firstPart(
    wanted.map(({ item }) => item),
    range,
    key,
  )
}

/** The part to send of `wanted`: what is inside the range, in its order, of which one item more than its `max` is enough. */
export function firstPart<T extends { id: string }>(
  wanted: readonly T[],
  range: Range,
  key: (item: T) => string | number,
): Page<T> {
  const items = wanted.slice(0, range.max)
  const [head, tail] = [items[0], items.at(-1)].map((item) => item && { key: key(item), id: item.id })
  const [low, high] = edges(range)
  const options = `max=${range.max}${range.order === 'desc' ? ', order=desc' : ''}`
  const rest = tail && wanted.length > items.length
  return {
    items,
    nextRange: rest
      ? `${range.attribute} ]${writePlace(range, tail)}..${writeBound(range.order === 'asc' ? high : low)}; ${options}`
      : undefined,
    contentRange: head && tail && `${range.attribute} ${write(range, head)}..${write(range, tail)}; max=${range.max}`,
  }
}

interface Place {
  key: string | number
  /** Tells items of the same time apart; undefined stands for all of them. */
  id: string | undefined
}

export type Edge = (Place & Bound) | undefined

/** Low and high. In descending order the first bound is the upper one; two bounds are taken in whichever order they come. */
export function edges(range: Range): [Edge, Edge] {
  const [first, last] = [range.first, range.last].map((bound) => bound && { ...readPlace(range, bound), ...bound })
  const [a, b] = range.order === 'asc' ? [first, last] : [last, first]
  return a && b && compare(a, b) > 0 ? [b, a] : [a, b]
}

function inside(place: Place, low: Edge, high: Edge): boolean {
  const above = low ? compare(place, low) : 1
  const below = high ? compare(place, high) : -1
  return (above > 0 || (above === 0 && !low?.exclusive)) && (below < 0 || (below === 0 && !high?.exclusive))
}

/** Times are not unique, so a time that the next part starts from carries the id of the last item that was sent. */
function readPlace({ attribute }: Range, { value }: Bound): Place {
  if (!TIMES.has(attribute) && !NUMBERS.has(attribute)) return { key: value, id: undefined }
  const [text = '', id] = TIMES.has(attribute) ? value.split('~') : [value]
  const key = TIMES.has(attribute) ? Date.parse(text) : Number(text)
  if (Number.isNaN(key)) throw unsatisfiable(`"${text.slice(0, 100)}" is no ${attribute}`)
  return { key, id }
}

const write = ({ attribute }: Range, { key }: Place): string =>
  TIMES.has(attribute) ? new Date(key).toISOString() : String(key)

const writePlace = (range: Range, place: Place): string =>
  TIMES.has(range.attribute) ? `${write(range, place)}~${place.id}` : write(range, place)

const writeBound = (bound: Edge): string => (bound ? `${bound.exclusive ? ']' : ''}${bound.value}` : '')

const order = (a: string | number, b: string | number): number => (a < b ? -1 : a > b ? 1 : 0)

const compare = (a: Place, b: Place): number =>
  order(a.key, b.key) || (a.id === undefined || b.id === undefined ? 0 : order(a.id, b.id))
