// What a person has typed and not sent, kept for as long as the tab is open.

const key = (id: string): string => `cellblock.draft.${id}`
/** Where the draft of a page without a conversation stands. */
export const START = ''

export function draftOf(id: string): string {
  try {
    return sessionStorage.getItem(key(id)) ?? ''
  } catch {
    return ''
  }
}

export function keepDraft(id: string, text: string): void {
  try {
    if (text) sessionStorage.setItem(key(id), text)
    else sessionStorage.removeItem(key(id))
  } catch {
    // Storage is refused: a draft lasts as long as the page.
  }
}

/** A file has made a conversation of the page: what was typed there goes along. */
export function takeDraftTo(id: string): void {
  keepDraft(id, draftOf(START))
  keepDraft(START, '')
}
