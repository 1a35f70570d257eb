import { styled } from '../output.ts'

type Colour = 'yellow' | 'green' | 'cyan' | 'magenta' | 'blue' | 'red'
const COLOURS: Colour[] = ['yellow', 'green', 'cyan', 'magenta', 'blue']

/** Each process type has a colour, in the order in which they are met; those that every app has are the same each time. */
const given = new Map<string, Colour>()
for (const name of ['run', 'router', 'web']) colourOf(name)

function colourOf(name: string): Colour {
  const type = name.split('.')[0] ?? ''
  const colour = given.get(type) ?? COLOURS[given.size % COLOURS.length] ?? 'cyan'
  given.set(type, colour)
  return colour
}

/** A line of a log, as `2026-11-17T16:37:41.000000+00:00 app[web.1]: text`, for a terminal. */
export function colourful(line: string): string {
  if (process.env.HEROKU_LOGS_COLOR === '0' || process.env.HEROKU_COLOR === '0') return line
  const [, head, name, body = ''] = /^(\S+ \w[\w-]*\[([\w-]+)[\d.]*\]:) ?(.*)$/s.exec(line) ?? []
  if (head === undefined || name === undefined) return line
  return `${styled(colourOf(name), head)} ${name === 'router' ? routed(body) : told(body)}`
}

/** `key=value` pairs of the router. */
const routed = (body: string): string =>
  body.replace(
    /([\w-]+)=("[^"]*"|\S*)/g,
    (_, key: string, value: string) => `${styled('dim', `${key}=`)}${pair(key, value)}`,
  )

function pair(key: string, value: string): string {
  switch (key) {
    case 'at':
      return value === 'error' ? styled('red', value) : styled('dim', value)
    case 'code':
      return styled('red', value)
    case 'method':
      return styled('magenta', value)
    case 'path':
      return styled('green', value)
    case 'dyno':
      return styled(colourOf(value), value)
    case 'status':
      return styled(shade(Number(value), [300, 400, 500]), value)
    case 'connect':
    case 'service':
      return styled(shade(Number.parseInt(value, 10), [100, 500, 5000]), value)
    default:
      return styled('dim', value)
  }
}

/** From good to bad. */
function shade(value: number, [good, fair, poor]: [number, number, number]): Colour {
  return value < good ? 'green' : value < fair ? 'cyan' : value < poor ? 'yellow' : 'red'
}

const STATES: Record<string, Colour> = { up: 'green', complete: 'green', starting: 'cyan', down: 'red', crashed: 'red' }

/** What the platform tells of dynos, builds and releases. */
function told(body: string): string {
  if (/^(Build failed|Stopping all processes with SIGTERM)/.test(body)) return styled('red', body)
  if (body === 'Build succeeded') return styled('green', body)
  return body
    .replace(
      /^(State changed from )(\w+)( to )(\w+)/,
      (_, a: string, from: string, b: string, to: string) => `${a}${state(from)}${b}${state(to)}`,
    )
    .replace(
      /^(Process exited with status )(\d+)/,
      (_, text: string, code: string) => `${text}${styled(code === '0' ? 'green' : 'red', code)}`,
    )
    .replace(/^(Release )(v\d+)/, (_, text: string, version: string) => `${text}${styled('magenta', version)}`)
}

const state = (name: string): string => styled(STATES[name] ?? 'cyan', name)
