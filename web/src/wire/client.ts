// The native API, one function a route. Every failure is an ApiError with the server's own words.
import type {
  ApiProblem,
  CellChange,
  ConversationItem,
  FileEntry,
  KeptState,
  Kernel,
  Model,
  NewBranch,
  NewShare,
  Notebook,
  Result,
  Share,
  SharedCopy,
  TableView,
  Travelled,
  Variable,
  VariableView,
} from './types.ts'
import type { Message } from '../core/chat.ts'
import { told, written } from '../core/exact.ts'
import { words } from '../core/words.ts'
import type { Look } from '../core/variables.ts'

const FOR_PROGRAMS = /^(GET|PUT|POST|PATCH|DELETE) / // a hint that names a route helps nobody on a page

export class ApiError extends Error {
  readonly status: number
  readonly code: string
  readonly hint: string
  /** The notebook as it is now, when an edit came too late. */
  readonly current: Notebook | null

  constructor(status: number, problem: Partial<ApiProblem> & { current?: Notebook }, current: Notebook | null = null) {
    super(problem.message || words.server.answered(status))
    this.status = status
    this.code = problem.code ?? 'error'
    this.hint = FOR_PROGRAMS.test(problem.hint ?? '') ? '' : (problem.hint ?? '')
    this.current = problem.current ?? current
  }
}

/** The server was not reached at all. */
export function unreachable(): ApiError {
  return new ApiError(0, {
    code: 'unreachable',
    message: words.server.unreachable,
    hint: words.server.unreachableHint,
  })
}

export async function failure(response: Response): Promise<ApiError> {
  try {
    return problem(response.status, await response.text())
  } catch {
    return new ApiError(response.status, {})
  }
}

export function problem(status: number, body: string): ApiError {
  try {
    const answer = told<{ error?: Partial<ApiProblem>; current?: Notebook }>(body)
    return new ApiError(status, answer.error ?? {}, answer.current ?? null)
  } catch {
    return new ApiError(status, {})
  }
}

interface Options {
  readonly method?: string
  readonly json?: unknown
  readonly revision?: number
  readonly headers?: Record<string, string>
  readonly signal?: AbortSignal
}

const SURVIVES = 8192 // characters; browsers allow 64 KiB for all requests that outlive their page

export async function request(path: string, options: Options = {}): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json', ...options.headers }
  if (options.json !== undefined) headers['Content-Type'] = 'application/json'
  if (options.revision !== undefined) headers['If-Match'] = `"${options.revision}"`
  const body = options.json === undefined ? null : written(options.json)
  const response = await fetch(path, {
    method: options.method ?? 'GET',
    headers,
    body,
    keepalive: isEdit(path, options.method) && (body?.length ?? 0) < SURVIVES,
    signal: options.signal ?? null,
  }).catch((error: unknown) => {
    throw error instanceof DOMException && error.name === 'AbortError' ? error : unreachable()
  })
  if (!response.ok) throw await failure(response)
  return response
}

/** An edit that is on its way outlives a reload of the page. */
function isEdit(path: string, method = 'GET'): boolean {
  return method === 'PATCH' || (method !== 'GET' && path.includes('/notebook/cells'))
}

async function json<T>(path: string, options: Options = {}): Promise<T> {
  return told<T>(await (await request(path, options)).text())
}

async function nothing(path: string, options: Options): Promise<void> {
  await request(path, options)
}

const KERNEL = '/api/jupyter/kernel'
const encoded = (path: string): string => path.split('/').map(encodeURIComponent).join('/')

// kernels

export const createKernel = (title?: string): Promise<Kernel> =>
  json(KERNEL, { method: 'POST', json: title ? { title } : {} })

export const getKernel = (id: string): Promise<Kernel> => json(`${KERNEL}/${id}`)
export const deleteKernel = (id: string): Promise<void> => nothing(`${KERNEL}/${id}`, { method: 'DELETE' })
export const interruptKernel = (id: string): Promise<void> => nothing(`${KERNEL}/${id}/interrupt`, { method: 'POST' })
export const restartKernel = (id: string): Promise<void> => nothing(`${KERNEL}/${id}/restart`, { method: 'POST' })

/** Back to before an execution, or one step forth; and the states there are to go to. */
export const undoKernel = (id: string, to: string): Promise<Travelled> =>
  json(`${KERNEL}/${id}/undo`, { method: 'POST', json: { to } })
export const redoKernel = (id: string): Promise<Travelled> => json(`${KERNEL}/${id}/redo`, { method: 'POST' })
export const listStates = (id: string): Promise<readonly KeptState[]> => json(`${KERNEL}/${id}/snapshots`)

export interface Completion {
  readonly matches: readonly string[]
  readonly cursor_start: number
  readonly cursor_end: number
  readonly metadata?: { readonly _jupyter_types_experimental?: readonly { text: string; type: string; signature?: string }[] }
}

export const complete = (id: string, code: string, cursor: number, signal: AbortSignal): Promise<Completion> =>
  json(`${KERNEL}/${id}/complete`, { method: 'POST', json: { code, cursor_pos: cursor }, signal })

