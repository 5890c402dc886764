// What the kernel knows: its variables, and one of them page by page, as the kernel tells it.
import { ArrowLeft, RefreshCw } from 'lucide-react'
import { useCallback, useEffect, useState } from 'react'
import { isBusy, type Session } from '../../core/notebook.ts'
import { FIRST, kindOf, ROWS, shapeOf, sizeOf, sorted, within, type Look } from '../../core/variables.ts'
import { IconButton } from '../../ui/button.tsx'
import { Grid } from '../../ui/grid.tsx'
import { Pages } from './long-table.tsx'
import { ApiError, listVariables, lookAt } from '../../wire/client.ts'
import { words } from '../../core/words.ts'
import type { Variable, VariableView } from '../../wire/types.ts'

export function VariablesView({ kernelId, session }: { kernelId: string; session: Session }) {
  const [chosen, setChosen] = useState<string | null>(null)
  const busy = isBusy(session)
  const asleep = session.phase === 'released' || session.phase === 'starting'
  const { value, problem, again } = useTold(useCallback(() => listVariables(kernelId), [kernelId]), busy, session.ended)
  if (asleep) return <Quiet>{words.variables.asleep}</Quiet>
  if (chosen !== null) {
    return <OneVariable key={chosen} kernelId={kernelId} name={chosen} session={session} onBack={() => setChosen(null)} />
  }
  if (value === null) return <Quiet>{problem ?? (busy ? words.variables.busy : words.common.asking)}</Quiet>
  if (value.length === 0) return <Quiet>{words.variables.none}</Quiet>
  return (
    <div className="min-h-0 flex-1 overflow-y-auto" data-variables>
      <div className="mx-auto max-w-[920px] px-2 pt-3 pb-24 md:px-6">
        <div className="flex h-9 items-center px-2 text-xs text-ink-3">
          {words.variables.count(value.length)}
          {busy && <span>{words.variables.before}</span>}
          {problem !== null && <span className="pl-2 text-bad">{problem}</span>}
          <IconButton label={words.variables.askAgain} className="ml-auto size-7" onClick={again} disabled={busy}>
            <RefreshCw size={14} />
          </IconButton>
        </div>
        <VariableTable variables={value} onChoose={setChosen} />
      </div>
    </div>
  )
}

const CELL = 'border-b border-line px-2 py-1.5 align-baseline'

function VariableTable({ variables, onChoose }: { variables: readonly Variable[]; onChoose: (name: string) => void }) {
  return (
    <table className="w-full table-fixed border-separate border-spacing-0 text-sm">
      <thead className="text-left text-xs text-ink-3">
        <tr>
          <th scope="col" className={`${CELL} w-[34%] font-normal md:w-[28%]`}>{words.variables.name}</th>
          <th scope="col" className={`${CELL} w-[26%] font-normal md:w-[16%]`}>{words.variables.type}</th>
          <th scope="col" className={`${CELL} w-[20%] text-right font-normal md:w-24`}>{words.variables.shape}</th>
          <th scope="col" className={`${CELL} w-[20%] text-right font-normal md:w-24`}>{words.variables.size}</th>
          <th scope="col" className={`${CELL} hidden pl-6 font-normal md:table-cell`}>{words.variables.preview}</th>
        </tr>
      </thead>
      <tbody>
        {variables.map((one) => (
          <tr key={one.name} className="hover:bg-hover">
            <th scope="row" className={`${CELL} text-left font-normal`}>
              <button type="button" onClick={() => onChoose(one.name)} className="mono block max-w-full truncate text-left text-accent hover:underline" title={one.name}>
                {one.name}
              </button>
            </th>
            <td className={`${CELL} truncate text-ink-2`} title={one.type}>{kindOf(one)}</td>
            <td className={`${CELL} truncate text-right tabular-nums text-ink-2`}>{shapeOf(one)}</td>
            <td className={`${CELL} truncate text-right tabular-nums text-ink-2`}>{sizeOf(one)}</td>
            <td className={`${CELL} mono hidden truncate pl-6 text-ink-3 md:table-cell`}>{one.preview}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function OneVariable({ kernelId, name, session, onBack }: { kernelId: string; name: string; session: Session; onBack: () => void }) {
  const [look, setLook] = useState<Look>(FIRST)
  const busy = isBusy(session)
  const ask = useCallback((): Promise<VariableView> => lookAt(kernelId, name, look, ROWS), [kernelId, name, look])
  const { value, problem } = useTold(ask, busy, session.ended)
  const total = value?.kind === 'table' ? value.total : null
  useEffect(() => {
    if (total !== null) setLook((now) => within(now, total))
  }, [total])
  return (
    <div className="flex min-h-0 flex-1 flex-col" data-variable={name}>
      <div className="flex h-11 shrink-0 items-center gap-2 px-2 md:px-4">
        <IconButton label={words.variables.all} onClick={onBack} autoFocus>
          <ArrowLeft size={16} />
        </IconButton>
        <h2 className="mono min-w-0 truncate font-semibold">{name}</h2>
        {value?.kind === 'table' && <Pages table={value} look={look} onLook={setLook} disabled={busy} />}
      </div>
      {problem !== null && <p className="px-4 py-2 text-sm text-bad">{problem}</p>}
      {value === null && problem === null && <Quiet>{busy ? words.variables.running : words.common.asking}</Quiet>}
      {value?.kind === 'text' && (
        <pre className="mono min-h-0 flex-1 overflow-auto px-4 py-2 break-words whitespace-pre-wrap" tabIndex={0}>
          {value.text}
        </pre>
      )}
      {value?.kind === 'table' && (
        <Grid
          label={words.table.rowsOf(name)}
          columns={value.columns.map((column) => ({ name: column.name, detail: column.type, numeric: column.numeric }))}
          index={value.index}
          rows={value.rows}
          order={{ column: look.sort, descending: look.descending, onOrder: (column) => setLook(sorted(look, column)) }}
        />
      )}
    </div>
  )
}

export function Quiet({ children }: { children: React.ReactNode }) {
  return <p className="px-6 py-16 text-center text-sm text-ink-3">{children}</p>
}

interface Told<T> {
  readonly value: T | null
  readonly problem: string | null
  readonly again: () => void
}

/** Asks while nothing runs, and again after every run; an older answer that comes late is dropped. */
function useTold<T>(ask: () => Promise<T>, busy: boolean, runs: number): Told<T> {
  const [value, setValue] = useState<T | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const [tries, setTries] = useState(0)
  useEffect(() => {
    if (busy) return
    let gone = false
    ask().then(
      (told) => {
        if (gone) return
        setValue(told)
        setProblem(null)
      },
      (error: unknown) => gone || setProblem(error instanceof ApiError ? error.message : String(error)),
    )
    return () => {
      gone = true
    }
  }, [ask, busy, runs, tries])
  return { value, problem, again: useCallback(() => setTries((count) => count + 1), []) }
}
