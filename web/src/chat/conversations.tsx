// The list of conversations, and what holds for the whole page.
import { Command as CommandIcon, Ellipsis, Monitor, Moon, PanelLeft, Pencil, Search, SquarePen, Sun, Trash2 } from 'lucide-react'
import { useEffect, useState } from 'react'
import { found, marked, titleOf, titleParts } from '../core/chat.ts'
import { words } from '../core/words.ts'
import { findConversations } from '../wire/client.ts'
import { Button, IconButton } from '../ui/button.tsx'
import { Confirm } from '../ui/dialog.tsx'
import { keysShown, Menu, MenuChoices, MenuItem } from '../ui/menu.tsx'
import { chooseTheme, useTheme, type Theme } from '../ui/theme.ts'
import type { ConversationItem } from '../wire/types.ts'

export interface ConversationsProps {
  readonly items: readonly ConversationItem[]
  readonly current: string | null
  /** `wanted`: the words it was found by. */
  readonly onOpen: (id: string | null, wanted?: string) => void
  readonly onRename: (id: string, title: string) => void
  readonly onDelete: (id: string) => void
  readonly onHide: () => void
  readonly onCommands: () => void
}

export function Conversations({ items, current, onOpen, onRename, onDelete, onHide, onCommands }: ConversationsProps) {
  const [renaming, setRenaming] = useState<string | null>(null)
  const [doomed, setDoomed] = useState<ConversationItem | null>(null)
  const [wanted, setWanted] = useState('')
  const { shown, note } = useFound(items, wanted)
  return (
    <nav aria-label={words.conversations.label} className="flex h-full w-60 flex-col border-r border-line bg-page">
      <div className="flex h-12 shrink-0 items-center gap-1 pr-2 pl-4">
        <a
          href="/"
          onClick={(event) => {
            event.preventDefault()
            onOpen(null)
          }}
          className="text-sm font-semibold tracking-tight"
        >
          Cellblock
        </a>
        <span className="ml-auto" />
        <IconButton label={words.common.newConversation} onClick={() => onOpen(null)}>
          <SquarePen size={16} />
        </IconButton>
        <IconButton label={words.conversations.hide} onClick={onHide}>
          <PanelLeft size={16} />
        </IconButton>
      </div>
      {items.length > 1 && (
        <label className="mx-2 mb-1 flex h-8 shrink-0 items-center gap-2 rounded-md px-2 text-ink-3 focus-within:bg-hover hover:bg-hover">
          <Search size={14} className="shrink-0" />
          <input
            type="search"
            aria-label={words.search.label}
            placeholder={words.search.hint}
            value={wanted}
            onChange={(event) => setWanted(event.target.value)}
            onKeyDown={(event) => event.key === 'Escape' && !event.nativeEvent.isComposing && setWanted('')}
            className="min-w-0 flex-1 bg-transparent text-sm text-ink outline-none placeholder:text-ink-3"
          />
        </label>
      )}
      <ul className="min-h-0 flex-1 overflow-y-auto px-2 py-1">
        {shown.map((item) => (
          <li key={item.id}>
            {renaming === item.id ? (
              <Rename
                title={item.title ?? ''}
                onDone={(title) => {
                  setRenaming(null)
                  if (title) onRename(item.id, title)
                }}
              />
            ) : (
              <Entry
                item={item}
                wanted={wanted}
                current={item.id === current}
                onOpen={() => onOpen(item.id, wanted.trim())}
                onRename={() => setRenaming(item.id)}
                onDelete={() => setDoomed(item)}
              />
            )}
          </li>
        ))}
        {note !== null && <li className="px-2 py-2 text-sm text-ink-3">{note}</li>}
      </ul>
      <div className="flex h-12 shrink-0 items-center px-2">
        <ThemeMenu />
        <Button onClick={onCommands} className="ml-auto px-2 font-normal" aria-keyshortcuts="Control+K">
          <CommandIcon size={14} /> {words.conversations.commands} <span className="text-xs text-ink-3 pointer-coarse:hidden">{keysShown('Ctrl+K')}</span>
        </Button>
      </div>
      {doomed !== null && (
        <Confirm
          question={words.conversations.deleteQuestion(titleOf(doomed.title))}
          detail={words.conversations.deleted}
          action={words.common.delete}
          onConfirm={() => onDelete(doomed.id)}
          onClose={() => setDoomed(null)}
        />
      )}
    </nav>
  )
}

const PAUSE = 200

