// The session as the page sees it: events from the server and a person's edits go in, the next state comes out.
import { arranged, NOT_RUN, placed, replayed, type Arrangement } from './ahead.ts'
import { rebase, resolved, sent, typed, UNTYPED, type Typed } from './drafts.ts'
import { foldOutput, never, type OutputEvent } from './outputs.ts'
import { joined } from './text.ts'
import { words } from './words.ts'
import type {
  Cell,
  KernelPhase,
  MimeBundle,
  Notebook,
  Output,
  Result,
  SessionEvent,
  Status,
} from '../wire/types.ts'

export interface CellView extends Cell, Typed {
  readonly clearing: boolean
  readonly startedAt: string | null
  readonly runMs: number | null
  readonly truncated: boolean
  readonly spill: string | null
  readonly limit: Result['limit']
  readonly created: readonly string[]
  /** What it did is taken back: the kernel does not stand on it. */
  readonly undone: boolean
}

export interface InputRequest {
  readonly executionId: string
  readonly cellId: string | null
  readonly prompt: string
  readonly password: boolean
  /** When it was asked: the next one may say the same. */
  readonly asked: string
}

export interface Session {
  readonly loaded: boolean
  readonly kernelId: string
  readonly revision: number
  readonly title: string | null
  readonly environment: string
  readonly cells: readonly CellView[]
  /** What a person did to them that the server does not have yet, the first first. */
  readonly ahead: readonly Arrangement[]
  readonly phase: KernelPhase
  readonly queue: number
  /** Executions that wait for their turn, the next one first. */
  readonly waiting: readonly string[]
  /** What the kernel's sandbox holds, in bytes; 0 when it is not known. */
  readonly memory: number
  /** Grows with every execution that ends: variables may be others then. */
  readonly ended: number
  readonly input: InputRequest | null
  /** A sentence on what state was lost, until a person puts it away. */
  readonly notice: string | null
  /** The cell that ran in a fresh kernel without what the cells above it make. */
  readonly noticeCell: string | null
  /** The notice is of a kernel that came back: nothing has to be run again. */
  readonly restored: boolean
  /** Cells before the running one that its end has undone too. */
  readonly fellBack: number
  /** Grows with every change of the workspace. */
  readonly filesVersion: number
  /** Something happened that this page cannot replay: take the notebook again. */
  readonly stale: boolean
}

export function empty(kernelId: string): Session {
  return {
    loaded: false,
    kernelId,
    revision: 0,
    title: null,
    environment: '',
    cells: [],
    ahead: [],
    phase: 'starting',
    queue: 0,
    waiting: [],
    memory: 0,
    ended: 0,
    input: null,
    notice: null,
    noticeCell: null,
    restored: false,
    fellBack: 0,
    filesVersion: 0,
    stale: false,
  }
}

export function sourceOf(cell: CellView): string {
  return cell.draft?.source ?? cell.source
}

export function isActive(status: Status | null): boolean {
  return status === 'queued' || status === 'running'
}

// events from the server

/** One event of `GET /api/jupyter/kernel/{id}/events`. */
export function transition(session: Session, event: SessionEvent): Session {
  switch (event.event) {
    case 'snapshot':
      return snapshot(session, event.content)
    case 'kernel_state':
      return kernelState(session, event.content)
    case 'file_changed':
      return { ...session, filesVersion: session.filesVersion + 1 }
    case 'gap':
      return { ...session, stale: true }
    default:
      if (/^(cell|notebook)_/.test(event.event)) return edited(session, event)
      return executed(session, event)
  }
}

function snapshot(session: Session, content: SessionEvent['content']): Session {
  const notebook = (content['notebook'] ?? content) as Notebook
  if (!Array.isArray(notebook.cells)) return { ...session, stale: true }
  const adopted = adopt({ ...session, cells: session.cells.map(ordered) }, notebook)
  return {
    ...adopted,
    cells: adopted.cells.map((cell) => pictured(cell, content)),
    ...phaseIn(session, content),
    input: inputIn(session, content['input']),
    filesVersion: session.filesVersion + 1,
  }
}

