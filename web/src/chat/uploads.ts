// Files on their way into a workspace, each with its progress; limits are told before anything is sent.
import { useMemo, useRef, useState } from 'react'
import { words } from '../core/words.ts'
import { bytes } from '../core/format.ts'
import { ApiError } from '../wire/client.ts'
import { uploadFile } from '../wire/upload.ts'

export interface UploadView {
  readonly key: number
  readonly name: string
  readonly size: number
  /** From 0 to 1. */
  readonly progress: number
  readonly state: 'sending' | 'done' | 'failed'
  readonly problem: string | null
  /** There was a file of that name, which is gone. */
  readonly replaced: boolean
}

export interface Uploads {
  readonly list: readonly UploadView[]
  /** Whether all of them came through, when it is known. */
  readonly add: (files: readonly File[]) => Promise<boolean>
  readonly cancel: (key: number) => void
  /** Puts away what is done or failed. */
  readonly clear: () => void
}

export interface UploadOptions {
  /** The session the files go to; made when there is none yet. */
  readonly session: () => Promise<string>
  readonly limit: number | null
  readonly onDone: (name: string, replaced: boolean) => void
}

let keys = 0

export function useUploads(options: UploadOptions): Uploads {
  const [list, setList] = useState<readonly UploadView[]>([])
  const running = useRef(new Map<number, () => unknown>())
  const latest = useRef(options)
  latest.current = options

  return useMemo(() => {
    const change = (key: number, next: Partial<UploadView>): void =>
      setList((before) => before.map((one) => (one.key === key ? { ...one, ...next } : one)))

    const send = async (key: number, file: File): Promise<boolean> => {
      let wanted = true
      running.current.set(key, () => (wanted = false))
      try {
        const id = await latest.current.session()
        if (!wanted) return false
        const upload = uploadFile(id, file, (sent, total) => change(key, { progress: total > 0 ? sent / total : 0 }))
        running.current.set(key, upload.cancel)
        const replaced = await upload.done
        change(key, { state: 'done', progress: 1, replaced })
        latest.current.onDone(file.name, replaced)
        return true
      } catch (error) {
        change(key, { state: 'failed', problem: error instanceof ApiError ? error.message : String(error) })
        return false
      } finally {
        running.current.delete(key)
      }
    }

    const add = async (files: readonly File[]): Promise<boolean> => {
      const { limit } = latest.current
      const views = files.map((file): UploadView => {
        const over = limit !== null && file.size > limit
        const problem = over ? words.composer.overLimit(bytes(file.size), bytes(limit)) : null
        return { key: ++keys, name: file.name, size: file.size, progress: 0, state: over ? 'failed' : 'sending', problem, replaced: false }
      })
      setList((before) => [...before.filter((one) => one.state !== 'failed'), ...views])
      const sent = await Promise.all(views.map((view, at) => view.state === 'sending' && send(view.key, files[at]!)))
      return sent.every(Boolean)
    }

    const cancel = (key: number): void => {
      running.current.get(key)?.()
      setList((before) => before.filter((one) => one.key !== key))
    }
    const clear = (): void => setList((before) => before.filter((one) => one.state === 'sending'))
    return { list, add, cancel, clear }
  }, [list])
}