/** Titles at once; what was said, when the server has looked. */
function useFound(items: readonly ConversationItem[], wanted: string): { shown: readonly ConversationItem[]; note: string | null } {
  const query = wanted.trim()
  const [told, setTold] = useState<{ query: string; items: readonly ConversationItem[] | null }>({ query: '', items: [] })
  useEffect(() => {
    if (query === '') return
    const abort = new AbortController()
    const timer = setTimeout(() => {
      findConversations(query, abort.signal).then(
        (said) => setTold({ query, items: said }),
        () => abort.signal.aborted || setTold({ query, items: null }),
      )
    }, PAUSE)
    return () => {
      clearTimeout(timer)
      abort.abort()
    }
  }, [query])
  const titled = found(items, wanted)
  if (query === '') return { shown: items, note: items.length === 0 ? words.search.none : null }
  if (told.query !== query) return { shown: titled, note: words.search.searching }
  if (told.items === null) return { shown: titled, note: words.search.failed }
  const known = new Map(items.map((item) => [item.id, item])) // renamed or deleted meanwhile
  const said = told.items.flatMap((item) => (known.has(item.id) ? [{ ...known.get(item.id)!, excerpt: item.excerpt }] : []))
  return { shown: said, note: said.length === 0 ? words.search.nothing : null }
}

function Entry({
  item,
  wanted,
  current,
  onOpen,
  onRename,
  onDelete,
}: {
  item: ConversationItem
  wanted: string
  current: boolean
  onOpen: () => void
  onRename: () => void
  onDelete: () => void
}) {
  const [head, tail] = titleParts(titleOf(item.title))
  return (
    <div className={`group relative flex min-h-9 items-center rounded-md text-sm ${current ? 'bg-hover' : 'hover:bg-hover'}`}>
      <a
        href={`/c/${item.id}`}
        aria-current={current ? 'page' : undefined}
        onClick={(event) => {
          if (event.metaKey || event.ctrlKey || event.shiftKey) return
          event.preventDefault()
          onOpen()
        }}
        className={`min-w-0 flex-1 rounded-md py-2 pr-2 pl-2 group-focus-within:pr-8 group-hover:pr-8 group-has-data-[state=open]:pr-8 pointer-coarse:pr-8 ${current ? 'text-ink' : 'text-ink-2'}`}
      >
        <span className="flex items-center gap-1">
          {item.running && <span role="img" className="mr-1 size-1.5 shrink-0 rounded-full bg-accent" aria-label={words.conversations.answering} />}
          <span className="truncate">{head}</span> {tail && <span className="shrink-0">{tail}</span>}
        </span>
        {item.excerpt && (
          <span className="line-clamp-2 text-xs break-words whitespace-normal text-ink-3">
            {marked(item.excerpt, wanted).map((piece, at) =>
              piece.hit ? (
                <mark key={at} className="bg-transparent font-semibold text-ink">
                  {piece.text}
                </mark>
              ) : (
                piece.text
              ),
            )}
          </span>
        )}
      </a>
      <Menu
        trigger={
          <IconButton label={words.conversations.renameOrDelete(titleOf(item.title))} className="absolute top-0.5 right-0 opacity-0 group-hover:opacity-100 focus-visible:opacity-100 data-[state=open]:opacity-100 pointer-coarse:opacity-100">
            <Ellipsis size={14} />
          </IconButton>
        }
      >
        <MenuItem onSelect={onRename}>
          <Pencil size={14} className="text-ink-3" /> {words.conversations.rename}
        </MenuItem>
        <MenuItem danger onSelect={onDelete}>
          <Trash2 size={14} /> {words.common.delete}
        </MenuItem>
      </Menu>
    </div>
  )
}

function Rename({ title, onDone }: { title: string; onDone: (title: string) => void }) {
  const [value, setValue] = useState(title)
  return (
    <input
      autoFocus
      aria-label={words.conversations.title}
      maxLength={200}
      value={value}
      onChange={(event) => setValue(event.target.value)}
      onFocus={(event) => event.target.select()}
      onBlur={() => onDone(value.trim())}
      onKeyDown={(event) => {
        if (event.nativeEvent.isComposing) return
        if (event.key === 'Enter') onDone(value.trim())
        if (event.key === 'Escape') onDone('')
      }}
      className="h-9 w-full rounded-md border border-accent bg-surface px-2 text-sm"
    />
  )
}

export const THEMES: readonly { value: Theme; label: string }[] = [
  { value: 'system', label: words.conversations.system },
  { value: 'light', label: words.conversations.light },
  { value: 'dark', label: words.conversations.dark },
]

export function ThemeMenu() {
  const theme = useTheme()
  const Icon = theme === 'light' ? Sun : theme === 'dark' ? Moon : Monitor
  return (
    <Menu
      align="start"
      trigger={
        <IconButton label={words.conversations.theme}>
          <Icon size={16} />
        </IconButton>
      }
    >
      <MenuChoices value={theme} onChange={chooseTheme} choices={THEMES} />
    </Menu>
  )
}
