// A part of the page that comes when it is first needed. Where it cannot be had the page goes on without, and asks again.
import { useEffect, useState, type ComponentType } from 'react'

const AGAIN_AFTER = 2000

/** A hook: the part, or null until it is there. */
export function part<P>(load: () => Promise<{ readonly default: ComponentType<P> }>): () => ComponentType<P> | null {
  let there: ComponentType<P> | null = null
  let coming: Promise<unknown> | null = null
  const come = (): Promise<unknown> => {
    const later = (): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, AGAIN_AFTER))
    coming ??= load().then((module) => (there = module.default), later).finally(() => (coming = null))
    return coming
  }
  return () => {
    const [, see] = useState(there !== null)
    useEffect(() => {
      let gone = false
      const wait = async (): Promise<void> => {
        while (there === null && !gone) await come()
        if (!gone) see(true)
      }
      void wait()
      return () => {
        gone = true
      }
    }, [])
    return there
  }
}