export interface Inspection {
  readonly found: boolean
  readonly data: Readonly<Record<string, unknown>>
}

export const inspect = (id: string, code: string, cursor: number): Promise<Inspection> =>
  json(`${KERNEL}/${id}/inspect`, { method: 'POST', json: { code, cursor_pos: cursor, detail_level: 0 } })

export const listVariables = (id: string): Promise<readonly Variable[]> => json(`${KERNEL}/${id}/variables`)

/** One variable; of a table the rows from `offset`, ordered by the column at `sort`. */
export const lookAt = (
  id: string,
  name: string,
  look: Look,
  limit: number,
): Promise<VariableView> => json(`${KERNEL}/${id}/variables/${encodeURIComponent(name)}?${rowsOf(look, limit)}`)

function rowsOf({ offset, sort, descending }: Look, limit: number): string {
  const order = sort === null ? '' : `&sort=${sort}&descending=${descending}`
  return `offset=${offset}&limit=${limit}${order}`
}

// executions

/** Starts a cell; what becomes of it arrives with the session's events. */
export const execute = (kernelId: string, cellId: string, code: string): Promise<Result> =>
  json('/api/jupyter/execute', {
    method: 'POST',
    json: { kernel_id: kernelId, cell_id: cellId, code, allow_stdin: true },
    headers: { Prefer: 'respond-async' },
  })

export const answerInput = (executionId: string, value: string): Promise<void> =>
  nothing(`/api/jupyter/execute/${executionId}/input`, { method: 'POST', json: { value } })

// the notebook

export const getNotebook = (id: string): Promise<Notebook> => json(`${KERNEL}/${id}/notebook`)

// Nobody loses anything by a new or a moved cell: only edits and deletions name the revision they were made against.

export const addCell = (id: string, cell: { id: string; type: string; source: string; after?: string }): Promise<Notebook> =>
  json(`${KERNEL}/${id}/notebook/cells`, { method: 'POST', json: cell })

export const editCell = (
  id: string,
  cellId: string,
  change: { source?: string; type?: string; outputs_hidden?: boolean },
  revision?: number,
): Promise<Notebook> => json(`${KERNEL}/${id}/notebook/cells/${cellId}`, { method: 'PATCH', json: change, ...(revision === undefined ? {} : { revision }) })

export const deleteCell = (id: string, cellId: string, revision: number): Promise<Notebook> =>
  json(`${KERNEL}/${id}/notebook/cells/${cellId}`, { method: 'DELETE', revision })

export const restoreCell = (id: string, cellId: string, after: string | null): Promise<Notebook> =>
  json(`${KERNEL}/${id}/notebook/cells/${cellId}/restore`, { method: 'POST', json: { after } })

/** The notebook is replaced by what an .ipynb holds. */
export const importNotebook = (id: string, ipynb: unknown, revision: number): Promise<Notebook> =>
  json(`${KERNEL}/${id}/notebook`, { method: 'PUT', json: ipynb, revision })

export const moveCell = (id: string, cellId: string, after: string | null): Promise<Notebook> =>
  json(`${KERNEL}/${id}/notebook/cells/${cellId}/move`, { method: 'POST', json: { after } })

export type Format = 'ipynb' | 'py' | 'html' | 'md'
export const exportUrl = (id: string, format: Format): string => `${KERNEL}/${id}/notebook?format=${format}`

/**
 * The last words of a page that goes away: sent even so, at any revision, and together, so that they stay in order. What
 * a browser would not carry so far goes apart: it arrives where the page lives on, as in another conversation. True when
 * all of it has arrived, for those who are there to hear it.
 */
export async function keepChanges(id: string, changes: readonly CellChange[]): Promise<boolean> {
  const carried: CellChange[] = []
  const rest: CellChange[] = []
  let size = 0
  for (const change of changes) {
    const more = new Blob([JSON.stringify(change)]).size
    const fits = size + more < CARRIED
    if (fits) size += more
    ;(fits ? carried : rest).push(change)
  }
  const arrived = await Promise.all([send(id, carried, true), send(id, rest, false)])
  return arrived.every(Boolean)
}

const CARRIED = 60_000 // bytes

function send(id: string, changes: readonly CellChange[], keepalive: boolean): Promise<boolean> {
  if (changes.length === 0) return Promise.resolve(true)
  const headers = { 'Content-Type': 'application/json' }
  const body = JSON.stringify({ changes })
  return fetch(changesUrl(id), { method: 'POST', headers, body, keepalive }).then(
    (response) => response.ok,
    () => false,
  )
}

const changesUrl = (id: string): string => `${KERNEL}/${id}/notebook/changes`
export const changeCells = (id: string, changes: readonly CellChange[]): Promise<Notebook> =>
  json(changesUrl(id), { method: 'POST', json: { changes } })

