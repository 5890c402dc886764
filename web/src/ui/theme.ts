// Light, dark, or as the system has it.
import { useSyncExternalStore } from 'react'

export type Theme = 'system' | 'light' | 'dark'

const KEY = 'cellblock.theme'
const listeners = new Set<() => void>()

// Kept, and read once: Chromium tells of no change that `matches` has been asked for before it could.
const system = matchMedia('(prefers-color-scheme: dark)')
let dark = system.matches
system.addEventListener('change', (event) => {
  dark = event.matches
  tell()
})

function tell(): void {
  for (const listener of listeners) listener()
}

function chosen(): Theme {
  const theme = document.documentElement.dataset['theme']
  return theme === 'light' || theme === 'dark' ? theme : 'system'
}

export function chooseTheme(theme: Theme): void {
  const root = document.documentElement
  if (theme === 'system') delete root.dataset['theme']
  else root.dataset['theme'] = theme
  try {
    localStorage.setItem(KEY, theme)
  } catch {
    // Storage is refused: the choice lasts as long as the page.
  }
  tell()
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export function useTheme(): Theme {
  return useSyncExternalStore(subscribe, chosen)
}

/** The theme in force. */
export function useScheme(): 'light' | 'dark' {
  return useSyncExternalStore(subscribe, () => {
    const theme = chosen()
    return theme === 'system' ? (dark ? 'dark' : 'light') : theme
  })
}
