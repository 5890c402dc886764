// The workspace: what is in it as a tree, looked at, in and out.
import { ChevronRight, Download, File, FileSpreadsheet, FileText, Folder as FolderIcon, Image, NotebookText, Trash2, Upload } from 'lucide-react'
import { useEffect, useMemo, useRef, useState } from 'react'
import { bytes, moment } from '../../core/format.ts'
import { previewOf, rows, tree, type Leaf, type Node, type Preview } from '../../core/tree.ts'
import { Button, IconButton } from '../../ui/button.tsx'
import { Confirm } from '../../ui/dialog.tsx'
import { archiveUrl, fileUrl } from '../../wire/client.ts'
import type { FileEntry } from '../../wire/types.ts'
import { Chip } from '../../chat/upload-chip.tsx'
import type { Uploads } from '../../chat/uploads.ts'
import { words } from '../../core/words.ts'
import { FilePreview } from './preview.tsx'

export interface FilesProps {
  readonly kernelId: string
  readonly files: readonly FileEntry[]
  readonly uploads: Uploads
  readonly onDelete: (path: string) => void
  readonly onImport: (path: string) => void
  readonly limits: string
}

export function FilesView({ kernelId, files, uploads, onDelete, onImport, limits }: FilesProps) {
  const [doomed, setDoomed] = useState<Node | null>(null)
  const [seen, setSeen] = useState<string | null>(null)
  const [shut, setShut] = useState<ReadonlySet<string>>(new Set())
  const root = useMemo(() => tree(files), [files])
  const shown = rows(root, shut)
  const list = useRef<HTMLUListElement>(null)
  const deleted = useRef<number | null>(null)
  useEffect(() => {
    const at = deleted.current
    if (at === null || document.activeElement !== document.body) return
    deleted.current = null
    const left = [...(list.current?.querySelectorAll<HTMLElement>('li > button:last-child') ?? [])]
    const here = left[at] ?? left.at(-1) ?? document.querySelector<HTMLElement>('[data-files] button')
    here?.focus() // the button that had it is gone
  }, [files])
  const toggle = (path: string): void => {
    const next = new Set(shut)
    if (!next.delete(path)) next.add(path)
    setShut(next)
  }
  return (
    <div className="min-h-0 flex-1 overflow-y-auto" data-files>
      <div className="mx-auto max-w-[920px] px-4 pt-5 pb-24 md:px-8">
        <Head kernelId={kernelId} count={root.files} size={root.size} uploads={uploads} limits={limits} />
        <Underway uploads={uploads} />
        {shown.length === 0 ? (
          <p className="py-16 text-center text-sm text-ink-3">{words.files.none}</p>
        ) : (
          <ul ref={list} className="border-t border-line">
            {shown.map(({ node, depth }) => (
              <li key={node.path} className="flex h-11 items-center gap-3 border-b border-line" style={{ paddingLeft: depth * 20 }}>
                {node.kind === 'folder' ? (
                  <button
                    type="button"
                    aria-expanded={!shut.has(node.path)}
                    onClick={() => toggle(node.path)}
                    className="flex min-w-0 flex-1 items-center gap-2 text-left text-sm font-medium"
                  >
                    <ChevronRight size={14} className={`shrink-0 text-ink-3 ${shut.has(node.path) ? '' : 'rotate-90'}`} />
                    <FolderIcon size={16} className="shrink-0 text-ink-3" />
                    <span className="truncate">{node.name}</span>
                    <span className="shrink-0 font-normal text-ink-3">{node.files}</span>
                  </button>
                ) : (
                  <FileName file={node} onOpen={() => setSeen(node.path)} />
                )}
                <span className="w-20 shrink-0 text-right text-xs text-ink-3 tabular-nums">{bytes(node.kind === 'folder' ? node.size : node.entry.size)}</span>
                <span className="hidden w-16 shrink-0 text-right text-xs text-ink-3 tabular-nums md:block">
                  {node.kind === 'file' && moment(node.entry.modified, new Date())}
                </span>
                {node.kind === 'folder' || node.entry.type !== 'file' ? (
                  <span className="size-8 shrink-0" />
                ) : (
                  <a
                    href={fileUrl(kernelId, node.path)}
                    download=""
                    aria-label={words.files.download(node.path)}
                    title={words.files.download(node.path)}
                    className="grid size-8 shrink-0 place-items-center rounded-md text-ink-2 hover:bg-hover hover:text-ink"
                  >
                    <Download size={14} />
                  </a>
                )}
                <IconButton label={words.files.delete(node.path)} onClick={() => setDoomed(node)}>
                  <Trash2 size={14} />
                </IconButton>
              </li>
            ))}
          </ul>
        )}
      </div>
      {seen !== null && (
        <FilePreview
          kernelId={kernelId}
          path={seen}
          onClose={() => setSeen(null)}
          onImport={(path) => {
            setSeen(null)
            onImport(path)
          }}
        />
      )}
      {doomed !== null && (
        <Confirm
          question={words.files.deleteQuestion(doomed.path)}
          detail={
            doomed.kind === 'folder' && doomed.files > 0
              ? words.files.folderRemoved(doomed.files)
              : words.files.removed
          }
          action={words.common.delete}
          onConfirm={() => {
            deleted.current = shown.findIndex(({ node }) => node.path === doomed.path)
            onDelete(doomed.path)
          }}
          onClose={() => setDoomed(null)}
        />
      )}
    </div>
  )
}

