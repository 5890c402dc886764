// One conversation: the chat, and beside it the notebook and the files; on a phone they are tabs.
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore, type ReactNode } from 'react'
import { applies, cellActions, focusCell, type CellActions } from './artifacts/notebook/actions.ts'
import { NotebookView } from './artifacts/notebook/notebook.tsx'
import { FilesView } from './artifacts/notebook/files.tsx'
import { StatesView } from './artifacts/notebook/states.tsx'
import { VariablesView } from './artifacts/notebook/variables.tsx'
import { SessionStore } from './artifacts/notebook/store.ts'
import { Tab, Toolbar, type Pane } from './artifacts/notebook/toolbar.tsx'
import { Chat, type Find } from './chat/chat.tsx'
import { useBranching } from './chat/branching.tsx'
import { ShareDialog } from './chat/share.tsx'
import { isBuiltIn, type ModelChoice } from './chat/composer.tsx'
import type { Uploads } from './chat/uploads.ts'
import type { Fix } from './core/asking.ts'
import type { ToolItem } from './core/chat.ts'
import { CELL_COMMANDS, NOTEBOOK_COMMANDS, type CellCommand, type NotebookCommand } from './core/commands.ts'
import { words } from './core/words.ts'
import { read } from './core/exact.ts'
import { previewOf } from './core/tree.ts'
import { SAMPLE_NAME, SAMPLE_PROMPTS } from './sample/sample.ts'
import { Button } from './ui/button.tsx'
import { useCommands, type PaletteCommand } from './ui/commands.ts'
import { announce } from './ui/live.tsx'
import { Split } from './ui/split.tsx'
import * as api from './wire/client.ts'
import type { FileEntry, NewBranch } from './wire/types.ts'

export interface Limits {
  /** What files may be, in a sentence; empty until it is known. */
  readonly told: string
  readonly upload: number | null
  readonly memory: number | null
}

export interface WorkspaceProps {
  readonly id: string
  readonly title: string
  readonly first: string | null
  readonly onFirstSent: () => void
  readonly onChanged: () => void
  readonly uploads: Uploads
  readonly model: ModelChoice
  readonly limits: Limits
  readonly menu: ReactNode
  readonly find: Find | null
  /** What is said of this conversation when it has just been made as a branch. */
  readonly arrival: Arrival | null
  readonly onBranched: (branch: NewBranch) => void
}

export interface Arrival {
  readonly notice: string
  readonly fresh: boolean
}

export function Workspace(props: WorkspaceProps) {
  const { id } = props
  const loading = useConversation(id)
  if (loading.error !== null) return <Missing error={loading.error} menu={props.menu} onRetry={loading.retry} />
  if (loading.conversation === null) return <div className="flex-1" aria-busy />
  return <Loaded {...props} conversation={loading.conversation} />
}

