// JSON as a tree: what is deep or long is shut until somebody opens it, and drawn only then.
import { ChevronRight } from 'lucide-react'
import { useState } from 'react'
import { words } from '../../core/words.ts'

const OPEN_DEPTH = 2
const AT_ONCE = 100

export function JsonTree({ value }: { value: unknown }) {
  return (
    <div className="mono overflow-x-auto" role="group" aria-label="JSON">
      <Value name={null} value={value} depth={0} />
    </div>
  )
}

function Value({ name, value, depth }: { name: string | null; value: unknown; depth: number }) {
  if (typeof value === 'object' && value !== null) return <Branch name={name} value={value} depth={depth} />
  return (
    <div className="flex pl-4.5">
      <Name name={name} />
      <span className={`break-words whitespace-pre-wrap ${colour(value)}`}>{typeof value === 'bigint' ? String(value) : JSON.stringify(value)}</span>
    </div>
  )
}

function Branch({ name, value, depth }: { name: string | null; value: object; depth: number }) {
  const entries = Object.entries(value)
  const [open, setOpen] = useState(depth < OPEN_DEPTH && entries.length <= AT_ONCE)
  const [most, setMost] = useState(AT_ONCE)
  const list = Array.isArray(value)
  if (entries.length === 0) {
    return (
      <div className="flex pl-4.5">
        <Name name={name} />
        {list ? '[]' : '{}'}
      </div>
    )
  }
  return (
    <div>
      <button type="button" aria-expanded={open} onClick={() => setOpen(!open)} className="flex items-center text-left hover:text-accent">
        <ChevronRight size={14} className={`mr-1 shrink-0 text-ink-3 ${open ? 'rotate-90' : ''}`} />
        <Name name={name} />
        <span className="text-ink-3">{list ? `[${words.outputs.items(entries.length)}]` : `{${words.outputs.keys(entries.length)}}`}</span>
      </button>
      {open && (
        <div className="ml-1.75 border-l border-line pl-2">
          {entries.slice(0, most).map(([key, item]) => (
            <Value key={key} name={key} value={item} depth={depth + 1} />
          ))}
          {entries.length > most && (
            <button type="button" onClick={() => setMost(most + AT_ONCE)} className="pl-4.5 text-xs text-accent hover:underline">
              {entries.length - most} {words.outputs.more}
            </button>
          )}
        </div>
      )}
    </div>
  )
}

function Name({ name }: { name: string | null }) {
  return name === null ? null : <span className="mr-2 shrink-0 text-ink-2">{name}:</span>
}

function colour(value: unknown): string {
  if (typeof value === 'string') return 'text-[var(--code-string)]'
  return typeof value === 'number' || typeof value === 'bigint' ? 'text-[var(--code-number)]' : 'text-[var(--code-keyword)]'
}
