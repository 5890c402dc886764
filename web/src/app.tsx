// The page: conversations at the side, and either an empty start or one conversation.
import { PanelLeft } from 'lucide-react'
import { useCallback, useEffect, useRef, useState } from 'react'
import { Conversations } from './chat/conversations.tsx'
import type { ModelChoice } from './chat/composer.tsx'
import { Start } from './chat/start.tsx'
import { useUploads } from './chat/uploads.ts'
import { bytes } from './core/format.ts'
import { titleOf } from './core/chat.ts'
import { sampleFile } from './sample/sample.ts'
import { Banner } from './ui/banner.tsx'
import { IconButton } from './ui/button.tsx'
import { DropTarget } from './ui/drop.tsx'
import { announce, LiveRegion } from './ui/live.tsx'
import { goTo, useConversationId } from './ui/route.ts'
import { TokenGate } from './ui/token-gate.tsx'
import * as api from './wire/client.ts'
import type { ConversationItem, Model } from './wire/types.ts'
import { Workspace, type Limits } from './workspace.tsx'

const WIDE = '(min-width: 1100px)'

export function App() {
  const id = useConversationId()
  const [first, setFirst] = useState<string | null>(null)
  const [problem, setProblem] = useState<api.ApiError | null>(null)
  const [side, setSide] = useState(() => matchMedia(WIDE).matches)
  const reached = useCallback(() => setProblem((now) => (now?.status === 0 ? null : now)), [])
  const [items, refresh, locked] = useConversations(setProblem, reached)
  const model = useModels()
  const limits = useLimits()
  const session = useSession(id)
  const uploads = useUploads({
    session,
    limit: limits.upload,
    onDone: (name) => announce(`${name} is uploaded.`),
  })

  const known = items.find((item) => item.id === id)
  useEffect(() => {
    document.title = id === null ? 'Cellblock' : `${titleOf(known?.title)} · Cellblock`
  }, [id, known?.title])

  const shown = useRef(id)
  useEffect(() => {
    if (shown.current !== null && shown.current !== id) uploads.clear()
    shown.current = id
  }, [id, uploads])

  const open = (next: string | null): void => {
    goTo(next)
    if (!matchMedia(WIDE).matches) setSide(false)
  }
  const attempt = (action: Promise<unknown>): void => {
    void action.then(refresh, (error: unknown) => setProblem(asProblem(error)))
  }
  const ask = (text: string): void => {
    setFirst(text)
    session().then(refresh, (error: unknown) => {
      setFirst(null)
      setProblem(asProblem(error))
    })
  }

  const menu = !side && (
    <IconButton label="Show conversations" onClick={() => setSide(true)}>
      <PanelLeft size={16} />
    </IconButton>
  )
  if (locked) return <TokenGate />
  return (
    <div className="flex h-full">
      <LiveRegion />
      {side && (
        <>
          <div className="fixed inset-0 z-30 bg-black/40 lg:hidden" onClick={() => setSide(false)} aria-hidden />
          <div className="fixed inset-y-0 left-0 z-40 lg:static lg:z-auto">
            <Conversations
              items={withCurrent(items, id)}
              current={id}
              onOpen={open}
              onHide={() => setSide(false)}
              onRename={(one, title) => attempt(api.renameConversation(one, title))}
              onDelete={(one) => {
                attempt(api.deleteKernel(one))
                if (one === id) goTo(null, true)
              }}
            />
          </div>
        </>
      )}
      <main className="relative flex min-h-0 min-w-0 flex-1 flex-col">
        {problem !== null && (
          <div className="p-2">
            <Banner bad onClose={() => setProblem(null)}>
              {problem.message} <span className="text-ink-2">{problem.hint}</span>
            </Banner>
          </div>
        )}
        {id === null ? (
          <>
            <div className="absolute top-2 left-2">{menu}</div>
            <Start
              uploads={uploads}
              model={model}
              limit={limits.told}
              starting={first !== null}
              onAsk={ask}
              onSample={() => void sampleFile().then((file) => uploads.add([file]))}
            />
          </>
        ) : (
          <Workspace
            key={id}
            id={id}
            title={titleOf(known?.title)}
            first={first}
            onFirstSent={() => setFirst(null)}
            onChanged={refresh}
            uploads={uploads}
            model={model}
            limits={limits}
            menu={menu}
          />
        )}
      </main>
      <DropTarget onFiles={uploads.add} limit={limits.told} />
    </div>
  )
}

function asProblem(error: unknown): api.ApiError {
  return error instanceof api.ApiError ? error : api.unreachable()
}

/** The conversation that is open stands in the list from its first moment. */
function withCurrent(items: readonly ConversationItem[], id: string | null): readonly ConversationItem[] {
  if (id === null || items.some((item) => item.id === id)) return items
  return [{ id, title: null, updated: '', running: false }, ...items]
}

/** The session of this page; made, once, when something first needs one. */
function useSession(id: string | null): () => Promise<string> {
  const making = useRef<Promise<string> | null>(null)
  useEffect(() => {
    making.current = null
  }, [id])
  return useCallback(() => {
    if (id !== null) return Promise.resolve(id)
    making.current ??= api.createKernel().then(
      (kernel) => {
        goTo(kernel.id)
        return kernel.id
      },
      (error: unknown) => {
        making.current = null
        throw error
      },
    )
    return making.current
  }, [id])
}

function useConversations(
  onProblem: (error: api.ApiError) => void,
  onReached: () => void,
): [readonly ConversationItem[], () => void, boolean] {
  const [items, setItems] = useState<readonly ConversationItem[]>([])
  const [locked, setLocked] = useState(false)
  const [version, setVersion] = useState(0)
  useEffect(() => {
    let gone = false
    api.listConversations().then(
      (found) => {
        if (gone) return
        setItems(found)
        onReached()
      },
      (error: unknown) => {
        if (gone) return
        if (asProblem(error).status === 401) setLocked(true)
        else onProblem(asProblem(error))
      },
    )
    return () => {
      gone = true
    }
  }, [version, onProblem, onReached])
  return [items, useCallback(() => setVersion((count) => count + 1), []), locked]
}

const MODEL = 'cellblock.model'

function useModels(): ModelChoice {
  const [models, setModels] = useState<readonly Model[]>([])
  const [wanted, setWanted] = useState(() => {
    try {
      return localStorage.getItem(MODEL)
    } catch {
      return null
    }
  })
  useEffect(() => {
    api.listModels().then(setModels, () => {})
  }, [])
  const usable = models.filter((one) => one.available)
  const chosen = usable.find((one) => one.id === wanted) ?? usable.find((one) => one.default) ?? usable[0] ?? null
  const choose = (next: string): void => {
    setWanted(next)
    try {
      localStorage.setItem(MODEL, next)
    } catch {
      // Storage is refused: the choice lasts as long as the page.
    }
  }
  return { models, chosen, choose }
}

const UNKNOWN: Limits = { told: '', upload: null, memory: null }

function useLimits(): Limits {
  const [limits, setLimits] = useState(UNKNOWN)
  useEffect(() => {
    api.getStatus().then(
      ({ limits: { upload_limit: upload = null, workspace_limit: workspace = null, memory_limit: memory = null } = {} }) => {
        const all = workspace === null ? '' : `, ${bytes(workspace)} in all`
        setLimits({ upload, memory, told: upload === null ? '' : `Files up to ${bytes(upload)} each${all}.` })
      },
      () => {},
    )
  }, [])
  return limits
}
