// The first rows of a table of text, as RFC 4180 has it and as people write it: separators guessed, quotes understood.

export interface Table {
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
  /** Whether the text goes on after these rows. */
  readonly more: boolean
}

const SEPARATORS = [',', '\t', ';', '|'] as const

/** `whole`: the text is the whole file; otherwise its last row may be cut, and is left out. */
export function readTable(text: string, most: number, whole: boolean): Table {
  const all = parse(text.replace(/^\uFEFF/, ''), separatorOf(text), most + 2)
  const complete = whole || all.length > most + 1 ? all : all.slice(0, -1)
  const [head = [], ...rows] = complete.filter((row) => row.length > 1 || row[0] !== '')
  return { head, rows: rows.slice(0, most), more: !whole || rows.length > most }
}

function separatorOf(text: string): string {
  const line = text.slice(0, text.search(/\r|\n|$/))
  const counted = SEPARATORS.map((separator) => [line.split(separator).length, separator] as const)
  return counted.reduce((best, one) => (one[0] > best[0] ? one : best))[1]
}

function parse(text: string, separator: string, most: number): string[][] {
  const found: string[][] = []
  let row: string[] = []
  let field = ''
  let quoted = false
  const close = (): void => {
    row.push(field)
    field = ''
  }
  for (let at = 0; at < text.length && found.length < most; at++) {
    const char = text[at]!
    if (quoted) {
      if (char !== '"') field += char
      else if (text[at + 1] === '"') {
        field += '"'
        at += 1
      } else quoted = false
    } else if (char === '"' && field === '') quoted = true
    else if (char === separator) close()
    else if (char === '\n' || char === '\r') {
      if (char === '\r' && text[at + 1] === '\n') at += 1
      close()
      found.push(row)
      row = []
    } else field += char
  }
  if (found.length < most && (field !== '' || row.length > 0)) found.push([...row, field])
  return found
}

const NUMBER = /^[-+−]?[$€£]?\d[\d,.' ]*(e[-+]?\d+)?\s?%?$|^$|^nan$/i

/** Columns of numbers, by their place: they align right. */
export function numericColumns(table: Table): ReadonlySet<number> {
  const columns = table.head.map((_, at) => at)
  return new Set(columns.filter((at) => table.rows.length > 0 && table.rows.every((row) => NUMBER.test(row[at] ?? ''))))
}