/** The question that waits for an answer: the one that is here, or one that this page has missed. */
function inputIn({ input }: Session, asked: unknown): InputRequest | null {
  const event = asked as SessionEvent | null | undefined
  if (event === undefined) return input
  if (event === null || event.execution_id === null) return null
  return input?.executionId === event.execution_id && input.asked === event.time ? input : inputRequest(event, event.execution_id)
}

/** What later events mean of it: the display ids of its outputs, and whether the next output replaces all of them. */
function pictured(cell: CellView, content: SessionEvent['content']): CellView {
  const ids = (content['display_ids'] as Readonly<Record<string, readonly unknown[]>> | undefined)?.[cell.id]
  const clearing = (content['clearing'] as readonly unknown[] | undefined)?.includes(cell.id) ?? false
  const outputs = ids ? cell.outputs.map((output, at) => withId(output, ids[at])) : cell.outputs
  return { ...cell, outputs, clearing }
}

function withId(output: Output, id: unknown): Output {
  return typeof id === 'string' ? ({ ...output, transient: { display_id: id } } as Output) : output
}

const PHASES: ReadonlySet<unknown> = new Set<KernelPhase>(['starting', 'idle', 'busy', 'released'])

function phaseIn(session: Session, content: SessionEvent['content']): Pick<Session, 'phase' | 'queue' | 'memory' | 'waiting'> {
  const kernel = (content['kernel'] ?? content) as Record<string, unknown>
  const phase = PHASES.has(kernel['state']) ? (kernel['state'] as KernelPhase) : session.phase
  const queue = kernel['queue'] ?? content['queue']
  const memory = kernel['memory_bytes']
  const waiting = content['queue']
  return {
    phase,
    queue: typeof queue === 'number' ? queue : Array.isArray(queue) ? queue.length : session.queue,
    memory: phase === 'released' ? 0 : typeof memory === 'number' ? memory : session.memory,
    waiting: Array.isArray(waiting) ? waiting.map(String) : session.waiting,
  }
}

function kernelState(session: Session, content: SessionEvent['content']): Session {
  const notice = content['notice']
  const { phase, ...rest } = phaseIn(session, content)
  return {
    ...session,
    ...rest,
    phase,
    input: phase === 'busy' ? session.input : null,
    notice: typeof notice === 'string' && notice ? `${notice} ${words.states.allGone}` : session.notice,
    noticeCell: typeof notice === 'string' && notice ? null : session.noticeCell,
    restored: typeof notice === 'string' && notice ? false : session.restored,
  }
}

/**
 * The server's notebook, with what a person has typed meanwhile kept on top. It is the answer to a request, made when the
 * session was as `asked`: of a run that events have told of since then the answer may know less.
 */
export function adopt(session: Session, notebook: Notebook, asked: Session = session): Session {
  const known = new Map(session.cells.map((cell) => [cell.id, cell]))
  const then = asked === session ? known : new Map(asked.cells.map((cell) => [cell.id, cell]))
  return {
    ...session,
    loaded: true,
    stale: false,
    kernelId: notebook.kernel_id ?? session.kernelId,
    revision: notebook.revision,
    title: notebook.title,
    environment: notebook.environment,
    cells: replayed(notebook.cells.map((cell) => adoptCell(known.get(cell.id), cell, then.get(cell.id))), session.ahead, session.cells),
  }
}

/** A snapshot comes in order with the events: it says more than what was folded before it. */
function ordered(cell: CellView): CellView {
  return { ...cell, execution_id: null, status: null }
}

function adoptCell(before: CellView | undefined, cell: Cell, asked = before): CellView {
  if (before === undefined) return view(cell)
  const same = before.execution_id === cell.execution_id
  const told = asked?.execution_id !== before.execution_id || asked.status !== before.status
  if (told || (same && isActive(before.status))) return rebase(before, cell.source)
  const outputs = withIds(cell.outputs, before.outputs)
  const next: CellView = same ? { ...before, ...cell, outputs, undone: noted(cell.metadata).undone } : { ...view(cell), draft: before.draft, sent: before.sent, conflict: before.conflict }
  return rebase(next, cell.source)
}

