/** A reader of Prometheus' text format that takes nothing but what is right, after https://prometheus.io/docs/instrumenting/exposition_formats/ */
export interface Exposed {
  /** By name. */
  types: Map<string, string>
  /** By `name{a="b"}`, with labels in the order in which they came. */
  samples: Map<string, number>
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const PAIR = '([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\\\\n]|\\\\["\\\\n])*)"'
const SAMPLE = new RegExp(
  `^(${NAME})(?:\\{(${PAIR}(?:,${PAIR})*)\\})? (NaN|[+-]Inf|[-+]?[0-9]+(?:\\.[0-9]+)?(?:e[-+]?[0-9]+)?)$`,
)
const KINDS = ['counter', 'gauge', 'histogram']

/** Throws what is wrong first. */
export function readExposition(text: string): Exposed {
  if (!text.endsWith('\n')) throw new Error('the last line does not end')
  const types = new Map<string, string>()
  const samples = new Map<string, number>()
  const buckets = new Map<string, { le: number; n: number }[]>()
  let family = ''
  let helped = ''
  for (const line of text.slice(0, -1).split('\n')) {
    const wrong = (what: string) => new Error(`${what}: ${line}`)
    const [, word, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? []
    if (word === 'HELP') {
      if (types.has(name) || !new RegExp(`^${NAME}$`).test(name)) throw wrong('help of a family that was told')
      helped = name
      continue
    }
    if (word === 'TYPE') {
      if (helped !== name || types.has(name) || !KINDS.includes(rest))
        throw wrong('a type without help, twice or unknown')
      types.set(name, rest)
      family = name
      continue
    }
    const [, full = '', labels = ''] = SAMPLE.exec(line) ?? []
    if (full === '') throw wrong('no sample')
    const kind = types.get(family) ?? ''
    const suffixes = kind === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']
    const suffix = suffixes.find((one) => full === `${family}${one}`)
    if (suffix === undefined) throw wrong(`a sample outside of its family, which is ${family}`)
    if (kind === 'counter' && !full.endsWith('_total')) throw wrong('a counter that is not called so')
    const key = labels === '' ? full : `${full}{${labels}}`
    if (samples.has(key)) throw wrong('twice')
    const value = Number(line.slice(line.lastIndexOf(' ') + 1).replace('Inf', 'Infinity'))
    if (kind === 'counter' && !(value >= 0)) throw wrong('a counter below zero')
    samples.set(key, value)
    if (suffix !== '_bucket') continue
    const le = /(?:^|,)le="([^"]+)"$/.exec(labels)?.[1]
    if (le === undefined) throw wrong('a bucket without its bound')
    const of = `${family}{${labels.replace(/,?le="[^"]+"$/, '')}}`
    buckets.set(of, [...(buckets.get(of) ?? []), { le: Number(le.replace('Inf', 'Infinity')), n: value }])
  }
  for (const [of, list] of buckets) checkBuckets(of, list, samples)
  return { types, samples }
}

function checkBuckets(of: string, list: { le: number; n: number }[], samples: Map<string, number>): void {
  for (const [at, { le, n }] of list.entries()) {
    const before = list[at - 1]
    if (before && !(before.le < le && before.n <= n)) throw new Error(`buckets of ${of} do not grow`)
  }
  const [, name = '', labels = ''] = /^([^{]+)\{(.*)\}$/.exec(of) ?? []
  const with_ = labels === '' ? '' : `{${labels}}`
  const last = list.at(-1)
  if (last?.le !== Number.POSITIVE_INFINITY || samples.get(`${name}_count${with_}`) !== last.n)
    throw new Error(`the last bucket of ${of} is not its count`)
  if (!samples.has(`${name}_sum${with_}`)) throw new Error(`${of} has no sum`)
}
