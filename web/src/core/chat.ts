// The transcript as turns: the wire splits an answer into messages and parts, a person sees one answer.
import { words } from './words.ts'


/** As much of an AI SDK part as is read here. */
export interface Part {
  readonly type: string
  readonly [field: string]: unknown
}

export interface Message {
  readonly id: string
  readonly role: 'user' | 'assistant' | 'system'
  readonly parts: readonly Part[]
  readonly metadata?: unknown
}

export type ToolPhase = 'writing' | 'running' | 'ok' | 'failed'

export interface ToolItem {
  readonly kind: 'tool'
  readonly id: string
  readonly title: string
  readonly code: string
  readonly phase: ToolPhase
  readonly status: string | null
  readonly cellId: string | null
  readonly executionId: string | null
  readonly error: string | null
}

/** The model has asked for cells to be taken back. */
export interface UndoItem {
  readonly kind: 'undo'
  readonly phase: 'running' | 'ok' | 'failed'
  readonly said: string
}

export type Item =
  | { readonly kind: 'text'; readonly text: string; readonly live: boolean }
  | { readonly kind: 'reasoning'; readonly text: string; readonly live: boolean }
  | ToolItem
  | UndoItem

export type Turn =
  | { readonly role: 'user'; readonly id: string; readonly text: string; readonly files: readonly string[] }
  | {
      readonly role: 'assistant'
      readonly id: string
      readonly items: readonly Item[]
      /** How it ended: complete, stopped by a person, in an error, or cut off with the server. */
      readonly state: AnswerState
      readonly problem: { readonly message: string; readonly hint: string } | null
      /** Where the kernel stood when this answer took the place of another one; null when it took none. */
      readonly kernel: string | null
      /** The ids of all answers to its question, this one among them, in the order they were made; empty when it is the only one. */
      readonly answers: readonly string[]
    }

/** What an answer as a person reads it says: its words, without its code. */
export function wordsOf(turn: Turn): string {
  if (turn.role === 'user') return turn.text
  return turn.items.flatMap((item) => (item.kind === 'text' ? [item.text.trim()] : [])).join('\n\n')
}

/** What the model called the step that made a cell, by the cell's id. */
export function captionsIn(turns: readonly Turn[]): ReadonlyMap<string, string> {
  const items = turns.flatMap((turn) => (turn.role === 'assistant' ? turn.items : []))
  return new Map(items.flatMap((item) => (item.kind === 'tool' && item.cellId !== null && item.title ? [[item.cellId, item.title] as const] : [])))
}

export interface Spent {
  readonly tokens: number
  /** An estimate in US dollars; null when a part of it is not known. */
  readonly cost: number | null
}

/** What all answers have taken; null where nobody counted. */
export function spentOn(messages: readonly Message[]): Spent | null {
  const usages = messages.flatMap((message) => usageOf(message) ?? [])
  if (usages.length === 0) return null
  const known = usages.every((usage) => usage.cost !== null)
  return {
    tokens: usages.reduce((sum, usage) => sum + usage.tokens, 0),
    cost: known ? usages.reduce((sum, usage) => sum + (usage.cost ?? 0), 0) : null,
  }
}

function usageOf(message: Message): Spent | null {
  const usage = (message.metadata as { usage?: Record<string, unknown> } | null | undefined)?.usage
  if (!usage) return null
  const cost = usage['cost']
  return { tokens: Number(usage['input_tokens'] ?? 0) + Number(usage['output_tokens'] ?? 0), cost: typeof cost === 'number' ? cost : null }
}

/** What could be asked next: what was suggested and not asked yet, then what fits the last answer. At most three. */
export function followUps(shown: readonly Turn[], suggested: readonly string[]): readonly string[] {
  const last = shown.at(-1)
  if (last?.role !== 'assistant' || last.state !== 'complete') return []
  const asked = new Set(shown.flatMap((turn) => (turn.role === 'user' ? [same(turn.text)] : [])))
  const calls = last.items.filter((item) => item.kind === 'tool')
  const failed = calls.at(-1)?.phase === 'failed'
  const fitting = failed ? [words.chat.anotherWay] : calls.length > 0 ? [words.common.whatStandsOut] : []
  return [...(failed ? fitting : suggested), ...(failed ? suggested : fitting)].filter((one) => !asked.has(same(one))).slice(0, 3)
}

