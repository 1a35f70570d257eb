import { Failure } from '../settings.ts'

/** A value as a shell reads it in one word, in single quotes where that does; line breaks are written `\n`, in double quotes. */
export function quote(value: string): string {
  if (!/["\s#!$&'()*,:;<=>?@[\\\]^`{|}]/.test(value)) return value
  if (!/['\n]/.test(value)) return `'${value}'`
  return `"${value.replace(/(["\\$`!])/g, '\\$1').replaceAll('\n', '\\n')}"`
}

const PART = /'([^']*)'|"((?:[^"\\]|\\[\s\S])*)"|\\([\s\S])|([^'"\\\s]+)/y

/** What `quote` has quoted, or a person has: the value of one word. Throws Failure when it is none. */
export function unquote(word: string): string {
  let value = ''
  PART.lastIndex = 0
  for (let end = 0; end < word.length; end = PART.lastIndex) {
    const part = PART.exec(word)
    if (!part) throw new Failure(`Invalid token: ${word}`)
    const [, single, double, escaped, bare] = part
    value +=
      single ?? double?.replace(/\\([\s\S])/g, (_, char) => (char === 'n' ? '\n' : char)) ?? escaped ?? bare ?? ''
  }
  return value
}
