import * as assert from 'uvu/assert'
import { type Answer, type Host, startHost } from './host.ts'

/** The API with an administrator and two members, and requests as any of them. */
export interface TeamRig {
  host: Host
  ann: Person
  bob: Person
  person(email: string): Promise<Person>
  /** As somebody; the administrator otherwise. */
  ask(method: string, path: string, body?: unknown, by?: { token: string }): Promise<Answer>
  /** What an answer says that must be good. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  good(method: string, path: string, body?: unknown, by?: { token: string }): Promise<any>
  refused(answer: Promise<Answer>, status: number, message: RegExp): Promise<void>
  /** What the audit trail says in such words. */
  activities(text: RegExp): Promise<{ text: string }[]>
}

export interface Person {
  id: string
  token: string
}

export async function startTeam(): Promise<TeamRig> {
  const host = await startHost()
  const person = async (email: string) => {
    const { account, token } = await host.invite(email)
    return { id: account.id, token }
  }
  const ask: TeamRig['ask'] = (method, path, body, by) =>
    host.request(method, path, { ...(body === undefined ? {} : { body }), ...(by ? { token: by.token } : {}) })
  return {
    host,
    ann: await person('ann@example.com'),
    bob: await person('bob@example.com'),
    person,
    ask,
    async good(method, path, body, by) {
      const { status, text, json } = await ask(method, path, body, by)
      assert.ok(status < 300, `${method} ${path}: ${status} ${text}`)
      return json
    },
    async refused(answer, status, message) {
      const { status: got, json, text } = await answer
      assert.is(got, status, text)
      assert.match(json.message, message)
    },
    activities: async (text) =>
      (await host.d.db.selectFrom('activities').select('text').execute()).filter((one) => text.test(one.text)),
  }
}

export const names = (list: { name: string }[]): string[] => list.map(({ name }) => name)
