import { say, styled } from './output.ts'

/** What is known of one thing; the same as the API says (`GET /sluice/doctor`). */
export interface Finding {
  check: string
  state: 'ok' | 'warn' | 'fail'
  text: string
  remedy?: string
}

/** A look at one thing of this host; it ends when `signal` aborts, at the latest. */
export interface Look {
  check: string
  look(signal: AbortSignal): Promise<Finding[]>
}

const TIME = 8000

/** All at once, each bounded in time; one that breaks or takes too long is told and spoils no other. */
export async function examine(looks: readonly Look[], time = TIME): Promise<Finding[]> {
  const lookOnce = async ({ check, look }: Look): Promise<Finding[]> => {
    const late = new AbortController()
    let timer: NodeJS.Timeout | undefined
    const overdue = new Promise<Finding[]>((resolve) => {
      timer = setTimeout(() => {
        resolve([{ check, state: 'warn', text: `It could not be looked at within ${time / 1000} seconds.` }])
        late.abort()
      }, time)
    })
    const broken = (error: Error): Finding[] => [
      { check, state: 'warn', text: `It could not be looked at: ${error.message}` },
    ]
    try {
      return await Promise.race([look(late.signal).catch(broken), overdue])
    } finally {
      clearTimeout(timer)
    }
  }
  return (await Promise.all(looks.map(lookOnce))).flat()
}

const MARKS = { ok: ['green', '✓'], warn: ['yellow', '!'], fail: ['red', '✗'] } as const

/** A line each, thing by thing, with what mends it below. */
export function show(findings: readonly Finding[]): void {
  const width = Math.max(0, ...findings.map(({ check }) => check.length))
  const checks = [...new Set(findings.map(({ check }) => check))]
  for (const { check, state, text, remedy } of checks.flatMap((name) =>
    findings.filter(({ check }) => check === name),
  )) {
    const [colour, mark] = MARKS[state]
    say(`${styled(colour, mark)} ${check.padEnd(width)}  ${text}`)
    if (remedy !== undefined) say(`  ${''.padEnd(width)}  ${styled('dim', `→ ${remedy}`)}`)
  }
}
