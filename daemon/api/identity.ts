import { z } from 'zod'

/** Clients name things by name, by id, or as an object with either... */
export const Named = z.union([
  z.string(),
  z.object({ name: z.string() }).transform(({ name }) => name),
  z.object({ id: z.string() }).transform(({ id }) => id),
])

/** ...and people by email, by id, or as an object with either. */
export const Somebody = z.union([
  z.string(),
  z.object({ email: z.string() }).transform(({ email }) => email),
  z.object({ id: z.string() }).transform(({ id }) => id),
])
