// A question that must be answered first; the browser's own dialog keeps focus where it belongs, and begins at `data-begin`.
import { useEffect, useRef, type ReactNode } from 'react'
import { words } from '../core/words.ts'
import { Button } from './button.tsx'

export function Dialog({
  label,
  onClose,
  children,
  wide = false,
  high = false,
}: {
  label: string
  onClose: () => void
  children: ReactNode
  wide?: boolean
  /** Near the upper edge, and a little wider: for lists. */
  high?: boolean
}) {
  const ref = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    const dialog = ref.current
    dialog?.showModal()
    dialog?.querySelector<HTMLElement>('[data-begin]')?.focus()
    return () => dialog?.close()
  }, [])
  return (
    <dialog
      ref={ref}
      aria-label={label}
      onClose={onClose}
      onClick={(event) => event.target === ref.current && onClose()}
      className={`${high ? 'mx-auto mt-[12dvh]' : 'm-auto'} rounded-xl border border-line bg-surface p-0 text-ink shadow-xl shadow-black/20 backdrop:bg-black/40 ${wide ? 'max-h-[94dvh] max-w-[94vw]' : high ? 'w-[min(560px,94vw)]' : 'w-[min(420px,92vw)]'}`}
    >
      {children}
    </dialog>
  )
}

export function Confirm({
  question,
  detail,
  action,
  look = 'danger',
  onConfirm,
  onClose,
}: {
  question: string
  detail: string
  action: string
  look?: 'danger' | 'accent'
  onConfirm: () => void
  onClose: () => void
}) {
  return (
    <Dialog label={question} onClose={onClose}>
      <div className="p-5">
        <h2 className="text-base font-semibold">{question}</h2>
        <p className="mt-1 text-sm text-ink-2">{detail}</p>
        <div className="mt-5 flex justify-end gap-2">
          <Button look="outline" onClick={onClose}>
            {words.common.cancel}
          </Button>
          <Button
            look={look}
            autoFocus
            onClick={() => {
              onConfirm()
              onClose()
            }}
          >
            {action}
          </Button>
        </div>
      </div>
    </Dialog>
  )
}
