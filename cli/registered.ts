/** Country codes below which names are registered two deep, by far the most; DNS itself does not tell. */
const SECOND = /^(ac|co|com|edu|gov|net|or|org|ne)\.[a-z]{2}$/

/** What somebody has registered, of a host name at or below it: `example.com` of `git.example.com`. */
export function registered(hostname: string): string {
  const labels = hostname.split('.')
  return labels.slice(SECOND.test(labels.slice(-2).join('.')) ? -3 : -2).join('.')
}
