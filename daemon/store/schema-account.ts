import type { Generated } from 'kysely'
import type { Flag, GivenFlag } from './schema.ts'

export interface Accounts {
  id: string
  email: string
  name: string | null
  admin: Flag
  allow_tracking: GivenFlag
  beta: GivenFlag
  created_at: number
  updated_at: number
  last_login: number | null
  /** Set when the account is gone: it cannot do anything and its address is free, but what it did names it. */
  removed_at: number | null
}

export interface Passwords {
  account_id: string
  /** scrypt's parameters, salt and result. */
  hash: string
  updated_at: number
}

/** Links that are used once, to choose a password: for somebody new, or for an account. */
export interface Invitations {
  id: string
  email: string
  role: 'admin' | 'member'
  /** Whose password is chosen again, or null for a new account. */
  account_id: string | null
  /** SHA-256 of the link's secret, hex. */
  token_hash: string
  invited_by: string
  expires_at: number
  created_at: number
  updated_at: number
}

/** What a login began; its authorization goes with it. */
export interface Sessions {
  id: string
  account_id: string
  description: string
  expires_at: number | null
  created_at: number
  updated_at: number
}

/** Programs of third parties that ask for authorizations. */
export interface Clients {
  id: string
  account_id: string
  name: string
  redirect_uri: string
  secret_hash: string
  secret_hint: string
  created_at: number
  updated_at: number
}

/** OAuth authorizations; only the hashes of tokens are kept. */
export interface Authorizations {
  id: string
  account_id: string
  session_id: string | null
  client_id: string | null
  description: string
  /** SHA-256 of the token, hex. */
  token_hash: string
  /** First and last characters, to tell tokens apart. */
  token_hint: string
  scope: string
  expires_at: number | null
  /** SHA-256 of the token that gets the client a new one. */
  refresh_hash: string | null
  created_at: number
  updated_at: number
}

/** Codes that clients change into tokens, once. */
export interface Grants {
  id: string
  authorization_id: string
  code_hash: string
  expires_at: number
  used_at: number | null
}

/** Public keys for SSH. */
export interface Keys {
  id: string
  account_id: string
  public_key: string
  comment: string
  /** MD5, as Heroku shows it. */
  fingerprint: string
  created_at: number
  updated_at: number
}

/** The audit trail. It has no foreign keys: it tells of apps and accounts that are gone, too. */
export interface Activities {
  id: Generated<number>
  app_id: string | null
  account_id: string
  email: string
  /** IP address. */
  origin: string | null
  text: string
  created_at: number
}
