/**
 * The token in an Authorization header of those who are no API clients (git, Docker): the password of Basic, whatever the user, or that of
 * Bearer. Empty when there is none.
 */
export function passwordIn(header = ''): string {
  const [scheme = '', value = ''] = header.split(' ')
  if (scheme.toLowerCase() === 'bearer') return value
  if (scheme.toLowerCase() !== 'basic') return ''
  const text = Buffer.from(value, 'base64').toString('utf8')
  return text.slice(text.indexOf(':') + 1)
}
