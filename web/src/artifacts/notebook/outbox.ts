// A person's edits on their way to the server: one after another, and again when they came too late or did not arrive.
import type { Arrangement } from '../../core/ahead.ts'
import { adopt, edit, type Session } from '../../core/notebook.ts'
import { stillToDo } from '../../core/unsent.ts'
import * as api from '../../wire/client.ts'
import type { CellChange, Notebook } from '../../wire/types.ts'

const TRY_AGAIN_AFTER = 1000
const TRIES = 3
const UNREACHED = 0

/** How one edit is made at a revision; null when there is nothing left of it. */
export type Way = (revision: number) => Promise<Notebook> | null

export interface Owner {
  readonly session: () => Session
  readonly set: (session: Session) => void
  readonly fail: (error: unknown) => void
  readonly refresh: () => Promise<void>
}

export class Outbox {
  readonly #id: string
  readonly #owner: Owner
  #queue: Promise<unknown> = Promise.resolve()
  /** The edits that have not been sent. */
  #waiting = new Set<readonly CellChange[]>()
  /** These, and the one whose answer has not come. */
  #unsettled = new Set<readonly CellChange[]>()

  constructor(id: string, owner: Owner) {
    this.#id = id
    this.#owner = owner
  }

  /** `same` is what the edit does, and `change` how it is seen already. Ends when it is settled. */
  add(way: Way, same: readonly CellChange[], change?: Arrangement): Promise<void> {
    const own = [...same]
    this.#waiting.add(own)
    this.#unsettled.add(own)
    const turn = this.#queue
      .then(() => (this.#waiting.delete(own) ? this.#attempt({ way, same, change }, TRIES) : this.#kept(change)))
      .catch(this.#owner.fail)
      .finally(() => this.#unsettled.delete(own))
    this.#queue = turn
    return turn
  }

  /** Until all that is in it now is settled. */
  get empty(): Promise<unknown> {
    return this.#queue
  }

  /** An edit was sent, and its answer has not come. */
  get sending(): boolean {
    return this.#unsettled.size > this.#waiting.size
  }

  get unsettled(): readonly CellChange[] {
    return [...this.#unsettled].flat()
  }

  /** What waits, to be sent another way. */
  takeWaiting(): readonly CellChange[] {
    const waiting = [...this.#waiting].flat()
    this.#waiting.clear()
    return waiting
  }

  /** It went with a page that has come back. */
  #kept(change?: Arrangement): Promise<void> {
    this.#owner.set(this.#settled(change))
    return this.#owner.refresh()
  }

  async #attempt(one: Edit, tries: number): Promise<void> {
    const asked = this.#owner.session()
    try {
      const answer = await one.way(asked.revision)
      const now = this.#settled(one.change)
      this.#owner.set(answer !== null && answer.revision >= now.revision ? adopt(now, answer, asked) : now)
    } catch (error) {
      if (isUnreached(error)) return this.#whenReached(one, tries)
      if (!(error instanceof api.ApiError) || error.status !== 409 || tries === 0) return this.#failed(error, one.change)
      this.#owner.set(adopt(this.#owner.session(), error.current ?? (await api.getNotebook(this.#id)), asked))
      await this.#attempt(one, tries - 1)
    }
  }

  /** The server was not reached, or its answer not heard: when it is there it is asked what it has, and told the rest. */
  async #whenReached(one: Edit, tries: number): Promise<void> {
    const asked = this.#owner.session()
    const now = await this.#notebook().catch((error: unknown) => this.#failed(error, one.change))
    const heard = one.same.length > 0 && stillToDo(now.cells, one.same).length === 0
    this.#owner.set(adopt(heard ? this.#settled(one.change) : this.#owner.session(), now, asked))
    if (!heard) await this.#attempt(one, tries)
  }

  async #notebook(): Promise<Notebook> {
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, TRY_AGAIN_AFTER))
      try {
        return await api.getNotebook(this.#id)
      } catch (error) {
        if (!isUnreached(error)) throw error
      }
    }
  }

  #settled(change: Arrangement | undefined, failed = false): Session {
    const session = this.#owner.session()
    return change ? edit(session, { kind: 'settled', change, failed }) : session
  }

  #failed(error: unknown, change?: Arrangement): never {
    this.#owner.set(this.#settled(change, true))
    if (this.#owner.session().stale) void this.#owner.refresh()
    throw error
  }
}

interface Edit {
  readonly way: Way
  readonly same: readonly CellChange[]
  readonly change: Arrangement | undefined
}

const isUnreached = (error: unknown): boolean => error instanceof api.ApiError && error.status === UNREACHED
