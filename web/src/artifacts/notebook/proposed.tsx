// A change a model proposes for a person's cell: what goes and what comes, and two answers.
import { useMemo } from 'react'
import { diff, type DiffLine } from '../../core/diff.ts'
import { words } from '../../core/words.ts'
import { Button } from '../../ui/button.tsx'

const LOOKS: Readonly<Record<DiffLine['kind'], readonly [string, string, string]>> = {
  same: [' ', '', words.proposal.unchanged],
  old: ['−', 'bg-bad-wash', words.proposal.goes],
  new: ['+', 'bg-good-wash', words.proposal.comes],
}

export function Proposed({ before, after, onSettle }: { before: string; after: string; onSettle: (take: boolean) => void }) {
  const lines = useMemo(() => diff(before, after), [before, after])
  return (
    <div role="group" aria-label={words.proposal.label} className="mt-2 rounded-md border border-line" data-proposed>
      <div className="flex flex-wrap items-center gap-2 border-b border-line px-3 py-2">
        <p className="mr-auto text-sm text-ink-2">{words.proposal.about}</p>
        <Button look="outline" className="h-7 px-2" onClick={() => onSettle(false)}>
          {words.proposal.reject}
        </Button>
        <Button look="accent" className="h-7 px-2" onClick={() => onSettle(true)}>
          {words.proposal.acceptAndRun}
        </Button>
      </div>
      <div className="mono overflow-x-auto py-1" tabIndex={0} role="group" aria-label={words.proposal.lines}>
        <div className="w-max min-w-full">
          {lines.map((line, at) => {
            const [sign, look, said] = LOOKS[line.kind]
            return (
              <div key={at} className={`flex px-3 whitespace-pre ${look}`} data-diff={line.kind}>
                <span className="w-5 shrink-0 text-ink-2 select-none" aria-hidden>
                  {sign}
                </span>
                {line.kind !== 'same' && <span className="sr-only">{said}: </span>}
                {line.text || ' '}
              </div>
            )
          })}
        </div>
      </div>
    </div>
  )
}
