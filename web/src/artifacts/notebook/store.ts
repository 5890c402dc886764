// One session, live: the server's events and a person's actions meet here; what follows from them is decided in core.
import { adopt, announcement, edit, empty, isActive, neighbour, recoverable, runnable, sourceOf, transition } from '../../core/notebook.ts'
import type { CellView, Edit, Session } from '../../core/notebook.ts'
import { above, did, redo, standing, undo, UNTOUCHED, type Action, type Past, type Step } from '../../core/undo.ts'
import { changesOf, type Arrangement } from '../../core/ahead.ts'
import { also, told, wayTo } from '../../core/states.ts'
import { isOpened, openingOf, recalled, stillToDo, typedInto, unsentOf, type Opening } from '../../core/unsent.ts'
import { words } from '../../core/words.ts'
import type { Proposal } from '../../core/asking.ts'
import { read } from '../../core/exact.ts'
import { never } from '../../core/outputs.ts'
import * as api from '../../wire/client.ts'
import { watchSession } from '../../wire/events.ts'
import { newId } from './new-id.ts'
import { Outbox } from './outbox.ts'
import { keepUnsent, leftBehind, stillKept } from '../../wire/unsent.ts'
import type { CellChange, CellType, KeptState, Notebook, SessionEvent, Travelled } from '../../wire/types.ts'

const SAVE_AFTER = 500
const MEASURE_EVERY = 2000

