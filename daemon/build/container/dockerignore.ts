/**
 * Which files of a context a `.dockerignore` leaves out (https://docs.docker.com/build/concepts/context/#dockerignore-files). The engine
 * leaves this to whoever sends the context. Paths are as in archives (latin1), without `./`.
 */
export function parseDockerignore(text: string): (path: string) => boolean {
  const rules = text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .map((line) => line.trim())
    .filter((line) => line !== '' && line !== '!')
    .slice(0, MOST)
    .map((line) => ({ keeps: line.startsWith('!'), pattern: patternOf(line.replace(/^!\s*/, '')) }))
  return (path) => {
    const parts = path.split('/')
    let left = false
    for (const { keeps, pattern } of rules) if (left === keeps && matches(pattern, parts)) left = !keeps
    return left
  }
}

const MOST = 1000

/** Of one part of a path: `*`, or what stands for one character. */
type Token = '*' | ((character: string) => boolean)
type Part = '**' | Token[]

function patternOf(line: string): Part[] {
  const parts: string[] = []
  for (const part of Buffer.from(line).toString('latin1').split('/')) {
    if (part === '' || part === '.') continue
    if (part === '..') parts.pop()
    else parts.push(part)
  }
  return parts.map((part) => (part === '**' ? '**' : tokensOf(part)))
}

function tokensOf(part: string): Token[] {
  const tokens: Token[] = []
  for (const [text] of part.matchAll(/\*+|\[\^?[^\]]+\]|\\?[\s\S]/g)) {
    if (text.startsWith('*')) tokens.push('*')
    else if (text === '?') tokens.push(() => true)
    else if (text.length > 2 && text.startsWith('[')) tokens.push(oneOf(text.slice(1, -1)))
    else tokens.push((character) => character === text.at(-1))
  }
  return tokens
}

/** `a-z_`, or with `^` first everything else. */
function oneOf(text: string): Token {
  const other = text.startsWith('^')
  const ranges = [...text.slice(other ? 1 : 0).matchAll(/([\s\S])(?:-([\s\S]))?/g)]
  return (character) => ranges.some(([, from = '', to = from]) => from <= character && character <= to) !== other
}

/** Whether the pattern is of the path, or of a folder that it is in. Takes no longer than the lengths of both multiplied. */
function matches(pattern: Part[], path: string[]): boolean {
  let reached = new Set([0])
  for (const [index, part] of pattern.entries()) {
    const next = new Set<number>()
    const least = index === pattern.length - 1 ? 1 : 0
    if (part === '**') for (let at = Math.min(...reached) + least; at <= path.length; at++) next.add(at)
    else for (const at of reached) if (at < path.length && isOf(part, path[at] ?? '')) next.add(at + 1)
    if (next.size === 0) return false
    reached = next
  }
  return Math.max(...reached) > 0
}

/** Where a `*` was passed last, it takes one character more when what follows does not fit. */
function isOf(tokens: Token[], text: string): boolean {
  let at = 0
  let token = 0
  let star: { token: number; at: number } | undefined
  while (at < text.length) {
    const wanted = tokens[token]
    if (wanted === '*') star = { token: token++, at }
    else if (wanted?.(text[at] ?? '')) {
      at++
      token++
    } else if (star) {
      star.at++
      at = star.at
      token = star.token + 1
    } else return false
  }
  return tokens.slice(token).every((rest) => rest === '*')
}
