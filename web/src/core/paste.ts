// What a person pastes: files, or text of which a program has put a picture beside it.

/** Spreadsheets and word processors offer a picture of their text, too: the text is meant. */
export function isText(types: readonly string[]): boolean {
  return types.includes('text/plain') && types.includes('text/html')
}

/** Browsers give every picture one name: the next must not take the place of the last. */
export function nameOf(name: string, now: Date): string {
  return name === 'image.png' ? `image-${now.toISOString().replace(/\D/g, '')}.png` : name
}
