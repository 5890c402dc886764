// A menu under a button, in the manner of the platform: arrows, type-ahead, Escape.
import * as Radix from '@radix-ui/react-dropdown-menu'
import type { ReactNode } from 'react'

/** Menus stand above everything, in a place of their own that has a name for those who do not see it. */
export const MENUS = 'menus'

export function Menu({ trigger, children, align = 'end' }: { trigger: ReactNode; children: ReactNode; align?: 'start' | 'end' }) {
  return (
    <Radix.Root modal={false}>
      <Radix.Trigger asChild>{trigger}</Radix.Trigger>
      <Radix.Portal container={document.getElementById(MENUS)}>
        <Radix.Content
          align={align}
          sideOffset={4}
          collisionPadding={8}
          onCloseAutoFocus={(event) => elsewhere() && event.preventDefault()}
          className="z-50 max-h-(--radix-dropdown-menu-content-available-height) max-w-80 min-w-44 overflow-y-auto rounded-lg border border-line bg-surface p-1 text-sm shadow-lg shadow-black/10"
        >
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  )
}

/** What was chosen has moved the focus already: it does not go back to the button. */
function elsewhere(): boolean {
  const held = document.activeElement
  return held !== null && held !== document.body && held.closest('[role=menu]') === null
}

const ITEM =
  'flex cursor-pointer items-center gap-2 rounded-md px-2 py-1.5 outline-none select-none data-highlighted:bg-hover data-disabled:cursor-default data-disabled:text-ink-3'

export function MenuItem({
  children,
  onSelect,
  danger = false,
  disabled = false,
}: {
  children: ReactNode
  onSelect: () => void
  danger?: boolean
  disabled?: boolean
}) {
  return (
    <Radix.Item disabled={disabled} onSelect={onSelect} className={`${ITEM} ${danger ? 'text-bad' : ''}`}>
      {children}
    </Radix.Item>
  )
}

const MAC = /Mac|iPhone|iPad/.test(navigator.platform)

/** Keys as they stand on the keyboard. */
export function keysShown(keys: string): string {
  const arrows = keys.replace('ArrowUp', '↑').replace('ArrowDown', '↓')
  return MAC ? arrows.replace('Ctrl+', '⌘') : arrows
}

/** The keys of an item, small, at its right end. */
export function Keys({ keys }: { keys: string }) {
  if (keys === '') return null
  return (
    <kbd className="ml-auto pl-6 font-sans text-xs text-ink-3 pointer-coarse:hidden" aria-hidden>
      {keysShown(keys)}
    </kbd>
  )
}

/** An item that is a link: a download, say. */
export function MenuLink({ href, download, children }: { href: string; download?: boolean; children: ReactNode }) {
  return (
    <Radix.Item asChild className={ITEM}>
      <a href={href} download={download ? '' : undefined}>
        {children}
      </a>
    </Radix.Item>
  )
}

export function MenuChoices<T extends string>({
  value,
  onChange,
  choices,
}: {
  value: T
  onChange: (value: T) => void
  choices: readonly { value: T; label: ReactNode; disabled?: boolean }[]
}) {
  return (
    <Radix.RadioGroup value={value} onValueChange={(next) => onChange(next as T)}>
      {choices.map((choice) => (
        <Radix.RadioItem
          key={choice.value}
          value={choice.value}
          disabled={choice.disabled ?? false}
          className={`${ITEM} items-start`}
        >
          <span className="w-3 shrink-0 text-accent">
            <Radix.ItemIndicator>✓</Radix.ItemIndicator>
          </span>
          <span className="min-w-0">{choice.label}</span>
        </Radix.RadioItem>
      ))}
    </Radix.RadioGroup>
  )
}

export function MenuLabel({ children }: { children: ReactNode }) {
  return <Radix.Label className="px-2 pt-1.5 pb-1 text-xs text-ink-3">{children}</Radix.Label>
}

export function MenuLine() {
  return <Radix.Separator className="my-1 h-px bg-line" />
}
