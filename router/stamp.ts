/** ms since the epoch in digits. Many requests come in one millisecond, and a number that large is slow to write. */
export function stamp(at: number): string {
  if (at !== last) {
    last = at
    text = String(at)
  }
  return text
}

let last = 0
let text = '0'