export function view(cell: Cell): CellView {
  return {
    ...cell,
    ...UNTYPED,
    clearing: false,
    startedAt: null,
    limit: null,
    ...noted(cell.metadata),
  }
}

/** What the server noted of a cell's last run; an imported notebook may say anything there. */
function noted(metadata: Cell['metadata'] | undefined): Pick<CellView, 'runMs' | 'truncated' | 'spill' | 'created' | 'undone'> {
  const own = (metadata?.['cellblock'] ?? {}) as Readonly<Record<string, unknown>>
  const { run_ms: took, truncated, spill, files, undone } = own
  return {
    runMs: typeof took === 'number' ? took : null,
    truncated: truncated === true,
    spill: typeof spill === 'string' ? spill : null,
    created: Array.isArray(files) ? files.filter((path): path is string => typeof path === 'string') : [],
    undone: undone === true,
  }
}

/** Whether what a cell did has been taken back, as the server notes it. */
export function isUndone(cell: Cell): boolean {
  return noted(cell.metadata).undone
}

/** Whether a person has folded the outputs of a cell away; noted as Jupyter does. */
export function outputsHidden(cell: Cell): boolean {
  const jupyter = cell.metadata['jupyter'] as { outputs_hidden?: unknown } | undefined
  return jupyter?.outputs_hidden === true
}

function edited(session: Session, event: SessionEvent): Session {
  const { content } = event
  const notebook = content['notebook'] as Notebook | undefined
  if (notebook && Array.isArray(notebook.cells)) return adopt(session, notebook)
  const revision = typeof content['revision'] === 'number' ? content['revision'] : session.revision
  if (revision < session.revision) return session // the answer to an edit came first, and knew of this
  const cells = editedCells(session.cells, event)
  if (cells === null) return { ...session, stale: true }
  return withMarks(session, { ...session, revision, cells: replayed(cells, session.ahead, session.cells) })
}

/** After cells were undone or redone variables are others; while one runs, its end has undone more than itself. */
function withMarks(before: Session, after: Session): Session {
  const marks = new Map(before.cells.map((cell) => [cell.id, cell.undone]))
  const changed = after.cells.filter((cell) => marks.has(cell.id) && marks.get(cell.id) !== cell.undone)
  if (changed.length === 0) return after
  const running = after.cells.some((cell) => cell.status === 'running')
  return { ...after, ended: after.ended + 1, fellBack: running ? after.fellBack + changed.length : after.fellBack }
}

/** The cells after an edit, or null when the event says too little to know them. */
function editedCells(cells: readonly CellView[], event: SessionEvent): readonly CellView[] | null {
  const cell = event.content['cell'] as Cell | undefined
  const named = event.content['cell_id']
  const id = event.cell_id ?? cell?.id ?? (typeof named === 'string' ? named : null)
  if (id === null) return null
  if (event.event === 'cell_deleted') return cells.filter((other) => other.id !== id)
  const before = cells.find((other) => other.id === id)
  const next = cell ? adoptCell(before, cell) : before
  if (next === undefined) return null
  const after = event.content['after']
  if (event.event !== 'cell_moved' && before) return cells.map((other) => (other.id === id ? next : other))
  if (after === undefined) return null
  return placed(cells.filter((other) => other.id !== id), next, after as string | null)
}

// executions

function executed(session: Session, event: SessionEvent): Session {
  const next = { ...sessionDuring(session, event), waiting: waitingAfter(session.waiting, event) }
  if (event.event === 'update_display_data') return { ...next, cells: next.cells.map((cell) => updatedCell(cell, event)) }
  if (event.cell_id === null) return next
  const known = next.cells.some((cell) => cell.id === event.cell_id)
  if (!known && event.event !== 'execution_start') return next
  const cells = known ? next.cells : [...next.cells, view(blank(event.cell_id))]
  return {
    ...next,
    cells: cells.map((cell) => (cell.id === event.cell_id ? executedCell(cell, event) : cell)),
  }
}

