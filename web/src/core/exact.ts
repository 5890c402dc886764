// JSON with whole numbers of any size: a browser would round those beyond 2^53. They are BigInts where they are shown or sent on.

const LONG = /\d{16}/
const TREE = 'application/json'

/** What a server says: only in outputs that are shown as JSON are numbers more exact than JavaScript has them. */
export function told<T>(text: string): T {
  const value = JSON.parse(text) as T
  return LONG.test(text) && text.includes(`"${TREE}"`) ? (grafted(value, read(text)) as T) : value
}

function grafted(value: unknown, exact: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((one, at) => grafted(one, (exact as readonly unknown[])[at]))
  const found = exact as Readonly<Record<string, unknown>>
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, key === TREE ? found[key] : grafted(one, found[key])]))
}

/** All of it exactly, to be written again. */
export function read(text: string): unknown {
  return JSON.parse(text, whole)
}

/** `context` is there where the browser says how a number was written. */
function whole(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const written = context?.source ?? ''
  return typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(written) ? BigInt(written) : value
}

const { rawJSON } = JSON as { rawJSON?: (text: string) => unknown }

export function written(value: unknown): string {
  return JSON.stringify(value, (_key, one: unknown) => (typeof one !== 'bigint' ? one : rawJSON ? rawJSON(String(one)) : Number(one)))
}
