// What was not sent for certain, in the browser's own store: a place for each page of a session, until a page has seen to it.
import { written } from '../core/exact.ts'
import { parsed, type Unsent } from '../core/unsent.ts'

const PREFIX = 'cellblock.unsent.'

/** Kept under the page's name; null takes it away. Where not all of it finds room, without the notebook to be opened. */
export function keepUnsent(session: string, page: string, unsent: Unsent | null): void {
  const key = `${PREFIX}${session}.${page}`
  if (unsent === null) return forget(key)
  const smaller = { ...unsent, opening: unsent.opening && { ...unsent.opening, ipynb: null } }
  void (put(key, unsent) || put(key, smaller))
}

function put(key: string, unsent: Unsent): boolean {
  try {
    localStorage.setItem(key, written(unsent))
    return true
  } catch {
    return false
  }
}

function forget(key: string): void {
  try {
    localStorage.removeItem(key)
  } catch {
    // a browser that keeps nothing
  }
}

/** Whether another page has not seen to it meanwhile. */
export function stillKept(session: string, page: string): boolean {
  try {
    return localStorage.getItem(`${PREFIX}${session}.${page}`) !== null
  } catch {
    return true
  }
}

/** What other pages have left of a session, by their names. */
export function leftBehind(session: string, page: string): readonly { readonly page: string; readonly unsent: Unsent | null }[] {
  const prefix = `${PREFIX}${session}.`
  try {
    const keys = Object.keys(localStorage).filter((key) => key.startsWith(prefix) && key !== prefix + page)
    return keys.map((key) => ({ page: key.slice(prefix.length), unsent: parsed(localStorage.getItem(key) ?? '') }))
  } catch {
    return []
  }
}

/** The session is deleted, and with it what was meant for it. */
export function forgetUnsent(session: string): void {
  for (const { page } of leftBehind(session, '')) keepUnsent(session, page, null)
}
