// Text to the clipboard, also where browsers give pages no other way: without HTTPS, anywhere but on loopback.

/** Ends when it is there. */
export async function copyText(text: string): Promise<void> {
  if ('clipboard' in navigator) return navigator.clipboard.writeText(text)
  const held = document.activeElement
  const area = document.createElement('textarea')
  area.value = text
  area.className = 'sr-only'
  ;(document.querySelector('dialog[open]') ?? document.body).append(area) // what is not in an open dialog cannot be selected
  area.select()
  const copied = document.execCommand('copy')
  area.remove()
  if (held instanceof HTMLElement) held.focus()
  if (!copied) throw new DOMException('copy')
}
