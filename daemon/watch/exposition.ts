/**
 * Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/): families of lines, each with its help and type.
 * Pure.
 */
export interface Family {
  name: string
  kind: 'counter' | 'gauge' | 'histogram'
  what: string
  samples: readonly Sample[]
}

export interface Sample {
  /** Of a histogram: `_bucket`, `_sum` or `_count`. */
  suffix?: string
  labels?: Readonly<Record<string, string>>
  value: number
}

/** A family without samples is left out. */
export const textOf = (families: readonly Family[]): string =>
  families
    .filter(({ samples }) => samples.length > 0)
    .map(
      ({ name, kind, what, samples }) =>
        `# HELP ${name} ${what}\n# TYPE ${name} ${kind}\n${samples.map((one) => `${name}${lineOf(one)}\n`).join('')}`,
    )
    .join('')

const lineOf = ({ suffix = '', labels = {}, value }: Sample): string => {
  const pairs = Object.entries(labels).map(([name, text]) => `${name}="${escaped(text)}"`)
  return `${suffix}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}`
}

const escaped = (text: string): string => text.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n')
