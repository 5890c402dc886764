// The page: conversations at the side, and either an empty start or one conversation.
import { PanelLeft } from 'lucide-react'
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { Conversations, THEMES } from './chat/conversations.tsx'
import type { Find } from './chat/chat.tsx'
import type { ModelChoice } from './chat/composer.tsx'
import { keepDraft, START, takeDraftTo } from './chat/draft.ts'
import { Start } from './chat/start.tsx'
import { useUploads } from './chat/uploads.ts'
import { bytes } from './core/format.ts'
import { titleOf } from './core/chat.ts'
import { sampleFile } from './sample/sample.ts'
import { Banner } from './ui/banner.tsx'
import { IconButton } from './ui/button.tsx'
import { useCommands } from './ui/commands.ts'
import { DropTarget } from './ui/drop.tsx'
import { MENUS } from './ui/menu.tsx'
import { announce, LiveRegion } from './ui/live.tsx'
import { Palette, Shortcuts } from './ui/palette.tsx'
import { goTo, useConversationId } from './ui/route.ts'
import { chooseTheme } from './ui/theme.ts'
import { TokenGate } from './ui/token-gate.tsx'
import * as api from './wire/client.ts'
import { forgetUnsent } from './wire/unsent.ts'
import type { ConversationItem, Kernel, Model, NewBranch } from './wire/types.ts'
import { words } from './core/words.ts'
import { Workspace, type Arrival, type Limits } from './workspace.tsx'

const WIDE = '(min-width: 1100px)'
/** Milliseconds: no other conversation tells this page that its answer is there. */
const LOOK_AGAIN = 3000

export function App() {
  const id = useConversationId()
  const [first, setFirst] = useState<First | null>(null)
  const [problem, setProblem] = useState<api.ApiError | null>(null)
  const [side, setSide] = useState(() => matchMedia(WIDE).matches)
  const reached = useCallback(() => setProblem((now) => (now?.status === 0 ? null : now)), [])
  const [items, refresh, locked] = useConversations(setProblem, reached)
  const model = useModels()
  const limits = useLimits()
  const session = useSession(id, useCallback((made: string) => setFirst((now) => now && { id: made, ...now }), []))
  const uploads = useUploads({
    session,
    limit: limits.upload,
    onDone: (name, replaced) => announce(words.page.uploaded(name, replaced)),
  })

  const elsewhere = items.some((item) => item.running && item.id !== id)
  useEffect(() => {
    if (!elsewhere) return
    const timer = setInterval(() => document.visibilityState === 'visible' && refresh(), LOOK_AGAIN)
    return () => clearInterval(timer)
  }, [elsewhere, refresh])

  const known = items.find((item) => item.id === id)
  useEffect(() => {
    document.title = id === null ? 'Cellblock' : `${titleOf(known?.title)} · Cellblock`
  }, [id, known?.title])

  const shown = useRef(id)
  useEffect(() => {
    if (shown.current !== null && shown.current !== id) uploads.clear()
    shown.current = id
  }, [id, uploads])

  const [find, setFind] = useState<(Find & { readonly id: string | null }) | null>(null)
  const open = (next: string | null, wanted = ''): void => {
    setFind(wanted === '' ? null : { id: next, words: wanted })
    goTo(next)
    if (!matchMedia(WIDE).matches) setSide(false)
  }
  const attempt = (action: Promise<unknown>): void => {
    void action.then(refresh, (error: unknown) => setProblem(asProblem(error)))
  }
  const sampling = useRef<Promise<unknown>>(Promise.resolve())
  const here = useRef(session)
  here.current = session
  const ask = (text: string): void => {
    keepDraft(START, '')
    setFirst({ text })
    sampling.current.then(session).then(refresh, (error: unknown) => {
      setFirst(null)
      setProblem(asProblem(error))
    })
  }

  const [arrival, setArrival] = useState<(Arrival & { readonly id: string }) | null>(null)
  const trunk = useRef<string | null>(null)
  trunk.current = known?.title ?? null
  const branched = useCallback(
    (branch: NewBranch): void => {
      const notice = [words.branch.made(trunk.current), branch.notice].filter(Boolean).join(' ')
      setArrival({ id: branch.id, notice, fresh: branch.fresh })
      setFind(null)
      goTo(branch.id)
      refresh()
      announce(notice)
    },
    [refresh],
  )
  const sample = (question: string | null): void => {
    sampling.current = sampleFile()
      .then((file) => Promise.all([uploads.add([file]), here.current()]))
      .then(([sent, id]) => sent && question !== null && setFirst({ text: question, id }))
      .catch((error: unknown) => setProblem(asProblem(error)))
  }

  const main = useRef<HTMLElement>(null)
  const menu = !side && (
    <IconButton label={words.page.showConversations} onClick={() => setSide(true)}>
      <PanelLeft size={16} />
    </IconButton>
  )
  const [over, setOver] = useState<'palette' | 'shortcuts' | null>(null)
  useEffect(() => setOver(null), [id])
  useEffect(() => {
    const wide = matchMedia(WIDE)
    const narrowed = (): void => setSide((now) => now && wide.matches)
    wide.addEventListener('change', narrowed)
    return () => wide.removeEventListener('change', narrowed)
  }, [])
  useKey('k', () => setOver('palette'))
  useCommands(() => [
    { id: 'new', group: words.groups.page, label: words.common.newConversation, keys: '', run: () => open(null) },
    { id: 'side', group: words.groups.page, label: side ? words.page.hideConversations : words.page.showConversations, keys: '', run: () => setSide(!side) },
    { id: 'keys', group: words.groups.page, label: words.page.keyboardShortcuts, keys: '', run: () => setOver('shortcuts') },
    ...THEMES.map(({ value, label }) => ({ id: `theme-${value}`, group: words.groups.theme, label: words.page.themeCommand(label), keys: '', run: () => chooseTheme(value) })),
    ...items.map((item) => ({ id: `open-${item.id}`, group: words.groups.conversation, label: titleOf(item.title), keys: '', run: () => open(item.id) })),
  ])
  if (locked) return <TokenGate />
  return (
    <div className="flex h-full">
      <LiveRegion />
      {side && (
        <>
          <button
            type="button"
            onClick={() => main.current?.focus()}
            className="sr-only z-50 rounded-md border border-line bg-surface px-3 py-1 text-sm focus:not-sr-only focus:fixed focus:top-2 focus:left-2"
          >
            {words.page.skip}
          </button>
          <div className="fixed inset-0 z-30 bg-black/40 lg:hidden" onClick={() => setSide(false)} aria-hidden />
          <div className="fixed inset-y-0 left-0 z-40 lg:static lg:z-auto">
            <Conversations
              items={withCurrent(items, id)}
              current={id}
              onOpen={open}
              onHide={() => setSide(false)}
              onCommands={() => setOver('palette')}
              onRename={(one, title) => attempt(api.renameConversation(one, title))}
              onDelete={(one) => {
                attempt(api.deleteKernel(one).then(() => forgetUnsent(one)))
                if (one === id) goTo(null, true)
              }}
            />
          </div>
        </>
      )}
      <main ref={main} tabIndex={-1} className="relative flex min-h-0 min-w-0 flex-1 flex-col outline-none">
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
              starting={first !== null && first.id === undefined}
              onAsk={ask}
              onSample={sample}
            />
          </>
        ) : (
          <Workspace
            key={id}
            id={id}
            title={titleOf(known?.title)}
            first={first?.id === id ? first.text : null}
            onFirstSent={() => setFirst(null)}
            onChanged={refresh}
            uploads={uploads}
            model={model}
            limits={limits}
            menu={menu}
            find={find?.id === id ? find : null}
            arrival={arrival?.id === id ? arrival : null}
            onBranched={branched}
          />
        )}
      </main>
      {over === 'palette' && <Palette onClose={() => setOver(null)} />}
      {over === 'shortcuts' && <Shortcuts onClose={() => setOver(null)} />}
      <section id={MENUS} aria-label={words.common.menus} />
      <DropTarget onFiles={(files) => void uploads.add(files)} limit={limits.told} />
    </div>
  )
}

