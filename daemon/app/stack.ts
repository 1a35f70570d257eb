import { invalid } from '../errors.ts'

/**
 * The stacks that an app may be built for. Which image pair stands behind a name is the host's affair (`Daemon.stack`); an app of
 * the stack `container` brings images of its own.
 */
export const stacks = ['heroku-24', 'heroku-26', 'container'] as const
export type Stack = (typeof stacks)[number]
export const defaultStack: Stack = 'heroku-24'

export function parseStack(name: string): Stack {
  const stack = stacks.find((one) => one === name)
  if (!stack) throw invalid(`Stack ${name.slice(0, 100)} is not available. Choose one of: ${stacks.join(', ')}.`)
  return stack
}
