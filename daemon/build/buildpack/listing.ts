import { parseBuildpack, parseBuildpacks } from '../../app/buildpack-name.ts'
import { invalid, UserError } from '../../errors.ts'
import { fileIn } from '../source/peek.ts'

const NAME = '.buildpacks'
const LARGEST = 64 * 1024

/**
 * The buildpacks that a source itself lists, one a line, in the file that heroku-buildpack-multi made known; none when there is no such
 * file. Throws UserError for a line that names no buildpack.
 */
export async function listedBuildpacks(tar: string): Promise<string[]> {
  const beyond = () => invalid(`${NAME} is larger than ${LARGEST / 1024} KB.`)
  return parseListing((await fileIn(tar, { name: NAME, most: LARGEST, beyond })) ?? '')
}

export function parseListing(text: string): string[] {
  const lines = text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .map((line) => line.trim())
  const named = lines.flatMap((line, index) => (line === '' || line.startsWith('#') ? [] : [checked(line, index + 1)]))
  return parseBuildpacks(named)
}

function checked(line: string, number: number): string {
  try {
    return parseBuildpack(line)
  } catch (error) {
    throw error instanceof UserError ? invalid(`Line ${number} of ${NAME}: ${error.message}`) : error
  }
}