/** A question whoever writes it: with a full stop or without, in capitals or not. */
const same = (question: string): string => question.trim().replace(/[.?!]+$/, '').toLowerCase()

export type AnswerState = 'running' | 'complete' | 'stopped' | 'error' | 'interrupted'

export const TOOL = 'tool-executeNotebook'
const UNDO = 'tool-undo'

/** Turns in order; consecutive messages of the assistant are one. */
export function turns(messages: readonly Message[]): Turn[] {
  const found: Turn[] = []
  for (const message of messages) {
    if (message.role === 'system') continue
    if (message.role === 'user') {
      found.push({ role: 'user', id: message.id, text: textOf(message), files: filesOf(message) })
      continue
    }
    const turn = answerOf(message)
    const last = found.at(-1)
    if (last?.role === 'assistant') found[found.length - 1] = { ...turn, id: last.id, items: [...last.items, ...turn.items] }
    else found.push(turn)
  }
  return found
}

function answerOf(message: Message): Extract<Turn, { role: 'assistant' }> {
  const problem = message.parts.findLast((part) => part.type === 'data-error')?.['data'] as
    | { message?: unknown; hint?: unknown }
    | undefined
  return {
    role: 'assistant',
    id: message.id,
    items: itemsOf(message),
    state: stateOf(message),
    answers: answersOf(message),
    kernel: kernelOf(message),
    problem: problem ? { message: String(problem.message ?? ''), hint: String(problem.hint ?? '') } : null,
  }
}

function stateOf(message: Message): AnswerState {
  return (message.metadata as { state?: AnswerState } | null | undefined)?.state ?? 'complete'
}

function kernelOf(message: Message): string | null {
  const { kernel } = (message.metadata ?? {}) as { kernel?: unknown }
  return typeof kernel === 'string' && kernel ? kernel : null
}

/** The ids of the cells an answer made. */
export function cellsOf(turn: Turn): readonly string[] {
  if (turn.role === 'user') return []
  return turn.items.flatMap((item) => (item.kind === 'tool' && item.cellId !== null ? [item.cellId] : []))
}

function answersOf(message: Message): readonly string[] {
  const { answers } = (message.metadata ?? {}) as { answers?: unknown }
  return Array.isArray(answers) && answers.length > 1 ? answers.map(String) : []
}

/** Which of its answers a turn shows, counted from 1, and those before and after it; null when there is only one. */
export function pageOf(turn: Turn): { readonly at: number; readonly of: number; readonly before: string | null; readonly after: string | null } | null {
  if (turn.role === 'user' || turn.answers.length === 0) return null
  const at = turn.answers.indexOf(turn.id)
  if (at < 0) return null
  return { at: at + 1, of: turn.answers.length, before: turn.answers[at - 1] ?? null, after: turn.answers[at + 1] ?? null }
}

/** Whether the server has more to tell of a conversation than its last message here says: a question without its answer, or one that is being written. */
export function unfinished(messages: readonly Message[]): boolean {
  const last = messages.at(-1)
  return last !== undefined && (last.role === 'user' || stateOf(last) === 'running')
}

/** Whether what the server has is what is here; an answer being written is here alone. */
export function sameMessages(ours: readonly Message[], theirs: readonly Message[], running: boolean): boolean {
  const cut = running && ours.at(-1)?.role === 'assistant' && unfinished(ours)
  const settled = cut ? ours.slice(0, -1) : ours
  return settled.length === theirs.length && settled.every((one, at) => one.id === theirs[at]!.id && stateOf(one) === stateOf(theirs[at]!))
}

