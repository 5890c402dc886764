// One session, live: the server's events and a person's actions meet here; what follows from them is decided in core.
import {
  adopt,
  announcement,
  edit,
  empty,
  isActive,
  neighbour,
  recoverable,
  runnable,
  sourceOf,
  transition,
  type CellView,
  type Edit,
  type Session,
} from '../../core/notebook.ts'
import { above, did, redo, standing, undo, UNTOUCHED, type Action, type Past, type Step } from '../../core/undo.ts'
import { changesOf, type Arrangement } from '../../core/ahead.ts'
import { told, wayTo } from '../../core/states.ts'
import { words } from '../../core/words.ts'
import type { Proposal } from '../../core/asking.ts'
import { never } from '../../core/outputs.ts'
import * as api from '../../wire/client.ts'
import { watchSession } from '../../wire/events.ts'
import type { CellChange, CellType, KeptState, Notebook, SessionEvent, Travelled } from '../../wire/types.ts'

const SAVE_AFTER = 500
const MEASURE_EVERY = 2000

export interface Problem {
  readonly message: string
  readonly hint: string
}

export class SessionStore {
  readonly id: string
  #session: Session
  #connected = true
  #refused: api.ApiError | null = null
  #problem: Problem | null = null
  #listeners = new Set<() => void>()
  #pending: SessionEvent[] = []
  #frame = 0
  #stopWatching: (() => void) | null = null
  #saves = new Map<string, ReturnType<typeof setTimeout>>()
  #queue: Promise<unknown> = Promise.resolve()
  /** The edits in the queue that have not been sent. */
  #waiting = new Set<readonly CellChange[]>()
  #runAll = 0
  #measure: ReturnType<typeof setInterval> | undefined
  #past: Past = UNTOUCHED
  #states: readonly KeptState[] = []
  #clip: { readonly type: CellType; readonly source: string } | null = null
  #announce: (sentence: string) => void
  #view: StoreView

  constructor(id: string, announce: (sentence: string) => void) {
    this.id = id
    this.#session = empty(id)
    this.#announce = announce
    this.#view = this.#snapshot()
  }

  /** The cell that had the focus last: what commands without a place of their own are about. */
  attended: string | null = null
  attend(cellId: string): void {
    this.attended = cellId
  }

  // for React

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  getView = (): StoreView => this.#view

