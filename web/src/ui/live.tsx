// Short sentences for people who do not see the page.
import { useSyncExternalStore } from 'react'

let sentence = ''
const listeners = new Set<() => void>()

/** Says it once; a zero-width mark makes the same sentence news again. */
export function announce(next: string): void {
  sentence = next === sentence ? `${next}\u200b` : next
  for (const listener of listeners) listener()
}

export function LiveRegion() {
  const said = useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => sentence,
  )
  return (
    <div role="status" aria-live="polite" className="sr-only">
      {said}
    </div>
  )
}
