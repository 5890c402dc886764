// Which cells are near the window. The others stand as text, and the browser leaves out what nobody sees of them.
import { useEffect, useState, type CSSProperties, type RefObject } from 'react'

const NEAR = '800px 0px'
const observers = new WeakMap<Element, IntersectionObserver>()
const listeners = new WeakMap<Element, (near: boolean) => void>()

/** Whether a cell is in view, or will be soon. */
export function useNear(box: RefObject<Element | null>): boolean {
  const [near, setNear] = useState(false)
  useEffect(() => {
    const element = box.current
    const scroller = element?.closest('[data-notebook]')
    if (!element || !scroller) return setNear(true)
    const observer = observerOf(scroller)
    listeners.set(element, setNear)
    observer.observe(element)
    return () => observer.unobserve(element)
  }, [box])
  return near
}

/** What the sheet has to know of a cell: whether it is near, and how high it is guessed to be until it has been seen. */
export function placeOf(near: boolean, height: number): { 'data-near': '' | undefined; style: CSSProperties } {
  return { 'data-near': near ? '' : undefined, style: { '--height': `${height}px` } as CSSProperties }
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

const AT_ONCE = 16

/** How many of many cells are drawn: a long notebook comes in pieces, a frame each, so that the page answers meanwhile. */
export function useGrowing(count: number): number {
  const [drawn, setDrawn] = useState(0)
  const shown = count - drawn <= AT_ONCE ? count : drawn + AT_ONCE
  useEffect(() => {
    if (shown === count) return setDrawn(count)
    const frame = requestAnimationFrame(() => setDrawn(shown))
    return () => cancelAnimationFrame(frame)
  }, [shown, count])
  return shown
}
