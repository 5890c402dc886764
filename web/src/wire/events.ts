// A session's events over one long answer: read, resumed after a cut, silent while nobody looks.
import { told } from '../core/exact.ts'
import { EventParser, type ServerEvent } from '../core/sse.ts'
import { alive } from './alive.ts'
import { ApiError, failure, unreachable } from './client.ts'
import type { SessionEvent } from './types.ts'

export interface Watcher {
  readonly onEvents: (events: readonly SessionEvent[]) => void
  readonly onConnection: (connected: boolean) => void
  /** The server refuses for good: unknown session, no token. */
  readonly onRefused: (error: ApiError) => void
}

const PAUSES = [250, 500, 1000, 2000, 4000] as const
/** A hidden page gives its connection back after this long: browsers allow six to one server. */
const HIDDEN_AFTER = 30_000

/** Follows the session until `stop` is called. Each connection begins with a snapshot, so nothing is missed. */
export function watchSession(kernelId: string, watcher: Watcher): () => void {
  const stream = new Stream(`/api/jupyter/kernel/${kernelId}/events`, watcher)
  stream.start()
  return () => stream.stop()
}

class Stream {
  #url: string
  #watcher: Watcher
  #abort: AbortController | null = null
  #failures = 0
  #lastId: string | null = null
  #timer: ReturnType<typeof setTimeout> | undefined
  #hidden: ReturnType<typeof setTimeout> | undefined

  constructor(url: string, watcher: Watcher) {
    this.#url = url
    this.#watcher = watcher
  }

  start(): void {
    document.addEventListener('visibilitychange', this.#onVisibility)
    window.addEventListener('online', this.#connectNow)
    this.#connectNow()
  }

  stop(): void {
    document.removeEventListener('visibilitychange', this.#onVisibility)
    window.removeEventListener('online', this.#connectNow)
    clearTimeout(this.#timer)
    clearTimeout(this.#hidden)
    this.#abort?.abort()
    this.#abort = null
  }

  #onVisibility = (): void => {
    clearTimeout(this.#hidden)
    if (document.visibilityState === 'visible') this.#connectNow()
    else this.#hidden = setTimeout(() => this.#disconnect(), HIDDEN_AFTER)
  }

  #connectNow = (): void => {
    if (this.#abort !== null) return
    clearTimeout(this.#timer)
    void this.#connect(new AbortController())
  }

  #disconnect(): void {
    clearTimeout(this.#timer)
    this.#abort?.abort()
    this.#abort = null
  }

  async #connect(abort: AbortController): Promise<void> {
    this.#abort = abort
    try {
      await this.#read(abort.signal)
    } catch (error) {
      if (abort.signal.aborted) return
      if (error instanceof ApiError && error.status >= 400 && error.status < 500) {
        this.#abort = null
        this.#watcher.onRefused(error)
        return
      }
    }
    if (this.#abort === abort) this.#again()
  }

  #again(): void {
    this.#abort = null
    this.#watcher.onConnection(false)
    const pause = PAUSES[Math.min(this.#failures, PAUSES.length - 1)]!
    this.#failures += 1
    this.#timer = setTimeout(this.#connectNow, pause)
  }

  async #read(signal: AbortSignal): Promise<void> {
    const headers: Record<string, string> = { Accept: 'text/event-stream' }
    if (this.#lastId !== null) headers['Last-Event-ID'] = this.#lastId
    const response = await fetch(this.#url, { headers, signal })
    if (!response.ok) throw await failure(response)
    if (response.body === null) throw unreachable()
    this.#watcher.onConnection(true)
    const parser = new EventParser()
    const reader = alive(response.body).pipeThrough(new TextDecoderStream()).getReader()
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      this.#deliver(parser.push(value))
    }
  }

  #deliver(found: readonly ServerEvent[]): void {
    if (found.length === 0) return
    this.#failures = 0
    this.#lastId = found.at(-1)?.id ?? this.#lastId
    this.#watcher.onEvents(found.map(sessionEvent))
  }
}

function sessionEvent(event: ServerEvent): SessionEvent {
  return { ...(told<Omit<SessionEvent, 'event'>>(event.data)), event: event.event }
}