const outputUrl = ({ kernelId, cellId }: Place, at: number): string =>
  `${KERNEL}/${kernelId}/notebook/cells/${encodeURIComponent(cellId)}/outputs/${at}`

/** Where an output stands. */
export interface Place {
  readonly kernelId: string
  readonly cellId: string
}

/** More rows of the table that an output shows. */
export const outputRows = (place: Place, at: number, look: Look, limit: number): Promise<TableView> =>
  json(`${outputUrl(place, at)}/rows?${rowsOf(look, limit)}`)

/** The figure that an output shows, drawn as SVG. */
export const outputSvg = async (place: Place, at: number): Promise<Blob> =>
  (await request(`${outputUrl(place, at)}/svg`, { headers: { Accept: 'image/svg+xml' } })).blob()

// files

export const listFiles = (id: string): Promise<FileEntry[]> => json(`${KERNEL}/${id}/files`)
export const fileUrl = (id: string, path: string): string => `${KERNEL}/${id}/files/${encoded(path)}`
export const archiveUrl = (id: string): string => `${KERNEL}/${id}/files?format=zip`
export const deleteFile = (id: string, path: string): Promise<void> => nothing(fileUrl(id, path), { method: 'DELETE' })

// conversations

const PAGES = 20

/** All conversations, the latest first; no more than a list can hold. */
export async function listConversations(): Promise<readonly ConversationItem[]> {
  const found: ConversationItem[] = []
  let after: string | null = null
  for (let page = 0; page < PAGES; page++) {
    const query: string = after === null ? '' : `&after=${encodeURIComponent(after)}`
    const answer: { items: ConversationItem[]; next: string | null } = await json(`/api/chat?limit=200${query}`)
    found.push(...answer.items)
    if (answer.next === null) break
    after = answer.next
  }
  return found
}

/** Those in which all these words were said, by anybody; with an excerpt where it was not in the title. */
export async function findConversations(words: string, signal: AbortSignal): Promise<readonly ConversationItem[]> {
  const answer: { items: ConversationItem[] } = await json(`/api/chat?limit=100&q=${encodeURIComponent(words)}`, { signal })
  return answer.items
}

export interface Conversation {
  readonly id: string
  readonly title: string | null
  readonly messages: readonly Message[]
  readonly running: boolean
}

export const getConversation = (id: string): Promise<Conversation> => json(`/api/chat/${id}`)
export const renameConversation = (id: string, title: string): Promise<void> =>
  nothing(`/api/chat/${id}`, { method: 'PATCH', json: { title } })
/** A link to a copy; its token is told this once. */
export const shareConversation = (id: string): Promise<NewShare> => json(`/api/chat/${id}/shares`, { method: 'POST' })
export const listShares = (id: string): Promise<readonly Share[]> => json(`/api/chat/${id}/shares`)
export const revokeShare = (id: string, share: string): Promise<void> =>
  nothing(`/api/chat/${id}/shares/${share}`, { method: 'DELETE' })
export const readShared = (token: string): Promise<SharedCopy> =>
  json('/api/shared', { headers: { 'X-Cellblock-Share': token } })
export const chooseAnswer = (id: string, answer: string): Promise<Conversation> =>
  json(`/api/chat/${id}/answers/${encodeURIComponent(answer)}`, { method: 'POST' })
/** Where a branch begins: behind an execution, behind a message, or, without either, where things stand. */
export interface BranchPoint {
  readonly at?: string
  readonly messageId?: string
  readonly fresh?: boolean
}

export const branchConversation = (id: string, point: BranchPoint): Promise<NewBranch> =>
  json(`/api/chat/${id}/branch`, { method: 'POST', json: point })
export const stopConversation = (id: string): Promise<void> => nothing(`/api/chat/${id}/stop`, { method: 'POST' })
export const listModels = (): Promise<Model[]> => json('/api/models')

export interface Status {
  readonly version?: string
  readonly limits?: { readonly upload_limit?: number; readonly workspace_limit?: number; readonly memory_limit?: number }
}

export const getStatus = (): Promise<Status> => json('/api/status')

export interface TextPiece {
  readonly text: string
  /** Where the next piece begins, and the size of the whole: bytes. */
  readonly next: number
  readonly total: number
}

/** Part of a text file: whole lines where there are any, so that no character is cut in two. */
export async function textPiece(url: string, from: number, size: number): Promise<TextPiece> {
  const response = await fetch(url, { headers: { Range: `bytes=${from}-${from + size - 1}` } }).catch(() => {
    throw unreachable()
  })
  if (response.status === 416) return { text: '', next: 0, total: 0 }
  if (!response.ok) throw await failure(response)
  const bytes = new Uint8Array(await response.arrayBuffer())
  const total = Number(/\/(\d+)$/.exec(response.headers.get('Content-Range') ?? '')?.[1] ?? from + bytes.length)
  const newline = bytes.lastIndexOf(10)
  const used = from + bytes.length >= total || newline < 0 ? bytes.length : newline + 1
  return { text: new TextDecoder().decode(bytes.subarray(0, used)), next: from + used, total }
}
