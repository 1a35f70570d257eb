import { z } from 'zod'
import { Problem, retryAfter } from './problem.ts'
import { Directory, json, parse, succeeded } from './reply.ts'
import type { Ask } from './transport.ts'

/** When an authority wishes a certificate to be renewed (RFC 9773), ms since the epoch. */
export interface Wish {
  start: number
  end: number
  /** In how many ms it wants to be asked again; undefined when it does not say. */
  again: number | undefined
}

const time = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text))
const Info = z.object({ suggestedWindow: z.object({ start: time, end: time }) })

/** Where an authority tells it; undefined when it does not. Rejects with Problem. */
export const renewalInfoOf = async (ask: Ask, directory: string, signal: AbortSignal): Promise<string | undefined> =>
  parse(Directory, succeeded(await ask(directory, signal))).renewalInfo

/** Undefined when it says nothing of this one. Rejects with Problem when it cannot be asked. */
export async function wishOf(ask: Ask, where: string, pem: string, signal: AbortSignal): Promise<Wish | undefined> {
  const { certificateId } = await import('./certificate-id.ts')
  const id = certificateId(pem)
  if (id === undefined) return undefined
  const reply = await ask(`${where.replace(/\/$/, '')}/${id}`, signal)
  if (reply.status >= 500 || reply.status === 429) throw new Problem('authority', `It answered with ${reply.status}.`)
  const { data } = Info.safeParse(reply.status < 300 ? json(reply) : undefined)
  if (data === undefined || data.suggestedWindow.end < data.suggestedWindow.start) return undefined
  return { ...data.suggestedWindow, again: retryAfter(reply.header('retry-after'), Date.now()) }
}
