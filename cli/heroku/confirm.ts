import { warn } from '../output.ts'
import { attended, question } from '../prompt.ts'
import { Failure } from '../settings.ts'

/**
 * Goes on only when who asked for it means it: `--confirm NAME`, or the name typed at the terminal. Without a terminal it is refused.
 */
export async function confirm(name: string, confirmed: string | undefined, warning: string): Promise<void> {
  if (confirmed === name) return
  if (confirmed) throw new Failure(`Confirmation ${confirmed} did not match ${name}. Aborted.`)
  warn(warning)
  if (!attended())
    throw new Failure(`There is no terminal to confirm this at. To proceed, re-run this command with --confirm ${name}`)
  const typed = await question(`To proceed, type ${name} or re-run this command with --confirm ${name}: `)
  if (typed.trim() !== name) throw new Failure(`Confirmation did not match ${name}. Aborted.`)
}

/** One of several, by its number or name; `preset` when nothing is typed. Without a terminal `otherwise` says how to name it. */
export async function chosen(text: string, choices: string[], preset: string, otherwise: string): Promise<string> {
  if (!attended()) throw new Failure(otherwise)
  process.stderr.write(choices.map((choice, n) => `  ${n + 1}) ${choice}\n`).join(''))
  const typed = (await question(`${text} (${preset}): `)).trim()
  const choice = typed === '' ? preset : (choices[Number(typed) - 1] ?? typed)
  if (!choices.includes(choice)) throw new Failure(`${typed} is none of: ${choices.join(', ')}.`)
  return choice
}

/** Several, by their numbers; which of them, from 0. Nothing typed is none. */
export async function several(text: string, choices: string[], otherwise: string): Promise<number[]> {
  if (!attended()) throw new Failure(otherwise)
  process.stderr.write(choices.map((choice, n) => `  ${n + 1}) ${choice}\n`).join(''))
  return picked(await question(`${text} (such as 1,3-5 or all): `), choices.length)
}

/** What `1,3-5` means, of so many: each once, in this order. */
export function picked(typed: string, count: number): number[] {
  const words = typed.split(/[\s,]+/).filter((word) => word !== '')
  const numbers = words.flatMap((word) => {
    if (word === 'all') return Array.from({ length: count }, (_, n) => n)
    const [, from = '', to = from] = word.match(/^(\d+)(?:-(\d+))?$/) ?? []
    const [first, last] = [Number(from), Number(to)]
    if (from === '' || first < 1 || last > count || first > last)
      throw new Failure(`${word} is none of the numbers from 1 to ${count}. Nothing was changed.`)
    return Array.from({ length: last - first + 1 }, (_, n) => first + n - 1)
  })
  return [...new Set(numbers)]
}