/** Whether an answer that could not be followed is followed again; a question nobody has taken is the person's to send again. */
export function followable(messages: readonly Message[], theirs: readonly Message[], running: boolean): boolean {
  const last = messages.at(-1)
  return last?.role !== 'user' || (running && theirs.at(-1)?.id === last.id)
}

/** What stays the same of a turn when its question is answered again: its place behind the question. */
export function keyOf(turns: readonly Turn[], at: number): string {
  const turn = turns[at]!
  return turn.role === 'user' ? turn.id : `${turns[at - 1]?.id ?? ''}:answer`
}

export function textOf(message: Message): string {
  return message.parts
    .filter((part) => part.type === 'text')
    .map((part) => String(part['text'] ?? ''))
    .join('\n')
}

function filesOf(message: Message): readonly string[] {
  const metadata = message.metadata as { files?: unknown } | null | undefined
  return Array.isArray(metadata?.files) ? metadata.files.map(String) : []
}

interface CellData {
  readonly cellId: string
  readonly executionId: string | null
  readonly status: string | null
  readonly toolCallId: string | null
}

function itemsOf(message: Message): Item[] {
  const links = linkCells(message.parts)
  return message.parts.flatMap((part): Item[] => {
    if (part.type === 'text' || part.type === 'reasoning') return textItem(part)
    if (part.type === UNDO) return [undoItem(part)]
    return part.type === TOOL ? [toolItem(part, links.get(callId(part)))] : []
  })
}

function textItem(part: Part): Item[] {
  const text = String(part['text'] ?? '')
  const kind = part.type === 'text' ? 'text' : 'reasoning'
  return text.trim() === '' ? [] : [{ kind, text, live: part['state'] === 'streaming' }]
}

function callId(part: Part): string {
  return String(part['toolCallId'] ?? '')
}

/** Which cell each call made: by the call id the server put into the cell's data, else by their order. */
function linkCells(parts: readonly Part[]): Map<string, CellData> {
  const cells = new Map<string, CellData>()
  for (const part of parts) {
    const data = part.type === 'data-cell' ? cellData(part['data']) : null
    if (data) cells.set(data.toolCallId ?? data.cellId, data)
  }
  const links = new Map<string, CellData>()
  const unnamed = [...cells.values()].filter((cell) => cell.toolCallId === null)
  for (const part of parts) {
    if (part.type !== TOOL) continue
    const data = cells.get(callId(part)) ?? outputData(part) ?? unnamed.shift()
    if (data) links.set(callId(part), data)
  }
  return links
}

function cellData(data: unknown): CellData | null {
  if (typeof data !== 'object' || data === null) return null
  const fields = data as Record<string, unknown>
  const text = (name: string): string | null => (typeof fields[name] === 'string' ? fields[name] : null)
  const cellId = text('cellId') ?? text('cell_id')
  if (cellId === null) return null
  return {
    cellId,
    executionId: text('executionId') ?? text('execution_id'),
    status: text('status'),
    toolCallId: text('toolCallId'),
  }
}

/** A call loaded from the store may name its cell in its output. */
function outputData(part: Part): CellData | null {
  return cellData(part['output'])
}

function toolItem(part: Part, cell: CellData | undefined): ToolItem {
  const input = (part['input'] ?? {}) as { title?: unknown; code?: unknown }
  return {
    kind: 'tool',
    id: callId(part),
    title: typeof input.title === 'string' ? input.title.trim() : '',
    code: typeof input.code === 'string' ? input.code : '',
    phase: phaseOf(part, cell?.status ?? null),
    status: cell?.status ?? null,
    cellId: cell?.cellId ?? null,
    executionId: cell?.executionId ?? null,
    error: typeof part['errorText'] === 'string' ? part['errorText'] : null,
  }
}