/** What is not there yet, or could not come: on a phone the chat, which says so too, is another tab. */
function Underway({ uploads }: { uploads: Uploads }) {
  const list = uploads.list.filter((one) => one.state !== 'done')
  const box = useRef<HTMLUListElement>(null)
  const remove = (key: number): void => {
    box.current?.closest('[data-files]')?.querySelector('button')?.focus() // the button that had it is gone
    uploads.cancel(key)
  }
  if (list.length === 0) return null
  return (
    <ul ref={box} className="flex flex-wrap gap-2 pb-3" aria-label={words.files.underway}>
      {list.map((one) => (
        <Chip key={one.key} upload={one} onRemove={() => remove(one.key)} />
      ))}
    </ul>
  )
}

function Head({ kernelId, count, size, uploads, limits }: { kernelId: string; count: number; size: number; uploads: Uploads; limits: string }) {
  const picker = useRef<HTMLInputElement>(null)
  return (
    <div className="flex flex-wrap items-center gap-x-2 gap-y-1 pb-3">
      <p className="text-sm text-ink-3">
        {count > 0 && words.files.told(count, bytes(size))}
        {limits}
      </p>
      <div className="ml-auto flex gap-1">
        {count > 1 && (
          <a href={archiveUrl(kernelId)} download="" className="inline-flex h-8 items-center gap-2 rounded-md px-3 text-sm font-medium text-ink-2 hover:bg-hover hover:text-ink">
            <Download size={14} /> {words.files.allAsZip}
          </a>
        )}
        <Button look="outline" onClick={() => picker.current?.click()}>
          <Upload size={14} /> {words.files.upload}
        </Button>
        <input
          ref={picker}
          type="file"
          multiple
          hidden
          onChange={(event) => {
            uploads.add([...(event.target.files ?? [])])
            event.target.value = ''
          }}
        />
      </div>
    </div>
  )
}

const ICONS: Readonly<Record<Preview, typeof File>> = {
  image: Image,
  audio: File,
  video: File,
  table: FileSpreadsheet,
  notebook: NotebookText,
  text: FileText,
  none: File,
}

function FileName({ file, onOpen }: { file: Leaf; onOpen: () => void }) {
  const Icon = ICONS[previewOf(file.path)]
  if (file.entry.type !== 'file') {
    return (
      <span className="flex min-w-0 flex-1 items-center gap-2 text-sm text-ink-3">
        <Icon size={16} className="shrink-0" /> <span className="truncate">{file.name}</span> {words.files.notRegular}
      </span>
    )
  }
  return (
    <button type="button" onClick={onOpen} title={file.path} className="flex min-w-0 flex-1 items-center gap-2 text-left text-sm hover:underline">
      <Icon size={16} className="shrink-0 text-ink-3" /> <span className="truncate">{file.name}</span>
    </button>
  )
}
