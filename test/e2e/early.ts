import { test } from 'uvu'

/** A test that mostly waits begins with its file, beside the others, and is judged where it stands: best at the end. */
export function early(name: string, work: () => Promise<void>): void {
  const begun = work()
  // It is the test that fails.
  begun.catch(() => {})
  test(name, () => begun)
}