function Loaded({ conversation, ...props }: WorkspaceProps & { conversation: api.Conversation }) {
  const { id, uploads } = props
  const [store] = useState(() => new SessionStore(id, announce))
  useEffect(() => store.start(), [store])
  useEffect(() => {
    if (props.arrival) store.apply({ kind: 'travelled', ...props.arrival })
  }, [store, props.arrival])
  const complain = useCallback((problem: api.ApiError) => store.complain(problem), [store])
  const [branch, question] = useBranching(id, props.onBranched, complain)
  const branchFrom = useRef(branch)
  branchFrom.current = branch
  const branchAnswer = useCallback((messageId: string) => branchFrom.current({ messageId }), [])
  const view = useSyncExternalStore(store.subscribe, store.getView)
  const [writing, setWriting] = useState<ToolItem | null>(null)
  const [tab, setTab] = useState<'chat' | Pane>('chat')
  const [pane, setPane] = useState<Pane>('notebook')
  const { onChanged } = props
  useEffect(() => {
    if (view.refused) onChanged()
  }, [view.refused, onChanged])
  const [files, refreshFiles] = useFiles(id, view.session.filesVersion)

  const show = useCallback((next: 'chat' | Pane) => {
    setTab(next)
    if (next !== 'chat') setPane(next)
  }, [])
  useEffect(() => {
    const beside = matchMedia(BESIDE)
    const narrowed = (): void => {
      if (!beside.matches && document.activeElement?.closest('[data-panes]')) setTab(pane)
    }
    beside.addEventListener('change', narrowed)
    return () => beside.removeEventListener('change', narrowed)
  }, [pane])
  const latest = useRef(view.session.cells)
  latest.current = view.session.cells
  const ids = view.session.cells.map((cell) => cell.id).join()
  const cellNumber = useCallback(
    (cellId: string) => {
      const at = ids.split(',').indexOf(cellId)
      return at < 0 ? null : at + 1
    },
    [ids],
  )
  const gone = view.session.cells.flatMap((cell) => (cell.undone ? [cell.id] : [])).join()
  const cellUndone = useCallback((cellId: string) => gone.split(',').includes(cellId), [gone])
  const showCell = useCallback(
    (cellId: string) => {
      show('notebook')
      requestAnimationFrame(() => focusCell(cellId))
    },
    [show],
  )
  const [fixes, setFixes] = useState<readonly Fix[]>([])
  const [captions, setCaptions] = useState<ReadonlyMap<string, string>>(new Map())
  const [full, setFull] = useState(false)
  const helper = useRef(false)
  helper.current = props.model.chosen !== null && !isBuiltIn(props.model.chosen)
  const [wish, setWish] = useState<string | null>(null)
  const [actions] = useState(() =>
    cellActions(store, (question) => {
      if (!helper.current) return store.complain(NO_HELPER)
      setWish(question)
      setFull(false)
      setTab('chat')
    }, (at) => branchFrom.current({ at })),
  )
  const [sharing, setSharing] = useState(false)
  const share = useCallback(() => setSharing(true), [])
  useCommands(() => paletteOf(store, actions, show, () => setFull(!full), share, () => branch({})))
  const { first, onFirstSent } = props
  const onAsked = useCallback(() => {
    onFirstSent()
    setWish(null)
  }, [onFirstSent])
  const prompts = useMemo(() => promptsFor(files), [files])
  const count = files.filter((file) => file.type === 'file').length
  const importFile = (path: string): void => {
    show('notebook')
    announce(words.workspace.opening(path))
    void readNotebook(api.fileUrl(id, path)).then(
      (ipynb) => store.replace(ipynb, path),
      () => store.complain({ message: words.workspace.noNotebook(path), hint: '' }),
    )
  }
  const remove = (path: string): void => {
    void api.deleteFile(id, path).then(refreshFiles, refreshFiles)
  }

  if (view.refused?.status === 404) return <Missing error={view.refused} menu={props.menu} onRetry={() => {}} />
  return (
    <div className="flex min-h-0 min-w-0 flex-1 flex-col">
      <div className="flex h-12 shrink-0 items-center gap-1 border-b border-line px-2 md:hidden">
        {props.menu}
        <h1 className="sr-only">{props.title}</h1>
        <div role="tablist" aria-label={words.common.view} className="flex min-w-0 gap-0.5 overflow-x-auto">
          <Tab selected={tab === 'chat'} onSelect={() => show('chat')} label={words.common.chat} />
          <Tab selected={tab === 'notebook'} onSelect={() => show('notebook')} label={words.common.notebook} count={view.session.cells.length} />
          <Tab selected={tab === 'files'} onSelect={() => show('files')} label={words.common.files} count={count} />
          <Tab selected={tab === 'variables'} onSelect={() => show('variables')} label={words.common.variables} />
          <Tab selected={tab === 'states'} onSelect={() => show('states')} label={words.states.timeline} />
        </div>
      </div>
      <Split
        second={tab !== 'chat'}
        full={full}
        left={
          <div className="flex min-h-0 flex-1 flex-col">
            <div className="hidden h-12 shrink-0 items-center gap-2 px-3 md:flex">
              {props.menu}
              <h1 className="truncate px-1 text-sm font-medium text-ink-2 md:px-3">{props.title}</h1>
            </div>
            <Chat
              id={id}
              title={props.title}
              find={props.find}
              history={conversation.messages}
              wish={first ?? wish}
              onAsked={onAsked}
              onWriting={setWriting}
              onFixes={setFixes}
              onCaptions={setCaptions}
              onChanged={props.onChanged}
              cellNumber={cellNumber}
              cellUndone={cellUndone}
              showCell={showCell}
              onBranch={branchAnswer}
              uploads={uploads}
              model={props.model}
              prompts={prompts}
            />
          </div>
        }
        right={
          <div data-panes className="flex min-h-0 flex-1 flex-col bg-surface">
            <Toolbar store={store} actions={actions} view={view} pane={pane} onPane={show} files={count} memoryLimit={props.limits.memory} full={full} onFull={() => setFull(!full)} onShare={share} />
            {pane === 'states' && <StatesView store={store} view={view} onBranch={(at) => branch(at === null ? {} : { at })} />}
            {pane === 'variables' && <VariablesView kernelId={id} session={view.session} />}
            <div className={`min-h-0 flex-1 flex-col ${pane === 'notebook' ? 'flex' : 'hidden'}`}>
              <NotebookView store={store} actions={actions} view={view} writing={writing} fixes={fixes} captions={captions} helped={helper.current} />
            </div>
            {pane === 'files' && (
              <FilesView kernelId={id} files={files} uploads={uploads} onDelete={remove} onImport={importFile} limits={props.limits.told} />
            )}
          </div>
        }
      />
      {question}
      {sharing && <ShareDialog id={id} onClose={() => setSharing(false)} />}
    </div>
  )
}

