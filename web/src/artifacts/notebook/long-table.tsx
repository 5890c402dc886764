// A table too long to be shown whole: its preview in the frame, and, asked for, all of it, page by page from the kernel.
import { ChevronLeft, ChevronRight } from 'lucide-react'
import { useEffect, useState, type ReactNode } from 'react'
import { FIRST, pageTold, ROWS, sorted, turned, type Look } from '../../core/variables.ts'
import type { LongTable } from '../../core/outputs.ts'
import { words } from '../../core/words.ts'
import { Button, IconButton } from '../../ui/button.tsx'
import { Grid } from '../../ui/grid.tsx'
import { ApiError, outputRows, type Place } from '../../wire/client.ts'
import type { TableView } from '../../wire/types.ts'

const say = words.table

export function WithAllRows({ table, at, place, children }: { table: LongTable; at: number; place: Place; children: ReactNode }) {
  const [open, setOpen] = useState(false)
  if (open) return <AllRows at={at} place={place} onClose={() => setOpen(false)} />
  return (
    <div>
      {children}
      <Button look="outline" className="mt-1 h-7 px-2" onClick={() => setOpen(true)}>
        {say.all(table.rows)}
      </Button>
    </div>
  )
}

function AllRows({ at, place, onClose }: { at: number; place: Place; onClose: () => void }) {
  const [look, setLook] = useState<Look>(FIRST)
  const { table, problem } = useRows(place, at, look)
  return (
    <div className="flex max-h-120 flex-col" data-table>
      <div className="flex min-h-9 items-center gap-1 pb-1">
        <Button look="outline" className="h-7 px-2" onClick={onClose} autoFocus>
          {say.preview}
        </Button>
        {table && <Pages table={table} look={look} onLook={setLook} />}
      </div>
      {problem !== null && (
        <p role="alert" className="pb-1 text-sm text-bad">
          {problem}
        </p>
      )}
      {table === null && problem === null && <p className="text-sm text-ink-3">{say.asking}</p>}
      {table && (
        <Grid
          label={say.label}
          columns={table.columns.map((column) => ({ name: column.name, detail: column.type, numeric: column.numeric }))}
          index={table.index}
          rows={table.rows}
          order={{ column: look.sort, descending: look.descending, onOrder: (column) => setLook(sorted(look, column)) }}
        />
      )}
    </div>
  )
}

/** Which rows are here, and the way to the others. At an end a button stays where it is, so that the focus does. */
export function Pages({ table, look, onLook, disabled = false }: { table: TableView; look: Look; onLook: (look: Look) => void; disabled?: boolean }) {
  const [before, after] = [turned(look, -1, table.total), turned(look, 1, table.total)]
  const hidden = table.columns_total - table.columns.length
  const step = (label: string, to: Look | null, icon: ReactNode): ReactNode => {
    const shut = disabled || to === null
    return (
      <IconButton label={label} className="size-7 aria-disabled:opacity-40" aria-disabled={shut} onClick={() => !shut && onLook(to)}>
        {icon}
      </IconButton>
    )
  }
  return (
    <div className="ml-auto flex shrink-0 items-center gap-1 text-xs text-ink-3 tabular-nums">
      <span data-rows aria-live="polite">
        {pageTold(look, table)}
      </span>
      {hidden > 0 && <span className="hidden md:inline">, {words.table.moreColumns(hidden)}</span>}
      {step(words.table.before, before, <ChevronLeft size={14} />)}
      {step(words.table.after, after, <ChevronRight size={14} />)}
    </div>
  )
}

/** The rows last told stay until others come. */
function useRows({ kernelId, cellId }: Place, at: number, look: Look): { table: TableView | null; problem: string | null } {
  const [table, setTable] = useState<TableView | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  useEffect(() => {
    let gone = false
    outputRows({ kernelId, cellId }, at, look, ROWS).then(
      (told) => {
        if (gone) return
        setTable(told)
        setProblem(null)
      },
      (error: unknown) => {
        if (gone) return
        const known = error instanceof ApiError
        setProblem(known && error.status === 404 ? say.gone : known ? `${error.message} ${error.hint}` : String(error))
      },
    )
    return () => {
      gone = true
    }
  }, [kernelId, cellId, at, look])
  return { table, problem }
}