/** A display may be updated from another cell than the one that showed it. */
function updatedCell(cell: CellView, event: SessionEvent): CellView {
  const update = outputEvent(event)
  if (update === null || !cell.outputs.some((output) => 'transient' in output && output.transient?.display_id)) return cell
  return { ...cell, ...foldOutput({ outputs: cell.outputs, clearing: cell.clearing }, update) }
}

function blank(id: string): Cell {
  return { id, type: 'code', source: '', outputs: [], execution_count: null, status: null, execution_id: null, metadata: {} }
}

function waitingAfter(waiting: readonly string[], event: SessionEvent): readonly string[] {
  const id = event.execution_id
  if (id === null) return waiting
  if (event.event === 'execution_start' && event.content['status'] === 'queued') return [...waiting.filter((one) => one !== id), id]
  return waiting.includes(id) ? waiting.filter((one) => one !== id) : waiting
}

/** How many executions come before this cell's; null when it does not wait. */
export function placeInLine(session: Session, cell: CellView): number | null {
  if (cell.status !== 'queued' || cell.execution_id === null) return null
  return Math.max(0, session.waiting.indexOf(cell.execution_id))
}

/** What an execution changes about the session as a whole. */
function sessionDuring(session: Session, event: SessionEvent): Session {
  if (event.event === 'execution_start') return { ...session, phase: session.phase === 'released' ? 'starting' : session.phase }
  if (event.event === 'input_request' && event.execution_id !== null) {
    return { ...session, input: inputRequest(event, event.execution_id) }
  }
  if (event.event !== 'execution_end') return session
  const result = event.content as unknown as Result
  const lost = result.kernel_state === 'lost' || result.notice
  const restored = result.kernel_state === 'restored'
  return {
    ...session,
    input: session.input?.executionId === event.execution_id ? null : session.input,
    notice: restored ? cameBack(result, session.fellBack) : lost ? (result.notice ?? words.cell.kernelReplaced) : session.notice,
    noticeCell: lost ? event.cell_id : session.noticeCell,
    restored: lost || restored ? restored : session.restored,
    fellBack: 0,
    ended: session.ended + 1,
    filesVersion: session.filesVersion + (result.files?.length ? 1 : 0),
  }
}

/** What is said of a kernel that came back: in short when nothing else is undone, else as the server tells it. */
function cameBack(result: Result, fellBack: number): string {
  const died = result.status !== 'error' && result.status !== 'disk_full'
  if (died && fellBack === 0) return words.states.cameBack(OUTCOMES[result.status])
  return result.notice ?? words.states.cameBack(OUTCOMES[result.status])
}

function inputRequest(event: SessionEvent, executionId: string): InputRequest {
  return {
    executionId,
    cellId: event.cell_id,
    prompt: String(event.content['prompt'] ?? ''),
    password: event.content['password'] === true,
    asked: event.time,
  }
}

function executedCell(cell: CellView, event: SessionEvent): CellView {
  if (event.event === 'execution_start') return started(cell, event)
  if (cell.execution_id !== event.execution_id) return cell
  if (event.event === 'execution_end') return ended(cell, event.content as unknown as Result)
  if (event.event === 'status') return running(cell, event)
  const output = outputEvent(event)
  if (output === null || (output.kind !== 'update' && !isActive(cell.status))) return cell
  const folded = foldOutput({ outputs: cell.outputs, clearing: cell.clearing }, output)
  return { ...cell, ...folded, ...(cell.status === 'queued' ? { status: 'running' as const, startedAt: event.time } : {}) }
}

function started(cell: CellView, event: SessionEvent): CellView {
  const code = event.content['code']
  const status: Status = event.content['status'] === 'running' ? 'running' : 'queued'
  const base: CellView = {
    ...cell,
    ...NOT_RUN,
    type: 'code',
    execution_id: event.execution_id,
    status,
    startedAt: status === 'running' ? event.time : null,
  }
  return typeof code === 'string' ? rebase(base, code) : base
}