  start(): () => void {
    this.#stopWatching = watchSession(this.id, {
      onEvents: (events) => this.#receive(events),
      onConnection: (connected) => {
        this.#connected = connected
        this.#publish()
      },
      onRefused: (error) => {
        this.#refused = error
        this.#publish()
      },
    })
    addEventListener('pagehide', this.#keepAll)
    this.#measure = setInterval(() => void this.#measured(), MEASURE_EVERY)
    return () => {
      clearInterval(this.#measure)
      removeEventListener('pagehide', this.#keepAll)
      void this.#queue.then(this.#keepAll)
      this.#stopWatching?.()
      cancelAnimationFrame(this.#frame)
    }
  }

  #snapshot(): StoreView {
    return {
      session: this.#session,
      connected: this.#connected,
      refused: this.#refused,
      problem: this.#problem,
      runningAll: this.#runAll > 0,
      past: this.#past,
      states: this.#states,
    }
  }

  #publish(): void {
    this.#view = this.#snapshot()
    for (const listener of this.#listeners) listener()
  }

  #set(next: Session): void {
    const said = announcement(this.#session, next)
    const gone = next.phase === 'released' && this.#session.phase !== 'released'
    const marked = next.ended !== this.#session.ended || !this.#session.loaded || gone
    this.#session = next
    if (marked && next.cells.some((cell) => cell.undone)) void this.lookAtStates()
    if (said !== null) this.#announce(said)
    this.#publish()
  }

  /** Events of one frame are applied together: five thousand prints are a few paints. */
  #receive(events: readonly SessionEvent[]): void {
    this.#pending.push(...events)
    if (document.visibilityState === 'hidden') return this.#flush()
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#flush())
  }

  #flush(): void {
    cancelAnimationFrame(this.#frame)
    this.#frame = 0
    const events = this.#pending
    this.#pending = []
    this.#set(events.reduce(transition, this.#session))
    if (this.#session.stale) void this.refresh()
    const running = events.findLast((event) => event.event === 'snapshot')?.content['running']
    if (typeof running === 'string' && this.#session.input === null) void this.#recallInput(running)
  }

  /** A page that came back in the middle of a run may have missed its question. */
  async #recallInput(executionId: string): Promise<void> {
    const asked = await api.askedInput(executionId).catch(() => null)
    const cellId = this.#session.cells.find((cell) => cell.execution_id === executionId)?.id ?? null
    if (asked !== null) this.apply({ kind: 'asked', input: { executionId, cellId, ...asked } })
  }

  /** Events tell what a kernel holds when its state changes; while it runs, it is asked. */
  async #measured(): Promise<void> {
    if (this.#session.phase !== 'busy' || document.visibilityState === 'hidden') return
    const kernel = await api.getKernel(this.id).catch(() => null)
    if (kernel !== null) this.apply({ kind: 'measured', memory: kernel.memory_bytes })
  }

  async refresh(): Promise<void> {
    const asked = this.#session
    await this.#try(async () => {
      const notebook = await api.getNotebook(this.id)
      this.#set(adopt(this.#session, notebook, asked))
    })
  }

  // edits of a person

  apply(change: Edit): void {
    this.#set(edit(this.#session, change))
  }

  type(cellId: string, source: string): void {
    this.apply({ kind: 'type', cellId, source })
    clearTimeout(this.#saves.get(cellId))
    this.#saves.set(
      cellId,
      setTimeout(() => void this.save(cellId), SAVE_AFTER),
    )
  }

  async save(cellId: string): Promise<void> {
    clearTimeout(this.#saves.get(cellId))
    this.#saves.delete(cellId)
    await this.#mutate((revision) => {
      const cell = this.cell(cellId)
      if (!cell?.draft || cell.conflict !== null) return null
      const { source } = cell.draft
      return this.#send(cellId, source, () => api.editCell(this.id, cellId, { source }, revision))
    })
  }

  async #send<T>(cellId: string, source: string, way: () => Promise<T>): Promise<T> {
    this.apply({ kind: 'sent', cellId, source })
    try {
      return await way()
    } catch (error) {
      this.apply({ kind: 'sent', cellId, source: null })
      throw error
    }
  }

  /** What was done or typed a moment ago is not lost with the page. */
  #keepAll = (): void => {
    for (const timer of this.#saves.values()) clearTimeout(timer)
    this.#saves.clear()
    const waiting = [...this.#waiting].flat()
    this.#waiting.clear()
    api.keepChanges(this.id, [...waiting, ...this.#session.cells.flatMap(typedInto)])
  }

  resolve(cellId: string, keep: 'mine' | 'theirs'): void {
    this.apply({ kind: 'resolve', cellId, keep })
    void this.save(cellId)
  }

  /** A new cell behind `after`, at the top with null, at the end without it: its id. It is there at once. */
  add(type: CellType, after?: string | null, source = ''): string {
    const { cells } = this.#session
    const cellId = newId()
    const place = after === undefined ? (cells.at(-1)?.id ?? null) : after
    this.#did({ kind: 'added', cellId, type, source, after: place })
    void this.#arrange({ kind: 'add', cellId, type, source, after: place }, async () => {
      const answer = await api.addCell(this.id, { id: cellId, type, source, ...(place === null ? {} : { after: place }) })
      return place === null && cells.length > 0 ? api.moveCell(this.id, cellId, null) : answer
    })
    return cellId
  }

  duplicate(cellId: string): string | null {
    const cell = this.cell(cellId)
    return cell ? this.add(cell.type, cellId, sourceOf(cell)) : null
  }

  copy(cellId: string): void {
    const cell = this.cell(cellId)
    if (cell) this.#clip = { type: cell.type, source: sourceOf(cell) }
  }

  paste(after: string): string | null {
    return this.#clip ? this.add(this.#clip.type, after, this.#clip.source) : null
  }

  async remove(cellId: string): Promise<void> {
    const cell = this.cell(cellId)
    if (!cell) return
    this.#did({ kind: 'deleted', cellId, type: cell.type, source: sourceOf(cell), after: above(this.#session.cells, cellId) })
    await this.#delete(cellId)
  }

  /** What was typed into it goes to the server first: it comes back with the cell. */
  async #delete(cellId: string): Promise<void> {
    clearTimeout(this.#saves.get(cellId))
    this.#saves.delete(cellId)
    const cell = this.cell(cellId)
    const last = cell ? typedInto(cell) : []
    const way = async (revision: number): Promise<Notebook> => {
      let now = revision
      for (const { source } of last) now = (await api.editCell(this.id, cellId, { source }, now)).revision
      return api.deleteCell(this.id, cellId, now)
    }
    await this.#arrange({ kind: 'delete', cellId }, way, last)
  }

  async move(cellId: string, step: 1 | -1): Promise<void> {
    const after = neighbour(this.#session.cells, cellId, step)
    if (after === undefined) return
    this.#did({ kind: 'moved', cellId, from: above(this.#session.cells, cellId), to: after })
    await this.#moveTo(cellId, after)
  }

  async #moveTo(cellId: string, after: string | null): Promise<void> {
    await this.#arrange({ kind: 'move', cellId, after }, () => api.moveCell(this.id, cellId, after))
  }

  async retype(cellId: string, type: CellType): Promise<void> {
    const from = this.cell(cellId)?.type
    if (from === undefined || from === type) return
    this.#did({ kind: 'retyped', cellId, from, to: type })
    await this.#retype(cellId, type)
  }

  async #retype(cellId: string, type: CellType): Promise<void> {
    await this.#arrange({ kind: 'retype', cellId, type }, (revision) => api.editCell(this.id, cellId, { type }, revision))
  }

  async hideOutputs(cellId: string, hidden: boolean): Promise<void> {
    await this.#arrange({ kind: 'hide', cellId, hidden }, () => api.editCell(this.id, cellId, { outputs_hidden: hidden }))
  }

  /** An .ipynb takes the place of all cells. */
  async replace(ipynb: unknown): Promise<void> {
    this.#past = UNTOUCHED
    await this.#mutate((revision) => api.importNotebook(this.id, ipynb, revision))
  }

  /** A file of the person's own machine; nothing changes when it is no notebook. */
  async open(file: File): Promise<void> {
    const ipynb: unknown = await file.text().then(JSON.parse).catch(() => undefined)
    if (ipynb === undefined) this.complain({ message: words.workspace.noNotebook(file.name), hint: '' })
    else await this.replace(ipynb)
  }

  complain(problem: Problem): void {
    this.#problem = problem
    this.#publish()
  }

  /** The change a model has tried in cell `from` goes into a person's cell, or nowhere; the model's cell has done its part. */
  async settle({ cellId, code, from }: Proposal, take: boolean): Promise<void> {
    if (take) {
      this.apply({ kind: 'type', cellId, source: code })
      await this.save(cellId)
    }
    await this.remove(from)
    if (take) await this.run(cellId)
  }

  // taking back

  #did(step: Step): void {
    this.#past = did(this.#past, step)
    this.#publish()
  }

  /** The id of the cell it was about, so that the focus can go there; null when there was nothing to take back. */
  undo(): Promise<string | null> {
    return this.#travel(undo(this.#past))
  }

  redo(): Promise<string | null> {
    return this.#travel(redo(this.#past))
  }

  async #travel(way: readonly [Past, Action] | null): Promise<string | null> {
    if (way === null) return null
    this.#past = way[0]
    this.#publish()
    await this.#carryOut(way[1])
    return way[1].cellId
  }

  #carryOut(action: Action): Promise<void> {
    switch (action.kind) {
      case 'delete':
        return this.#delete(action.cellId)
      case 'restore':
        return this.#restore(action)
      case 'move':
        return this.#moveTo(action.cellId, standing(this.#session.cells, action.after))
      case 'retype':
        return this.#retype(action.cellId, action.type)
      default:
        return never(action)
    }
  }

  /** A cell the server no longer has comes back without its outputs. */
  #restore({ cellId, type, source, after }: Extract<Action, { kind: 'restore' }>): Promise<void> {
    const place = (): string | null => standing(this.#session.cells, after)
    const way = (): Promise<Notebook> =>
      api.restoreCell(this.id, cellId, place()).catch((error: unknown) => {
        if (!(error instanceof api.ApiError) || error.status !== 404) throw error
        const at = place()
        return api.addCell(this.id, { id: cellId, type, source, ...(at === null ? {} : { after: at }) })
      })
    return this.#mutate(way, [{ kind: 'restore', cell_id: cellId, after: place() }])
  }

  /** It is seen at once, and stands until the server has answered. */
  async #arrange(change: Arrangement, way: (revision: number) => Promise<Notebook>, first: readonly CellChange[] = []): Promise<void> {
    this.apply(change)
    await this.#mutate(way, [...first, ...changesOf(change)], change)
  }

  /** One edit after another; one that came too late is tried again on the notebook as it is now. `same` is what it does. */
  #mutate(way: (revision: number) => Promise<Notebook> | null, same: readonly CellChange[] = [], change?: Arrangement): Promise<void> {
    this.#waiting.add(same)
    const turn = this.#queue.then(() => (this.#waiting.delete(same) ? this.#try(() => this.#attempt(way, 3, change)) : this.#kept(change)))
    this.#queue = turn
    return turn
  }

  /** It went with a page that has come back. */
  #kept(change?: Arrangement): Promise<void> {
    if (change) this.apply({ kind: 'settled', change })
    return this.refresh()
  }

  async #attempt(way: (revision: number) => Promise<Notebook> | null, tries: number, change?: Arrangement): Promise<void> {
    const asked = this.#session
    try {
      const answer = await way(asked.revision)
      const now = change ? edit(this.#session, { kind: 'settled', change }) : this.#session
      this.#set(answer !== null && answer.revision >= now.revision ? adopt(now, answer, asked) : now)
    } catch (error) {
      if (!(error instanceof api.ApiError) || error.status !== 409 || tries === 0) return this.#failed(error, change)
      this.#set(adopt(this.#session, error.current ?? (await api.getNotebook(this.id)), asked))
      await this.#attempt(way, tries - 1, change)
    }
  }

  #failed(error: unknown, change?: Arrangement): never {
    if (change) this.apply({ kind: 'settled', change, failed: true })
    if (this.#session.stale) void this.refresh()
    throw error
  }

  // running

  async run(cellId: string): Promise<string | null> {
    const cell = this.cell(cellId)
    if (!cell || cell.type !== 'code' || isActive(cell.status)) return null
    clearTimeout(this.#saves.get(cellId))
    this.#saves.delete(cellId)
    let execution: string | null = null
    await this.#try(async () => {
      await this.#queue
      const source = sourceOf(this.cell(cellId) ?? cell)
      execution = (await this.#send(cellId, source, () => api.execute(this.id, cellId, source))).id
    })
    return execution
  }

  /** Code cells from the first (or `from`) on, one after another, until one does not end well. */
  runAll(from?: string, until?: string): Promise<void> {
    return this.#inTurn(runnable(this.#session.cells, from, until))
  }

  /** What stands is run again, up to `until`: in a fresh kernel that brings its variables back. */
  recover(until?: string): Promise<void> {
    return this.#inTurn(recoverable(this.#session.cells, until))
  }

  async #inTurn(cells: readonly CellView[]): Promise<void> {
    const turn = Date.now()
    this.#runAll = turn
    this.#publish()
    for (const cell of cells) {
      if (this.#runAll !== turn) return
      const execution = await this.run(cell.id)
      if (execution === null || (await this.#ended(cell.id, execution)) !== 'ok') break
    }
    if (this.#runAll === turn) this.#runAll = 0
    this.#publish()
  }

  /** The status a cell's execution ends with, as the events tell it. */
  #ended(cellId: string, execution: string): Promise<string | null> {
    return new Promise((resolve) => {
      const look = (): void => {
        const cell = this.cell(cellId)
        if (cell && (cell.execution_id !== execution || isActive(cell.status))) return
        leave()
        resolve(cell?.status ?? null)
      }
      const leave = this.subscribe(look)
      look()
    })
  }

  async interrupt(): Promise<void> {
    this.#runAll = 0
    await this.#try(() => api.interruptKernel(this.id))
  }

  async restart(): Promise<void> {
    this.#runAll = 0
    await this.#try(() => api.restartKernel(this.id))
  }

  // the states of the kernel

  /** Which states are kept now. */
  async lookAtStates(): Promise<void> {
    this.#states = await api.listStates(this.id).catch(() => this.#states)
    this.#publish()
  }

  /** Back to before a cell's last run. */
  async back(cellId: string): Promise<void> {
    const execution = this.cell(cellId)?.execution_id ?? null
    if (execution === null) return this.complain({ message: words.states.notRun, hint: '' })
    await this.#go(() => api.undoKernel(this.id, execution))
  }

  /** One step forth again. */
  async forth(): Promise<void> {
    await this.#go(() => api.redoKernel(this.id))
  }

  /** To the state at this place of those that are kept. */
  async goToState(at: number): Promise<void> {
    const way = wayTo(this.#states, at)
    if (way === null) return
    if (way.kind === 'undo') return this.#go(() => api.undoKernel(this.id, way.to))
    await this.#go(async () => {
      let went = await api.redoKernel(this.id)
      for (let step = 1; step < way.times; step++) went = also(went, await api.redoKernel(this.id))
      return went
    })
  }

  async #go(way: () => Promise<Travelled>): Promise<void> {
    this.#runAll = 0
    await this.#try(async () => {
      const went = await way()
      this.apply({ kind: 'travelled', notice: went.notice })
      this.#announce(told(went))
    })
    await this.lookAtStates()
  }

  async answer(value: string): Promise<void> {
    const { input } = this.#session
    if (input !== null) await this.#try(() => api.answerInput(input.executionId, value))
  }

  // problems

  dismissProblem(): void {
    this.#problem = null
    this.#publish()
  }

  async #try(action: () => Promise<unknown>): Promise<void> {
    try {
      await action()
    } catch (error) {
      const known = error instanceof api.ApiError
      this.#problem = { message: known ? error.message : String(error), hint: known ? error.hint : '' }
      this.#publish()
    }
  }

  cell(id: string): CellView | undefined {
    return this.#session.cells.find((cell) => cell.id === id)
  }
}

/** What a person typed into a cell and the server does not have. */
function typedInto({ id, draft, conflict }: CellView): readonly (CellChange & { readonly source: string })[] {
  return draft && conflict === null ? [{ kind: 'edit', cell_id: id, source: draft.source }] : []
}

/** An id nobody has; `randomUUID` is only there for pages that came over HTTPS or loopback. */
function newId(): string {
  return [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** Two steps as one. */
function also(first: Travelled, then: Travelled): Travelled {
  const notice = [first.notice, then.notice].filter(Boolean).join(' ') || null
  return { ...then, undone: [...first.undone, ...then.undone], redone: [...first.redone, ...then.redone], notice }
}

export interface StoreView {
  readonly session: Session
  readonly connected: boolean
  readonly refused: api.ApiError | null
  readonly problem: Problem | null
  readonly runningAll: boolean
  readonly past: Past
  /** The states that are kept, as far as they have been looked at. */
  readonly states: readonly KeptState[]
}