/** From here on the chat and the notebook stand side by side; below it a person sees the one they are in. */
const BESIDE = '(min-width: 48rem)'

const PANES: readonly { readonly pane: 'chat' | Pane; readonly label: string }[] = [
  { pane: 'chat', label: words.workspace.showTheChat },
  { pane: 'notebook', label: words.workspace.showTheNotebook },
  { pane: 'files', label: words.workspace.showTheFiles },
  { pane: 'variables', label: words.workspace.showTheVariables },
  { pane: 'states', label: words.workspace.showTheStates },
]

function paletteOf(
  store: SessionStore,
  actions: CellActions,
  show: (pane: 'chat' | Pane) => void,
  toggleFull: () => void,
  share: () => void,
  branch: () => void,
): readonly PaletteCommand[] {
  const cell = store.attended === null ? undefined : store.cell(store.attended)
  const ofCell = (Object.keys(CELL_COMMANDS) as CellCommand[]).filter((name) => cell && applies(cell, name))
  const overall = Object.keys(NOTEBOOK_COMMANDS) as NotebookCommand[]
  return [
    ...ofCell.map((name) => ({ ...CELL_COMMANDS[name], id: name, group: words.groups.cell, run: () => actions.perform(cell!.id, name) })),
    ...overall.map((name) => ({ ...NOTEBOOK_COMMANDS[name], id: name, group: words.groups.notebook, run: () => actions.overall(name) })),
    ...PANES.map(({ pane, label }) => ({ id: `show-${pane}`, group: words.groups.view, label, keys: '', run: () => show(pane) })),
    { id: 'share', group: words.groups.conversation, label: words.share.command, keys: '', run: share },
    { id: 'branch-now', group: words.groups.conversation, label: words.branch.command, keys: '', run: branch },
    { id: 'full', group: words.groups.view, label: words.workspace.fullScreen, keys: '', run: toggleFull },
  ]
}

async function readNotebook(url: string): Promise<unknown> {
  return read(await (await api.request(url)).text())
}

const NO_HELPER = {
  message: words.workspace.noHelper,
  hint: words.workspace.chooseModel,
}

function promptsFor(files: readonly FileEntry[]): readonly string[] {
  const regular = files.filter((file) => file.type === 'file' && !/(^|\/)\./.test(file.path)) // what programs keep aside
  const first = regular.find((file) => previewOf(file.path) === 'table') ?? regular[0]
  if (!first) return []
  if (first.path === SAMPLE_NAME) return SAMPLE_PROMPTS
  return [words.workspace.describe(first.path), words.common.whatStandsOut]
}

function useConversation(id: string): {
  conversation: api.Conversation | null
  error: api.ApiError | null
  retry: () => void
} {
  const [conversation, setConversation] = useState<api.Conversation | null>(null)
  const [error, setError] = useState<api.ApiError | null>(null)
  const [tries, setTries] = useState(0)
  useEffect(() => {
    let gone = false
    api
      .getConversation(id)
      .then((found) => gone || setConversation(found))
      .catch((problem: unknown) => gone || setError(problem instanceof api.ApiError ? problem : api.unreachable()))
    return () => {
      gone = true
    }
  }, [id, tries])
  const retry = (): void => {
    setError(null)
    setTries(tries + 1)
  }
  return { conversation, error, retry }
}

function useFiles(id: string, version: number): [readonly FileEntry[], () => void] {
  const [files, setFiles] = useState<readonly FileEntry[]>([])
  const [own, setOwn] = useState(0)
  useEffect(() => {
    let gone = false
    api.listFiles(id).then(
      (found) => gone || setFiles(found),
      () => {},
    )
    return () => {
      gone = true
    }
  }, [id, version, own])
  return [files, useCallback(() => setOwn((count) => count + 1), [])]
}

function Missing({ error, menu, onRetry }: { error: api.ApiError; menu: ReactNode; onRetry: () => void }) {
  return (
    <div className="flex min-w-0 flex-1 flex-col">
      <div className="flex h-12 items-center px-2">{menu}</div>
      <div className="mx-auto flex max-w-md flex-1 flex-col justify-center px-4 pb-[20vh]">
        <h1 className="text-lg font-semibold">{error.status === 404 ? words.workspace.missing : error.message}</h1>
        <p className="mt-1 mb-4 text-sm text-ink-2">
          {error.status === 404 ? words.workspace.missingHint : error.hint}
        </p>
        <div className="flex gap-2">
          <a href="/" className="inline-flex h-8 items-center rounded-md border border-line-strong px-3 text-sm font-medium hover:bg-hover">
            {words.common.newConversation}
          </a>
          {error.status !== 404 && (
            <Button look="outline" onClick={onRetry}>
              {words.common.tryAgain}
            </Button>
          )}
        </div>
      </div>
    </div>
  )
}
