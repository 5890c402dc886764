// Buttons: a word, or an icon with a name.
import type { ButtonHTMLAttributes, ComponentProps, ReactNode } from 'react'

type Look = 'plain' | 'accent' | 'outline' | 'danger'

const LOOKS: Record<Look, string> = {
  plain: 'text-ink-2 hover:bg-hover hover:text-ink',
  accent: 'bg-accent text-accent-ink hover:opacity-90',
  outline: 'border border-line-strong text-ink hover:bg-hover',
  danger: 'bg-bad text-surface hover:opacity-90',
}

export function Button({
  look = 'plain',
  className = '',
  ...rest
}: ComponentProps<'button'> & { look?: Look }) {
  return (
    <button
      type="button"
      className={`inline-flex h-8 items-center gap-2 rounded-md px-3 text-sm font-medium whitespace-nowrap disabled:cursor-default disabled:opacity-45 ${LOOKS[look]} ${className}`}
      {...rest}
    />
  )
}

export function IconButton({
  label,
  keys,
  children,
  className = '',
  ...rest
}: ButtonHTMLAttributes<HTMLButtonElement> & { label: string; keys?: string; children: ReactNode }) {
  return (
    <button
      type="button"
      aria-label={label}
      title={keys ? `${label} (${keys})` : label}
      className={`inline-grid size-8 shrink-0 place-items-center rounded-md text-ink-2 hover:bg-hover hover:text-ink disabled:cursor-default disabled:opacity-40 disabled:hover:bg-transparent ${className}`}
      {...rest}
    >
      {children}
    </button>
  )
}
