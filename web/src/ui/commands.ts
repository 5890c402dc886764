// Who has commands for the palette; each part of the page tells its own while it is there.
import { useEffect, useRef } from 'react'
import type { PaletteItem } from '../core/palette.ts'

export interface PaletteCommand extends PaletteItem {
  readonly run: () => void
}

type Provider = () => readonly PaletteCommand[]

const providers = new Set<Provider>()

/** The commands are asked for when the palette opens, so they may depend on anything. */
export function useCommands(commands: Provider): void {
  const latest = useRef(commands)
  useEffect(() => {
    latest.current = commands
  })
  useEffect(() => {
    const provider: Provider = () => latest.current()
    providers.add(provider)
    return () => {
      providers.delete(provider)
    }
  }, [])
}

export function allCommands(): readonly PaletteCommand[] {
  return [...providers].flatMap((provider) => provider())
}
