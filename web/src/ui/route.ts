// The address: `/` is a page without a conversation, `/c/{id}` is one.
import { useSyncExternalStore } from 'react'

const listeners = new Set<() => void>()

function current(): string | null {
  return /^\/c\/([^/]+)\/?$/.exec(location.pathname)?.[1] ?? null
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  addEventListener('popstate', listener)
  return () => {
    listeners.delete(listener)
    removeEventListener('popstate', listener)
  }
}

export function useConversationId(): string | null {
  return useSyncExternalStore(subscribe, current)
}

export function goTo(id: string | null, replace = false): void {
  const path = id === null ? '/' : `/c/${id}`
  if (path === location.pathname) return
  history[replace ? 'replaceState' : 'pushState'](null, '', path)
  for (const listener of listeners) listener()
}
