// A file on its way, or that came, or did not: in one line, to be called off or put away.
import { X } from 'lucide-react'
import { bytes } from '../core/format.ts'
import { words } from '../core/words.ts'
import { IconButton } from '../ui/button.tsx'
import type { UploadView } from './uploads.ts'

export function Chip({ upload, onRemove }: { upload: UploadView; onRemove: () => void }) {
  const { state, progress } = upload
  const percent = Math.round(progress * 100)
  return (
    <li className="relative flex max-w-full items-center gap-2 overflow-hidden rounded-md bg-hover py-1 pr-1 pl-2.5 text-sm" data-upload={state}>
      <span className="truncate">{upload.name}</span>
      <span className={`text-xs tabular-nums ${state === 'failed' ? 'text-bad' : 'text-ink-3'}`}>
        {state === 'failed' ? upload.problem : state === 'done' ? bytes(upload.size) + (upload.replaced ? words.composer.replaced : '') : `${percent} %`}
      </span>
      <IconButton label={state === 'sending' ? words.composer.cancel(upload.name) : words.composer.putAway(upload.name)} onClick={onRemove} className="size-6">
        <X size={12} />
      </IconButton>
      {state === 'sending' && (
        <span role="progressbar" aria-label={upload.name} aria-valuenow={percent} className="absolute bottom-0 left-0 h-0.5 bg-accent" style={{ width: `${percent}%` }} />
      )}
    </li>
  )
}