function running(cell: CellView, event: SessionEvent): CellView {
  const busy = event.content['execution_state'] === 'busy' || event.content['status'] === 'running'
  if (!busy || cell.status !== 'queued') return cell
  return { ...cell, status: 'running', startedAt: event.time }
}

function ended(cell: CellView, result: Result): CellView {
  return {
    ...cell,
    status: result.status,
    execution_count: result.execution_count,
    outputs: withIds(result.outputs, cell.outputs),
    clearing: false,
    runMs: result.timing?.run_ms ?? null,
    truncated: result.truncated,
    spill: result.spill,
    limit: result.limit,
    created: (result.files ?? []).filter((file) => file.change !== 'deleted').map((file) => file.path),
    undone: result.kernel_state === 'restored',
  }
}

/** A Result has no display ids; a later cell may still update a display of this one. */
function withIds(outputs: readonly Output[], live: readonly Output[]): readonly Output[] {
  if (outputs.length !== live.length) return outputs
  return outputs.map((output, at) => {
    const before = live[at]!
    const id = 'transient' in before ? before.transient : undefined
    return id && output.output_type === before.output_type ? ({ ...output, transient: id } as Output) : output
  })
}

function outputEvent(event: SessionEvent): OutputEvent | null {
  const { content } = event
  switch (event.event) {
    case 'stream':
      return {
        kind: 'stream',
        name: content['name'] === 'stderr' ? 'stderr' : 'stdout',
        text: joined(content['text'] as string),
      }
    case 'display_data':
    case 'execute_result':
      return { kind: 'display', output: { output_type: event.event, ...content } as unknown as Output }
    case 'update_display_data':
      return {
        kind: 'update',
        displayId: String((content['transient'] as { display_id?: string } | undefined)?.display_id ?? ''),
        data: (content['data'] ?? {}) as MimeBundle,
        metadata: (content['metadata'] ?? {}) as MimeBundle,
      }
    case 'clear_output':
      return { kind: 'clear', wait: content['wait'] === true }
    case 'error':
      return { kind: 'display', output: { output_type: 'error', ...content } as unknown as Output }
    default:
      return null
  }
}

// a person's edits

export type Edit =
  | { readonly kind: 'type'; readonly cellId: string; readonly source: string }
  | { readonly kind: 'sent'; readonly cellId: string; readonly source: string | null }
  | { readonly kind: 'resolve'; readonly cellId: string; readonly keep: 'mine' | 'theirs' }
  | Arrangement
  | { readonly kind: 'settled'; readonly change: Arrangement; readonly failed?: boolean }
  | { readonly kind: 'answered'; readonly input: InputRequest }
  | { readonly kind: 'measured'; readonly memory: number }
  | { readonly kind: 'travelled'; readonly notice: string | null; readonly fresh?: boolean }
  | { readonly kind: 'dismiss' }

/** What the page shows at once, before the server has confirmed it. */
export function edit(session: Session, change: Edit): Session {
  if (isArrangement(change)) return arrange(session, change)
  switch (change.kind) {
    case 'type':
      return withCell(session, change.cellId, (cell) => typed(cell, change.source))
    case 'sent':
      return withCell(session, change.cellId, (cell) => sent(cell, change.source))
    case 'resolve':
      return withCell(session, change.cellId, (cell) => resolved(cell, change.keep))
    case 'settled':
      return settled(session, change.change, change.failed)
    case 'answered':
      return session.input === change.input ? { ...session, input: null } : session
    case 'measured':
      return change.memory === session.memory ? session : { ...session, memory: change.memory }
    case 'travelled':
      return { ...session, notice: change.notice, noticeCell: null, restored: change.notice !== null && !change.fresh }
    case 'dismiss':
      return { ...session, notice: null, noticeCell: null, restored: false }
    default:
      return never(change)
  }
}

const ARRANGEMENTS: ReadonlySet<string> = new Set<Arrangement['kind']>(['add', 'hide', 'delete', 'move', 'retype'])
const isArrangement = (change: Edit): change is Arrangement => ARRANGEMENTS.has(change.kind)

