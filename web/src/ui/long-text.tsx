// A text file of any length, read piece by piece: never more of it is here than a person has asked for.
import { Download, X } from 'lucide-react'
import { useCallback, useEffect, useState } from 'react'
import { bytes } from '../core/format.ts'
import { textPiece } from '../wire/client.ts'
import { Ansi } from './ansi.tsx'
import { words } from '../core/words.ts'
import { Button, IconButton } from './button.tsx'

const PIECE = 48 * 1024

export function LongText({ url, title, onClose }: { url: string; title: string; onClose: () => void }) {
  const { text, total, problem, more } = usePieces(url)
  return (
    <div className="flex max-h-[90dvh] w-[min(960px,92vw)] flex-col">
      <div className="flex h-12 shrink-0 items-center gap-2 border-b border-line pr-2 pl-4">
        <h2 className="min-w-0 truncate text-sm font-semibold">{title}</h2>
        <span className="text-xs text-ink-3 tabular-nums">{bytes(total)}</span>
        <a href={url} download="" aria-label={words.files.download(title)} title={words.common.download} className="ml-auto grid size-8 place-items-center rounded-md text-ink-2 hover:bg-hover hover:text-ink">
          <Download size={16} />
        </a>
        <IconButton label={words.common.close} onClick={onClose}>
          <X size={16} />
        </IconButton>
      </div>
      <div className="min-h-0 flex-1 overflow-auto px-4 py-3" tabIndex={0} role="group" aria-label={title} data-long-text>
        {problem !== null && <p className="text-sm text-bad">{problem}</p>}
        {total === 0 && problem === null && <p className="text-sm text-ink-3">{words.common.emptyFile}</p>}
        {text.map((piece, at) => (
          <Ansi key={at} text={piece} />
        ))}
        {more !== null && (
          <Button look="outline" onClick={more} className="my-3">
            {words.files.showMore}
          </Button>
        )}
      </div>
    </div>
  )
}

interface Pieces {
  readonly text: readonly string[]
  readonly total: number | null
  readonly problem: string | null
  readonly more: (() => void) | null
}

function usePieces(url: string): Pieces {
  const [read, setRead] = useState<{ text: readonly string[]; at: number; total: number | null }>({ text: [], at: 0, total: null })
  const [problem, setProblem] = useState<string | null>(null)
  const load = useCallback(
    (from: number): void => {
      textPiece(url, from, PIECE).then(
        (piece) => setRead((before) => ({ text: from === 0 ? [piece.text] : [...before.text, piece.text], at: piece.next, total: piece.total })),
        (error: unknown) => setProblem(error instanceof Error ? error.message : String(error)),
      )
    },
    [url],
  )
  useEffect(() => load(0), [load])
  const more = read.total !== null && read.at < read.total ? () => load(read.at) : null
  return { text: read.text, total: read.total, problem, more }
}
