/** In characters: the parser takes a second for 32 KB of quotes, and four times that for twice as much. */
const LONGEST = 16 * 1024
/** In a line, or of brackets in all: what people write has a few. */
const MOST_IN_LINE = 50
const MOST_BRACKETS = 200
/** Of spaces and the like, so of levels. */
const DEEPEST = 100

/**
 * Why a stranger's YAML is not given to the parser; undefined when it is. The parser goes a call deeper with each level: at several hundred it fails,
 * and where that happens in the middle of the making of a regular expression Node.js ends. Pure, and rather too strict: what is a level only
 * in a comment counts too.
 */
export function unreadableYaml(yaml: string): string | undefined {
  if (yaml.length > LONGEST) return `it is larger than ${LONGEST / 1024} KB`
  const deep =
    count(yaml, /[[{]/g) > MOST_BRACKETS ||
    yaml.split(/[\r\n]/).some((line) => {
      const start = /^[\s\-?:]*/.exec(line)?.[0].length ?? 0
      return start > DEEPEST || count(line, /[-?:](?=\s|$)/g) > MOST_IN_LINE
    })
  return deep ? `it is nested too deeply, or indented by more than ${DEEPEST} spaces` : undefined
}

const count = (text: string, what: RegExp): number => text.match(what)?.length ?? 0
