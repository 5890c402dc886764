// What a person wrote: words as they are, and code between fences as blocks. The rest of Markdown is not read into it.

export interface Piece {
  /** Whether `text` is a block with its fences. */
  readonly fenced: boolean
  readonly text: string
}

const OPENING = /^ {0,3}(`{3,}(?=[^`]*$)|~{3,})/

/** The pieces of a text in order; a fence that nobody has closed goes to the end, as in Markdown. */
export function pieces(text: string): Piece[] {
  const found: Piece[] = []
  let lines: string[] = []
  let fence: string | null = null
  const end = (fenced: boolean): void => {
    const said = lines.join('\n')
    if (fenced || said.trim() !== '') found.push({ fenced, text: fenced ? said : said.replace(/^\n+|\n+$/g, '') })
    lines = []
  }
  for (const line of text.split('\n')) {
    const opening: string | null = fence === null ? (OPENING.exec(line)?.[1] ?? null) : null
    if (opening !== null) {
      end(false)
      fence = opening
    }
    lines.push(line)
    if (fence !== null && opening === null && closes(line, fence)) {
      end(true)
      fence = null
    }
  }
  end(fence !== null)
  return found
}

function closes(line: string, fence: string): boolean {
  const bare = line.trim()
  return bare.length >= fence.length && bare === fence.charAt(0).repeat(bare.length) && !/^ {4}/.test(line)
}
