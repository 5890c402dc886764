// A cell that only stands there: its count, its source, what it had put out, and whether that was taken back.
import { useRef } from 'react'
import { Standing } from '../artifacts/notebook/editor.tsx'
import { Outputs } from '../artifacts/notebook/outputs.tsx'
import { placeOf, useStage } from '../artifacts/notebook/near.ts'
import { heightOf } from '../core/height.ts'
import { isUndone, outputsHidden } from '../core/notebook.ts'
import { words } from '../core/words.ts'
import { Markdown } from '../ui/markdown.tsx'
import type { Cell } from '../wire/types.ts'

const say = words.shared

export function StillCell({ cell, position, caption }: { cell: Cell; position: number; caption: string | null }) {
  const code = cell.type === 'code'
  const count = cell.execution_count
  const undone = isUndone(cell)
  const box = useRef<HTMLElement>(null)
  const stage = useStage(box)
  return (
    <section
      ref={box}
      data-undone={undone ? '' : undefined}
      {...placeOf(stage, heightOf(cell, cell.source))}
      data-cell={cell.id}
      data-status={cell.status ?? ''}
      tabIndex={0}
      aria-label={say.cell(position, code, undone)}
      className="grid scroll-my-24 grid-cols-[36px_minmax(0,1fr)] rounded-md outline-offset-4 md:grid-cols-[44px_minmax(0,1fr)]"
    >
      <div className="mono flex h-10 w-7 items-center justify-end text-xs tabular-nums text-ink-3 md:w-8">
        {code && <span aria-label={count === null ? say.notRun : say.run(count)}>{count ?? '·'}</span>}
      </div>
      <div className="min-w-0">
        {code ? (
          <div className="rounded-md bg-well">
            <Standing source={cell.source} coloured={stage !== 'far'} />
          </div>
        ) : (
          <div className="py-1 pr-2">
            <Markdown text={cell.source} attachments={cell.metadata['attachments']} />
          </div>
        )}
        {undone && <p className="pt-1 pl-3 text-xs text-ink-3">{words.states.wasUndone}</p>}
        {code && cell.outputs.length > 0 && !outputsHidden(cell) && (
          <div className="flex flex-col gap-2 pt-2 pl-3" data-outputs>
            <Outputs outputs={cell.outputs} run="" live={false} source={cell.source} caption={caption} />
          </div>
        )}
      </div>
    </section>
  )
}
