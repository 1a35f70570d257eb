import { UserError } from '../../errors.ts'

/**
 * What Git LFS leaves in place of a file that it keeps elsewhere; shorter than POINTER bytes
 * (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md).
 */
export const POINTER = 1024
const FORM = /^version https:\/\/git-lfs\.github\.com\/spec\/v\d+\n(?:[^\n]*\n)*?oid sha256:[0-9a-f]{64}\n/

export const isPointer = (text: string): boolean => text.length < POINTER && FORM.test(text)

const SHOWN = 5

/**
 * An app of pointers would start and serve them in place of its files. Throws UserError that names them, unless one of the app's
 * buildpacks is there to fetch what they stand for.
 */
export function refusePointers(pointers: readonly string[], buildpacks: readonly string[]): void {
  if (pointers.length === 0 || buildpacks.some((name) => /lfs/i.test(name))) return
  const more = pointers.length - SHOWN
  throw new UserError(
    'invalid_params',
    [
      `Git LFS has replaced files of this source by pointers, and what they point to is not here: ${pointers.slice(0, SHOWN).join(', ')}${more > 0 ? ` and ${more} more` : ''}.`,
      "Commit the files themselves (`git lfs migrate export --include='*' --everything`), or add a buildpack that fetches them from your Git LFS server.",
    ].join('\n'),
  )
}