/** A question asked before its conversation was there: no other one is asked it. */
interface First {
  readonly text: string
  readonly id?: string
}

/** Ctrl or Command with a letter, wherever the focus is. */
function useKey(letter: string, act: () => void): void {
  const latest = useRef(act)
  useEffect(() => {
    latest.current = act
  })
  useEffect(() => {
    const listen = (event: KeyboardEvent): void => {
      if (event.key.toLowerCase() !== letter || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return
      event.preventDefault()
      latest.current()
    }
    addEventListener('keydown', listen, { capture: true })
    return () => removeEventListener('keydown', listen, { capture: true })
  }, [letter])
}

function asProblem(error: unknown): api.ApiError {
  return error instanceof api.ApiError ? error : api.unreachable()
}

/** The conversation that is open stands in the list from its first moment. */
function withCurrent(items: readonly ConversationItem[], id: string | null): readonly ConversationItem[] {
  if (id === null || items.some((item) => item.id === id)) return items
  return [{ id, title: null, updated: '', running: false, excerpt: null }, ...items]
}

/** The session of this page; made, once, when something first needs one. */
function useSession(id: string | null, onMade: (id: string) => void): () => Promise<string> {
  return useMemo(() => {
    if (id !== null) return () => Promise.resolve(id)
    let making: Promise<string> | null = null
    const made = (kernel: Kernel): string => {
      takeDraftTo(kernel.id)
      onMade(kernel.id)
      goTo(kernel.id)
      return kernel.id
    }
    const failed = (error: unknown): never => {
      making = null
      throw error
    }
    return () => (making ??= api.createKernel().then(made, failed))
  }, [id, onMade])
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
  const [told] = useState(() => api.listModels().catch((): Model[] => []))
  useEffect(() => void told.then(setModels), [told])
  const latest = useRef(wanted)
  latest.current = wanted
  const idOfChosen = useCallback(async () => chosenOf(await told, latest.current)?.id ?? null, [told])
  const choose = (next: string): void => {
    setWanted(next)
    try {
      localStorage.setItem(MODEL, next)
    } catch {
      // Storage is refused: the choice lasts as long as the page.
    }
  }
  return { models, chosen: chosenOf(models, wanted), choose, idOfChosen }
}

function chosenOf(models: readonly Model[], wanted: string | null): Model | null {
  const usable = models.filter((one) => one.available)
  return usable.find((one) => one.id === wanted) ?? usable.find((one) => one.default) ?? usable[0] ?? null
}

const UNKNOWN: Limits = { told: '', upload: null, memory: null }

function useLimits(): Limits {
  const [limits, setLimits] = useState(UNKNOWN)
  useEffect(() => {
    api.getStatus().then(
      ({ limits: { upload_limit: upload = null, workspace_limit: workspace = null, memory_limit: memory = null } = {} }) => {
        const told = upload === null ? '' : words.page.limits(bytes(upload), workspace === null ? null : bytes(workspace))
        setLimits({ upload, memory, told })
      },
      () => {},
    )
  }, [])
  return limits
}
