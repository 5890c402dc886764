// The workspace: what is in it, in and out.
import { Download, FileText, Trash2, Upload } from 'lucide-react'
import { useRef, useState } from 'react'
import { bytes, moment } from '../../core/format.ts'
import { Button, IconButton } from '../../ui/button.tsx'
import { Confirm } from '../../ui/dialog.tsx'
import { archiveUrl, fileUrl } from '../../wire/client.ts'
import type { FileEntry } from '../../wire/types.ts'
import type { Uploads } from '../../chat/uploads.ts'

export function FilesView({
  kernelId,
  files,
  uploads,
  onDelete,
  limits,
}: {
  kernelId: string
  files: readonly FileEntry[]
  uploads: Uploads
  onDelete: (path: string) => void
  limits: string
}) {
  const picker = useRef<HTMLInputElement>(null)
  const [doomed, setDoomed] = useState<string | null>(null)
  const shown = files.filter((file) => file.type === 'file')
  return (
    <div className="min-h-0 flex-1 overflow-y-auto">
      <div className="mx-auto max-w-[920px] px-4 pt-5 pb-24 md:px-8">
        <div className="flex items-center gap-2 pb-3">
          <p className="text-sm text-ink-3">{limits}</p>
          <div className="ml-auto flex gap-1">
            {shown.length > 1 && (
              <a
                href={archiveUrl(kernelId)}
                download=""
                className="inline-flex h-8 items-center gap-2 rounded-md px-3 text-sm font-medium text-ink-2 hover:bg-hover hover:text-ink"
              >
                <Download size={14} /> All as zip
              </a>
            )}
            <Button look="outline" onClick={() => picker.current?.click()}>
              <Upload size={14} /> Upload
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
        {shown.length === 0 ? (
          <p className="py-16 text-center text-sm text-ink-3">No files yet. Drop some anywhere on this page.</p>
        ) : (
          <ul className="border-t border-line">
            {shown.map((file) => (
              <li key={file.path} className="group flex h-11 items-center gap-3 border-b border-line">
                <FileText size={16} className="shrink-0 text-ink-3" />
                <a href={fileUrl(kernelId, file.path)} download="" className="min-w-0 flex-1 truncate text-sm hover:underline">
                  {file.path}
                </a>
                <span className="w-20 shrink-0 text-right text-xs text-ink-3 tabular-nums">{bytes(file.size)}</span>
                <span className="hidden w-16 shrink-0 text-right text-xs text-ink-3 tabular-nums md:block">{moment(file.modified, new Date())}</span>
                <IconButton label={`Delete ${file.path}`} onClick={() => setDoomed(file.path)}>
                  <Trash2 size={14} />
                </IconButton>
              </li>
            ))}
          </ul>
        )}
      </div>
      {doomed !== null && (
        <Confirm
          question={`Delete ${doomed}?`}
          detail="The file is removed from the workspace. Code that reads it will fail."
          action="Delete"
          onConfirm={() => onDelete(doomed)}
          onClose={() => setDoomed(null)}
        />
      )}
    </div>
  )
}
