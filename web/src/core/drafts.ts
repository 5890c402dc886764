// What a person types meets what the server says: it is on top until the server has it, and no keystroke is lost between.
import { merge } from './merge.ts'

export interface Typed {
  /** What a person typed that the server has not confirmed, and the source it was typed over. */
  readonly draft: { readonly source: string; readonly base: string } | null
  /** What this page has sent of it and the server has not confirmed: until then even the old text is a change. */
  readonly sent: string | null
  /** The same lines were changed elsewhere: the other version, until a person chooses. */
  readonly conflict: string | null
}

export const UNTYPED: Typed = { draft: null, sent: null, conflict: null }

type Source = Typed & { readonly source: string }

/** A draft meets a new source of the server: dropped when they agree, merged when it can be, else shown as a conflict. */
export function rebase<C extends Source>(cell: C, source: string): C {
  const { draft } = cell
  const own = cell.sent === source
  const sent = own ? null : cell.sent
  if (draft === null) return { ...cell, source, sent, conflict: null }
  if (draft.source === source && sent === null) return { ...cell, source, sent, draft: null, conflict: null }
  if (own) return { ...cell, source, sent, draft: { source: draft.source, base: source } }
  if (draft.base === source) return { ...cell, source }
  const merged = merge(draft.base, draft.source, source)
  if (merged === null) return { ...cell, source, conflict: source }
  return { ...cell, source, draft: merged === source ? null : { source: merged, base: source } }
}

/** An edit over what stood when it began. */
export function typed<C extends Source>(cell: C, source: string): C {
  if (source === (cell.draft?.source ?? cell.source)) return cell
  const base = cell.draft?.base ?? cell.source
  return { ...cell, draft: source === cell.source && cell.sent === null ? null : { source, base } }
}

/** This text is on its way; null when it did not arrive. */
export function sent<C extends Source>(cell: C, source: string | null): C {
  const settled = source === null && cell.draft?.source === cell.source
  return { ...cell, sent: source, draft: settled ? null : cell.draft }
}

/** A person has chosen one of two versions. */
export function resolved<C extends Source>(cell: C, keep: 'mine' | 'theirs'): C {
  if (cell.draft === null || keep === 'theirs') return { ...cell, draft: null, conflict: null }
  return { ...cell, draft: { source: cell.draft.source, base: cell.source }, conflict: null }
}
