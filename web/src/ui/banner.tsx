// Something a person should know, above what it is about.
import { X } from 'lucide-react'
import type { ReactNode } from 'react'
import { words } from '../core/words.ts'
import { IconButton } from './button.tsx'

export function Banner({
  children,
  action,
  onClose,
  bad = false,
}: {
  children: ReactNode
  action?: ReactNode
  onClose?: () => void
  bad?: boolean
}) {
  return (
    <div
      role={bad ? 'alert' : 'status'}
      className={`flex items-center gap-3 rounded-md border-l-2 py-2 pr-2 pl-3 text-sm ${bad ? 'border-bad bg-bad-wash' : 'border-accent bg-accent-wash'}`}
    >
      <p className="min-w-0 flex-1">{children}</p>
      {action}
      {onClose && (
        <IconButton label={words.common.dismiss} onClick={onClose} className="size-7">
          <X size={14} />
        </IconButton>
      )}
    </div>
  )
}
