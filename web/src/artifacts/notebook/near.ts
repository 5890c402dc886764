// How much of each cell is there. Far from the window it is text, and the browser leaves out what nobody sees of it; near it
// its code is coloured; its editor and its buttons come when the browser has nothing better to do. Who scrolls fast by never
// waits for them.
import { startTransition, useEffect, useState, type CSSProperties, type RefObject } from 'react'

export type Stage = 'far' | 'near' | 'there'

const NEAR = '800px 0px'
const observers = new WeakMap<Element, IntersectionObserver>()
const listeners = new WeakMap<Element, (near: boolean) => void>()

export function useStage(box: RefObject<Element | null>): Stage {
  const [stage, setStage] = useState<Stage>('far')
  useEffect(() => {
    const element = box.current
    const scroller = element?.closest('[data-notebook]')
    const arrive = (): void => setStage('there')
    if (!element || !scroller) return arrive()
    const observer = observerOf(scroller)
    listeners.set(element, (near) => {
      startTransition(() => setStage((now) => (near ? (now === 'far' ? 'near' : now) : 'far')))
      if (near) soon(arrive)
      else waiting.delete(arrive)
    })
    observer.observe(element)
    return () => {
      observer.unobserve(element)
      waiting.delete(arrive)
    }
  }, [box])
  return stage
}

/** What the sheet has to know of a cell: whether it is near, and how high it is guessed to be until it has been seen. */
export function placeOf(stage: Stage, height: number): { 'data-near': '' | undefined; style: CSSProperties } {
  return { 'data-near': stage === 'far' ? undefined : '', style: { '--height': `${height}px` } as CSSProperties }
}

/** One for all cells of a notebook. */
function observerOf(scroller: Element): IntersectionObserver {
  const known = observers.get(scroller)
  if (known) return known
  const made = new IntersectionObserver(
    (seen) => {
      for (const { target, isIntersecting } of seen) listeners.get(target)?.(isIntersecting)
    },
    { root: scroller, rootMargin: NEAR },
  )
  observers.set(scroller, made)
  return made
}

// One by one, between other work.

const PATIENCE = 500
const waiting = new Set<() => void>()
let asked = false

/** No cell near a window waits for the rest of itself. */
export const allThere = (): boolean => waiting.size === 0

function soon(arrive: () => void): void {
  waiting.add(arrive)
  if (asked) return
  asked = true
  if ('requestIdleCallback' in window) requestIdleCallback(next, { timeout: PATIENCE })
  else setTimeout(next, 30)
}

function next(): void {
  asked = false
  const [arrive] = waiting
  if (!arrive) return
  waiting.delete(arrive)
  arrive()
  const [another] = waiting
  if (another) soon(another)
}

const AT_ONCE = 16

/** How many of many cells are drawn: a long notebook comes in pieces, a frame each, so that the page answers meanwhile. */
export function useGrowing(count: number): number {
  const [drawn, setDrawn] = useState(0)
  const shown = count - drawn <= AT_ONCE ? count : drawn + AT_ONCE
  useEffect(() => {
    if (shown === count) return setDrawn(count)
    const frame = requestAnimationFrame(() => startTransition(() => setDrawn(shown)))
    return () => cancelAnimationFrame(frame)
  }, [shown, count])
  return shown
}