/** What came of an `undo`, in the words of its result: the cells that are undone, or why none is. */
function undoItem(part: Part): UndoItem {
  if (part['state'] === 'output-error') return { kind: 'undo', phase: 'failed', said: words.turns.undidNothing }
  if (part['state'] !== 'output-available') return { kind: 'undo', phase: 'running', said: words.turns.undoing }
  const output = String(part['output'] ?? '')
  const cells = /^undone: (.*)$/m.exec(output)?.[1]
  if (output.startsWith('status: ok')) return { kind: 'undo', phase: 'ok', said: words.turns.undone(cells ?? '') }
  const why = /^error:\n(.*)/m.exec(output)?.[1] ?? ''
  return { kind: 'undo', phase: 'failed', said: `${words.turns.undidNothing}. ${why}`.trim() }
}

function phaseOf(part: Part, status: string | null): ToolPhase {
  if (part['state'] === 'output-error') return 'failed'
  if (part['state'] === 'input-streaming') return 'writing'
  if (status === 'queued' || status === 'running') return part['state'] === 'output-available' ? 'ok' : 'running'
  if (status !== null) return status === 'ok' ? 'ok' : 'failed'
  return part['state'] === 'output-available' ? 'ok' : 'running'
}

/** Code that is being written and has no cell yet: the notebook shows it as its last cell. */
export function writing(messages: readonly Message[], active: boolean): ToolItem | null {
  const last = messages.at(-1)
  if (!active || last?.role !== 'assistant') return null
  const item = itemsOf(last).findLast((one) => one.kind === 'tool')
  return item && item.cellId === null && (item.phase === 'writing' || item.phase === 'running') && item.code ? item : null
}

/** A conversation's name until it has one. */
export function titleOf(title: string | null | undefined): string {
  return title?.trim() || words.common.newConversation
}

/** A title, and what it ends with that has to be seen where there is not room for all of it: which branch it is. */
export function titleParts(title: string): readonly [string, string] {
  const at = / \(branch( \d+)?\)$/.exec(title)?.index ?? title.length
  return [title.slice(0, at), title.slice(at).trim()]
}

/** A text in pieces: those that are one of the words wanted, and what stands between. */
export function marked(text: string, wanted: string): readonly { readonly text: string; readonly hit: boolean }[] {
  const escaped = wanted.split(/\s+/).filter(Boolean).map((word) => word.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  if (escaped.length === 0) return [{ text, hit: false }]
  const pieces = text.split(new RegExp(`(${escaped.join('|')})`, 'gi'))
  return pieces.map((piece, at) => ({ text: piece, hit: at % 2 === 1 })).filter((piece) => piece.text !== '')
}

/** The turn that has most of the words a search was for, the first of those; null when none has any. Words of the title count only alone. */
export function turnWith(shown: readonly Turn[], title: string | null, wanted: string): number | null {
  const all = wanted.toLowerCase().split(/\s+/).filter(Boolean)
  const named = (title ?? '').toLowerCase()
  const left = all.filter((word) => !named.includes(word))
  const counted = left.length > 0 ? left : all
  const scores = shown.map((turn) => counted.filter((word) => searchedIn(turn).includes(word)).length)
  const best = Math.max(0, ...scores)
  return best === 0 ? null : scores.indexOf(best)
}

function searchedIn(turn: Turn): string {
  if (turn.role === 'user') return turn.text.toLowerCase()
  return turn.items.map((item) => (item.kind === 'text' ? item.text : item.kind === 'tool' ? item.code : '')).join('\n').toLowerCase()
}

/** Whether a text has one of the words. */
export function hasWord(text: string, wanted: string): boolean {
  const folded = text.toLowerCase()
  return wanted.toLowerCase().split(/\s+/).filter(Boolean).some((word) => folded.includes(word))
}

/** The conversations whose title has all these words, in any order and case. */
export function found<Item extends { readonly title: string | null }>(items: readonly Item[], wanted: string): readonly Item[] {
  const parts = wanted.toLowerCase().split(/\s+/).filter(Boolean)
  return items.filter((item) => parts.every((word) => titleOf(item.title).toLowerCase().includes(word)))
}