type Problem = Pick<api.ApiError, 'message' | 'hint'>

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
  #outbox: Outbox
  #opening: Opening | null = null
  #unopened: Opening | null = null
  /** The name under which the browser keeps what may not have been sent. */
  #page = newId()
  #gone = false
  #runAll = 0
  #measure: ReturnType<typeof setInterval> | undefined
  #past: Past = UNTOUCHED
  #states: readonly KeptState[] = []
  #looks = 0
  #clip: { readonly type: CellType; readonly source: string } | null = null
  #announce: (sentence: string) => void
  #view: StoreView

  constructor(id: string, announce: (sentence: string) => void) {
    this.id = id
    this.#session = empty(id)
    this.#announce = announce
    this.#outbox = new Outbox(id, {
      session: () => this.#session,
      set: (next) => this.#set(next),
      fail: (error) => this.#tell(error),
      refresh: () => this.refresh(),
    })
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
    this.#gone = false
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
    addEventListener('pageshow', this.#cameBack)
    document.addEventListener('visibilitychange', this.#seen)
    this.#measure = setInterval(() => void this.#measured(), MEASURE_EVERY)
    return () => {
      clearInterval(this.#measure)
      removeEventListener('pagehide', this.#keepAll)
      removeEventListener('pageshow', this.#cameBack)
      document.removeEventListener('visibilitychange', this.#seen)
      this.#remember()
      void this.#outbox.empty.then(() => stillKept(this.id, this.#page) && this.#keepAll())
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
      unopened: this.#unopened,
    }
  }

  #publish(): void {
    this.#view = this.#snapshot()
    for (const listener of this.#listeners) listener()
  }

  #set(next: Session): void {
    const said = announcement(this.#session, next)
    const gone = next.phase === 'released' && this.#session.phase !== 'released'
    const first = next.loaded && !this.#session.loaded
    const marked = next.ended !== this.#session.ended || !this.#session.loaded || gone
    this.#session = next
    if (marked && next.cells.some((cell) => cell.undone)) void this.lookAtStates()
    if (said !== null) this.#announce(said)
    this.#publish()
    if (first) void this.#recall()
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
    if (this.#problem instanceof api.ApiError && this.#problem.code === 'unreachable') this.#problem = null
    this.#set(events.reduce(transition, this.#session))
    if (this.#session.stale) void this.refresh()
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
    this.#saves.set(cellId, setTimeout(() => void this.save(cellId), SAVE_AFTER))
  }

  async save(cellId: string): Promise<void> {
    clearTimeout(this.#saves.get(cellId))
    this.#saves.delete(cellId)
    await this.#outbox.add((revision) => {
      const cell = this.cell(cellId)
      if (!cell?.draft || cell.conflict !== null) return null
      const { source } = cell.draft
      return this.#send(cellId, source, () => api.editCell(this.id, cellId, { source }, revision))
    }, [])
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

  // what is not lost with the page

  /** What was done or typed a moment ago is sent, and kept in the browser until it is known to have arrived. */
  #keepAll = (): void => {
    for (const timer of this.#saves.values()) clearTimeout(timer)
    this.#saves.clear()
    this.#remember()
    this.#gone = true
    const all = !this.#outbox.sending && this.#opening === null && this.#session.cells.every((cell) => cell.conflict === null)
    const sent = api.keepChanges(this.id, [...this.#outbox.takeWaiting(), ...this.#session.cells.flatMap(typedInto)])
    const page = this.#page
    void sent.then((arrived) => all && arrived && keepUnsent(this.id, page, null))
  }

  #remember(): void {
    keepUnsent(this.id, this.#page, unsentOf(this.#session, this.#outbox.unsettled, this.#opening))
  }

  /** A page out of sight may end without a word; one that is seen sees to its own. */
  #seen = (): void => {
    if (this.#gone) return
    if (document.visibilityState === 'hidden') this.#remember()
    else keepUnsent(this.id, this.#page, null)
  }

  #cameBack = ({ persisted }: PageTransitionEvent): void => {
    if (!persisted) return
    this.#gone = false
    this.#page = newId()
    void this.#outbox.empty.then(() => this.#recall())
  }

  /** What pages before this one could not be sure to have sent. */
  async #recall(): Promise<void> {
    for (const { page, unsent } of leftBehind(this.id, this.#page)) {
      const { changes = [], drafts = [], opening = null } = unsent ?? {}
      const left = stillToDo(this.#session.cells, changes)
      if (left.length > 0) await this.#outbox.add(() => api.changeCells(this.id, left), left)
      this.#set(recalled(this.#session, drafts))
      keepUnsent(this.id, page, null)
      if (opening !== null && !isOpened(this.#session.cells, opening)) this.unopened(opening)
      for (const { cellId } of drafts) await this.save(cellId)
    }
  }

  /** A notebook that has not been opened, for a person to decide; null when that is done. */
  unopened(opening: Opening | null): void {
    this.#unopened = opening
    this.#publish()
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

  /** An .ipynb takes the place of all cells; nothing changes when it is none. */
  async replace(ipynb: unknown, name: string): Promise<void> {
    if (typeof ipynb !== 'object' || ipynb === null || Array.isArray(ipynb)) return this.complain({ message: words.workspace.noNotebook(name), hint: '' })
    this.#problem = null
    this.#opening = openingOf(name, ipynb)
    this.unopened(null)
    await this.#outbox.add(async (revision) => {
      const answer = await api.importNotebook(this.id, ipynb, revision)
      this.#past = UNTOUCHED
      return answer
    }, [])
    this.#opening = null
  }

  /** A file of the person's own machine. */
  async open(file: File): Promise<void> {
    await this.replace(await file.text().then(read).catch(() => null), file.name)
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

  async #carryOut(action: Action): Promise<void> {
    if (action.kind !== 'restore' && !this.cell(action.cellId)) return this.complain({ message: words.cell.gone, hint: '' })
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
    return this.#outbox.add(way, [{ kind: 'restore', cell_id: cellId, after: place() }])
  }

  /** It is seen at once, and stands until the server has answered. */
  async #arrange(change: Arrangement, way: (revision: number) => Promise<Notebook>, first: readonly CellChange[] = []): Promise<void> {
    this.apply(change)
    await this.#outbox.add(way, [...first, ...changesOf(change)], change)
  }

  // running

  async run(cellId: string): Promise<string | null> {
    const cell = this.cell(cellId)
    if (!cell || cell.type !== 'code' || isActive(cell.status)) return null
    clearTimeout(this.#saves.get(cellId))
    this.#saves.delete(cellId)
    let execution: string | null = null
    await this.#try(async () => {
      await this.#outbox.empty
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
      const now = this.cell(cell.id)
      if (now?.type !== 'code') continue // it was deleted or made a text meanwhile
      const execution = isActive(now.status) ? now.execution_id : await this.run(cell.id)
      if (execution === null || (await this.#ended(cell.id, execution)) !== 'ok') break
    }
    if (this.#runAll === turn) this.#runAll = 0
    this.#publish()
  }

  /** The status a cell's execution ends with, as the events tell it; that of a later one, when somebody runs the cell again meanwhile. */
  #ended(cellId: string, execution: string): Promise<string | null> {
    const before = this.cell(cellId)?.execution_id
    let seen = false
    return new Promise((resolve) => {
      const look = (): void => {
        const cell = this.cell(cellId)
        const now = cell?.execution_id ?? null
        seen ||= now === execution
        if (cell && (now === execution ? isActive(cell.status) : now === before && !seen)) return
        leave()
        resolve(now === execution || now === null ? (cell?.status ?? null) : this.#ended(cellId, now))
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

  /** All code cells in a fresh kernel. That a run ends with the former one may be told later than that the kernel is new. */
  async restartAndRunAll(): Promise<void> {
    const active = this.#session.cells.filter((cell) => isActive(cell.status))
    const ends = active.map((cell) => this.#ended(cell.id, cell.execution_id!))
    await this.restart()
    await Promise.all(ends)
    await this.runAll()
  }

  // the states of the kernel

  /** Which states are kept now. */
  async lookAtStates(): Promise<void> {
    const look = ++this.#looks
    const states = await api.listStates(this.id).catch(() => this.#states)
    if (look !== this.#looks) return // another one has begun, which knows more
    this.#states = states
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
    if (input === null) return
    const settled = (): void => this.apply({ kind: 'answered', input })
    const late = (error: api.ApiError): never => {
      if (error.status === 409) settled() // somebody else was faster
      throw error
    }
    await this.#try(() => api.answerInput(input.executionId, value).then(settled, late))
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
      this.#tell(error)
    }
  }

  #tell(error: unknown): void {
    this.complain(error instanceof api.ApiError ? error : { message: String(error), hint: '' })
  }

  cell(id: string): CellView | undefined {
    return this.#session.cells.find((cell) => cell.id === id)
  }
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
  /** What was to be opened in place of this notebook when an earlier page went away, and is not. */
  readonly unopened: Opening | null
}
