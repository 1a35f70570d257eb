import { invalid } from '../errors.ts'
import { limits } from '../limits.ts'

/** What a Procfile declares, and what its author should know about it. */
export interface Procfile {
  /** Type to command, in the order of the file. */
  types: Map<string, string>
  /** Sentences about lines that were ignored and names that other tools refuse. */
  warnings: string[]
  /** Sentences about what cannot be run at all; a build with one of these fails. */
  errors: string[]
}

/** foreman's rule, which every Procfile in the wild was written for: a name, a colon, a shell command; anything else is no entry. */
const ENTRY = /^([A-Za-z0-9_-]+):\s*(.+)$/
const NO_COMMAND = /^[A-Za-z0-9_-]+:\s*$/
/** Names that can be a label of a host name. */
const STRICT = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/
const LONGEST_NAME = 63
const ONE_OFF = 'run'
export const MOST_TYPES = 100
const LARGEST = 256 * 1024

/** Reads a Procfile as it is in the source, whatever bytes it has. */
export function readProcfile(bytes: Buffer): Procfile {
  const unreadable = (why: string): Procfile => ({ types: new Map(), warnings: [], errors: [why] })
  if (bytes.length > LARGEST) return unreadable(`It is larger than ${LARGEST / 1024} KB.`)
  if (bytes.includes(0)) return unreadable(`It is UTF-16 text, or no text at all. ${SAVE}`)
  try {
    return parseProcfile(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return unreadable(`It is not UTF-8 text. ${SAVE}`)
  }
}

const SAVE = 'Save it as UTF-8 and push again.'

/** Whether an app has a Procfile, by the names like it at its top: one `type name` a line, `f` for a file and what leads to one. */
export const isDeclared = (listing: string): boolean => listing.split('\n').includes('f Procfile')

/** What is odd about those names; a Procfile makes up for all others. */
export function procfileOddities(listing: string): string[] {
  if (isDeclared(listing)) return []
  const found = listing
    .split('\n')
    .filter(Boolean)
    .map((line) => [line[0], line.slice(2)] as const)
  const [type] = found.find(([, name]) => name === 'Procfile') ?? []
  if (type === 'd') return ['Procfile is a folder, not a file; ignoring.']
  if (type !== undefined) return ['Procfile is a symbolic link that leads to no file; ignoring.']
  const miscased = found.some(([type]) => type === 'f')
  return miscased ? ['Mis-cased procfile detected; ignoring.', 'Rename it to Procfile to have it honored.'] : []
}

/** Reads a Procfile. It is not YAML: a command may hold colons, quotes and `#`. Of two entries of one name the later counts. */
export function parseProcfile(text: string): Procfile {
  const types = new Map<string, string>()
  const warnings: string[] = []
  const errors: string[] = []
  for (const [index, line] of text
    .replace(/^\uFEFF/, '')
    .replaceAll('\r\n', '\n')
    .split('\n')
    .entries()) {
    const [, name, command] = ENTRY.exec(line) ?? []
    if (name === undefined || command === undefined) {
      const problem = ignored(line)
      if (problem) warnings.push(`Procfile line ${index + 1} is ignored: ${problem}`)
      continue
    }
    const fault = faultOf(command)
    if (fault !== undefined) errors.push(`The command of ${name.slice(0, LONGEST_NAME)} on line ${index + 1} ${fault}.`)
    if (name.length > LONGEST_NAME)
      errors.push(`The process type on line ${index + 1} of the Procfile is longer than ${LONGEST_NAME} characters.`)
    else if (name === ONE_OFF)
      errors.push(`The process type ${ONE_OFF} is the name of one-off dynos; call it something else.`)
    else if (types.has(name)) warnings.push(`The Procfile declares ${name} twice; the later line counts.`)
    else if (!STRICT.test(name))
      warnings.push(`The process type ${name} should have only lower-case letters, digits and dashes in its name.`)
    types.set(name, command.trimEnd())
  }
  if (types.size > MOST_TYPES)
    errors.push(`The Procfile declares ${types.size} process types; ${MOST_TYPES} are allowed.`)
  if (types.size === 0) warnings.push('The Procfile declares no process types.')
  return { types, warnings, errors }
}

/** Why no dyno could run it: Linux takes no longer argument, and none with a NUL in it. */
function faultOf(command: string): string | undefined {
  if (command.includes('\0')) return 'contains a NUL character'
  return Buffer.byteLength(command) > limits.commandSize ? `is longer than ${limits.commandSize / 1024} KB` : undefined
}

/** Whether a process type that no Procfile declares may be called so. */
export const isType = (name: string): boolean =>
  /^[A-Za-z0-9_-]+$/.test(name) && name.length <= LONGEST_NAME && name !== ONE_OFF && name !== '__proto__'

/** Throws UserError for process types that a client names and no Procfile could declare. */
export function checkTypes(types: Record<string, string>): void {
  if (Object.keys(types).length > MOST_TYPES) throw invalid(`A slug may have ${MOST_TYPES} process types.`)
  for (const [name, command] of Object.entries(types)) {
    const shown = name.slice(0, 100)
    if (!isType(name))
      throw invalid(
        `"${shown}" cannot be a process type: use at most ${LONGEST_NAME} letters, digits, - and _, and not "run".`,
      )
    if (command.trim() === '' || faultOf(command) !== undefined)
      throw invalid(
        `The command of ${shown} must have between 1 and ${limits.commandSize / 1024} KB, and no NUL character.`,
      )
  }
}

function ignored(line: string): string | undefined {
  const text = line.trim()
  if (text === '' || text.startsWith('#')) return undefined
  const shown = text.length > 60 ? `${text.slice(0, 60)}...` : text
  if (NO_COMMAND.test(text)) return `"${shown}" has no command.`
  if (ENTRY.test(text)) return `"${shown}" begins with a space.`
  return `"${shown}" is not of the form "type: command".`
}
