import { json } from 'node:stream/consumers'
import { z } from 'zod'
import type { Account } from '../account/account.ts'
import { appsOf } from '../app/app.ts'
import type { Daemon } from '../daemon.ts'
import type { Component } from './component.ts'

const PAGE = 1000

/** What is in the registry of the apps that the account may see, as `app/type`, in order. */
export async function listRepositories(d: Daemon, account: Account): Promise<string[]> {
  const apps = await appsOf(d.db, account).clearSelect().select(['apps.id', 'apps.name']).execute()
  const names = new Map(apps.map(({ id, name }) => [id, name]))
  const all = await repositories(d.registry)
  return all
    .flatMap((repository) => {
      const [id = '', type] = repository.split('/')
      const name = names.get(id)
      return name === undefined ? [] : [`${name}/${type}`]
    })
    .sort()
}

async function repositories(component: Component): Promise<string[]> {
  const all: string[] = []
  for (let last: string | undefined; ; last = all.at(-1)) {
    const after = last === undefined ? '' : `&last=${encodeURIComponent(last)}`
    const answer = await component.send({ method: 'GET', path: `/v2/_catalog?n=${PAGE}${after}` })
    const { repositories = [] } = z.object({ repositories: z.array(z.string()).optional() }).parse(await json(answer))
    all.push(...repositories)
    if (answer.headers.link === undefined || repositories.length === 0) return all
  }
}

/** A part of a list: at most `n` names after `last`, and whether there are more. */
export function pageOf(names: string[], query: URLSearchParams): { part: string[]; more: boolean } {
  const n = Math.min(Math.max(Math.trunc(Number(query.get('n') ?? PAGE)) || PAGE, 1), PAGE)
  const last = query.get('last')
  const rest = last === null ? names : names.filter((name) => name > last)
  return { part: rest.slice(0, n), more: rest.length > n }
}
