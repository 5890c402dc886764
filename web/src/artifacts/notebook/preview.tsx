// A file of the workspace, looked at without leaving the page. Nothing of it runs: pictures, sound, rows and text.
import { Download, X } from 'lucide-react'
import { useEffect, useState, type ReactNode } from 'react'
import { numericColumns, readTable, type Table } from '../../core/csv.ts'
import { never } from '../../core/outputs.ts'
import { previewOf } from '../../core/tree.ts'
import { Button, IconButton } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Grid } from '../../ui/grid.tsx'
import { LongText } from '../../ui/long-text.tsx'
import { words } from '../../core/words.ts'
import { fileUrl, textPiece } from '../../wire/client.ts'

export interface PreviewProps {
  readonly kernelId: string
  readonly path: string
  readonly onClose: () => void
  /** Makes this .ipynb the session's notebook. */
  readonly onImport: (path: string) => void
}

export function FilePreview(props: PreviewProps) {
  return (
    <Dialog label={props.path} onClose={props.onClose} wide>
      <Shown {...props} />
    </Dialog>
  )
}

function Shown({ kernelId, path, onClose, onImport }: PreviewProps) {
  const url = fileUrl(kernelId, path)
  const kind = previewOf(path)
  const [seen] = useState(() => Date.now()) // browsers show a picture again that they have shown, whatever it is by now
  switch (kind) {
    case 'image':
      return (
        <Framed path={path} url={url} onClose={onClose}>
          <img src={`${url}?seen=${seen}`} alt={path} className="m-auto max-h-[78dvh] max-w-full object-contain" />
        </Framed>
      )
    case 'audio':
      return (
        <Framed path={path} url={url} onClose={onClose}>
          <audio src={url} controls className="m-auto w-[min(480px,80vw)]" />
        </Framed>
      )
    case 'video':
      return (
        <Framed path={path} url={url} onClose={onClose}>
          <video src={url} controls className="m-auto max-h-[78dvh] max-w-full" />
        </Framed>
      )
    case 'table':
      return <Rows url={url} path={path} onClose={onClose} />
    case 'text':
      return <LongText url={url} title={path} onClose={onClose} />
    case 'notebook':
      return (
        <Framed path={path} url={url} onClose={onClose}>
          <div className="m-auto max-w-md text-center">
            <p className="pb-4 text-sm text-ink-2">{words.files.notebook}</p>
            <Button look="accent" onClick={() => onImport(path)}>
              {words.files.openNotebook}
            </Button>
          </div>
        </Framed>
      )
    case 'none':
      return (
        <Framed path={path} url={url} onClose={onClose}>
          <p className="m-auto text-sm text-ink-2">{words.files.noPreview}</p>
        </Framed>
      )
    default:
      return never(kind)
  }
}

function Framed({ path, url, detail, onClose, children }: { path: string; url: string; detail?: string; onClose: () => void; children: ReactNode }) {
  return (
    <div className="flex max-h-[90dvh] w-[min(960px,92vw)] flex-col">
      <div className="flex h-12 shrink-0 items-center gap-2 border-b border-line pr-2 pl-4">
        <h2 className="min-w-0 truncate text-sm font-semibold">{path}</h2>
        {detail && <span className="shrink-0 text-xs text-ink-3">{detail}</span>}
        <a href={url} download="" aria-label={words.files.download(path)} title={words.common.download} className="ml-auto grid size-8 shrink-0 place-items-center rounded-md text-ink-2 hover:bg-hover hover:text-ink">
          <Download size={16} />
        </a>
        <IconButton label={words.common.close} onClick={onClose}>
          <X size={16} />
        </IconButton>
      </div>
      <div className="flex min-h-60 flex-1 flex-col overflow-auto p-4">{children}</div>
    </div>
  )
}

const FIRST_BYTES = 256 * 1024
const FIRST_ROWS = 200

function Rows({ url, path, onClose }: { url: string; path: string; onClose: () => void }) {
  const [table, setTable] = useState<Table | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  useEffect(() => {
    let gone = false
    textPiece(url, 0, FIRST_BYTES).then(
      (piece) => gone || setTable(readTable(piece.text, FIRST_ROWS, piece.next >= piece.total)),
      (error: unknown) => gone || setProblem(error instanceof Error ? error.message : String(error)),
    )
    return () => {
      gone = true
    }
  }, [url])
  const numeric = table === null ? new Set<number>() : numericColumns(table)
  return (
    <Framed path={path} url={url} onClose={onClose} {...(table?.more ? { detail: words.files.firstRows(table.rows.length) } : {})}>
      {problem !== null && <p className="text-sm text-bad">{problem}</p>}
      {table !== null && table.head.length === 0 && <p className="text-sm text-ink-3">{words.common.emptyFile}</p>}
      {table !== null && table.head.length > 0 && (
        <Grid label={words.table.rowsOf(path)} columns={table.head.map((name, at) => ({ name, numeric: numeric.has(at) }))} rows={table.rows} />
      )}
    </Framed>
  )
}