function arrange(session: Session, change: Arrangement): Session {
  const made = change.kind === 'add' ? view({ ...blank(change.cellId), type: change.type, source: change.source }) : undefined
  return { ...session, cells: arranged(session.cells, change, made), ahead: [...session.ahead, change] }
}

/** The server has it, or refused it: a cell that it does not want is gone, for all else it is asked. */
function settled(session: Session, change: Arrangement, failed = false): Session {
  const unwanted = failed && change.kind === 'add'
  const cells = unwanted ? session.cells.filter((cell) => cell.id !== change.cellId) : session.cells
  return { ...session, cells, ahead: session.ahead.filter((one) => one !== change), stale: session.stale || (failed && !unwanted) }
}

function withCell(session: Session, id: string, change: (cell: CellView) => CellView): Session {
  return { ...session, cells: session.cells.map((cell) => (cell.id === id ? change(cell) : cell)) }
}

// what the page asks of it

/** Where a cell goes when it moves one place: the id it then follows, or undefined when it cannot move. */
export function neighbour(cells: readonly CellView[], id: string, step: 1 | -1): string | null | undefined {
  const at = cells.findIndex((cell) => cell.id === id)
  const to = at + step
  if (at < 0 || to < 0 || to >= cells.length) return undefined
  if (step === 1) return cells[to]!.id
  return to === 0 ? null : cells[to - 1]!.id
}

/** Code cells that have something to run, from `from` (included) to `until` (not included). */
export function runnable(cells: readonly CellView[], from?: string, until?: string): readonly CellView[] {
  const first = from === undefined ? 0 : cells.findIndex((cell) => cell.id === from)
  const last = until === undefined ? cells.length : cells.findIndex((cell) => cell.id === until)
  return cells.slice(Math.max(first, 0), last).filter((cell) => cell.type === 'code' && sourceOf(cell).trim() !== '')
}

/** Those that bring lost variables back: what is undone, perhaps because it broke the kernel, is not run again. */
export function recoverable(cells: readonly CellView[], until?: string): readonly CellView[] {
  return runnable(cells, undefined, until).filter((cell) => !cell.undone)
}

/** The code that is being written is a cell already: its cell may be heard of before its last letters. */
export function isThere(session: Session, code: string): boolean {
  const last = session.cells.findLast((cell) => cell.type === 'code')
  if (last === undefined || last.status === null) return false
  const [source, written] = [sourceOf(last).trim(), code.trim()]
  return source === written || (isActive(last.status) && source.startsWith(written) && 2 * written.length > source.length)
}

export function isBusy(session: Session): boolean {
  return session.phase === 'busy' || session.cells.some((cell) => isActive(cell.status))
}

/** A short sentence for people who do not see the page, when a cell came to its end between two states. */
export function announcement(before: Session, after: Session): string | null {
  if (before === after || !before.loaded) return null
  for (const [at, cell] of after.cells.entries()) {
    if (cell === before.cells[at]) continue
    const then = before.cells.find((other) => other.id === cell.id)
    if (then && isActive(then.status) && !isActive(cell.status)) return words.cell.ended(at + 1, OUTCOMES[cell.status ?? 'ok'])
  }
  if (after.input !== null && before.input === null) return words.cell.asksForInput
  return after.notice !== null && after.notice !== before.notice ? after.notice : null
}

export const OUTCOMES: Readonly<Record<Status, string>> = {
  queued: words.cell.isWaiting,
  running: words.cell.isRunning,
  ok: words.cell.finished,
  error: words.cell.finishedWithError,
  timeout: words.cell.ranOutOfTime,
  interrupted: words.cell.wasInterrupted,
  out_of_memory: words.cell.ranOutOfMemory,
  disk_full: words.cell.filledTheWorkspace,
  kernel_died: words.cell.lostItsKernel,
  protocol_error: words.cell.wasStopped,
  cancelled: words.cell.wasCancelled,
  refused: words.cell.wasRefused,
}
