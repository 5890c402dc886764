// A table that scrolls in both directions under a head that stays; its columns may be ordered by their heads.
import { spacesAfter } from '../core/format.ts'
import { words } from '../core/words.ts'
import { ArrowDown, ArrowUp } from 'lucide-react'

export interface GridColumn {
  readonly name: string
  readonly detail?: string
  readonly numeric: boolean
}

export interface GridOrder {
  readonly column: number | null
  readonly descending: boolean
  readonly onOrder: (column: number) => void
}

const HEAD = 'sticky top-0 z-10 border-b border-line-strong bg-surface font-semibold whitespace-nowrap'

export function Grid({
  label,
  columns,
  index,
  rows,
  order,
}: {
  label: string
  columns: readonly GridColumn[]
  index?: readonly string[]
  rows: readonly (readonly (string | null)[])[]
  order?: GridOrder
}) {
  const spaces = columns.map(({ numeric }, place) => (numeric ? spacesAfter(rows.map((row) => row[place])) : []))
  return (
    <div className="min-h-0 flex-1 overflow-auto" tabIndex={0} role="group" aria-label={label}>
      <table className="mono w-max border-separate border-spacing-0 text-left text-[12px]! leading-5 tabular-nums">
        <thead>
          <tr>
            {index && (
              <th scope="col" className={`${HEAD} left-0 z-20 px-3 py-1`}>
                <span className="sr-only">{words.table.index}</span>
              </th>
            )}
            {columns.map((column, at) => (
              <Head key={at} column={column} at={at} {...(order ? { order } : {})} />
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, at) => (
            <tr key={at} className="group/row hover:bg-hover">
              {index && (
                <th scope="row" className="sticky left-0 max-w-60 truncate border-b border-line bg-surface px-3 py-1 font-normal text-ink-3 group-hover/row:bg-hover">
                  {index[at]}
                </th>
              )}
              {columns.map((column, place) => (
                <td key={place} title={long(row[place])} className={`max-w-90 truncate border-b border-line px-3 py-1 ${column.numeric ? 'text-right' : ''}`}>
                  {row[place] ?? <span className="text-ink-3">–</span>}
                  {'\u00a0'.repeat(spaces[place]![at] ?? 0)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function long(text: string | null | undefined): string | undefined {
  return text && text.length > 40 ? text : undefined
}

function Head({ column, at, order }: { column: GridColumn; at: number; order?: GridOrder }) {
  const active = order?.column === at
  const sort = !active ? 'none' : order.descending ? 'descending' : 'ascending'
  const name = (
    <>
      {column.name}
      {column.detail && <span className="ml-2 font-normal text-ink-3">{column.detail}</span>}
    </>
  )
  const look = `${HEAD} ${column.numeric ? 'text-right' : ''}`
  if (!order) return <th scope="col" className={`${look} px-3 py-1`}>{name}</th>
  const Arrow = order.descending ? ArrowDown : ArrowUp
  return (
    <th scope="col" aria-sort={sort} className={look}>
      <button type="button" onClick={() => order.onOrder(at)} className="inline-flex items-center gap-1 px-3 py-1 font-semibold hover:text-accent">
        {name}
        {active && <Arrow size={12} aria-hidden />}
      </button>
    </th>
  )
}
