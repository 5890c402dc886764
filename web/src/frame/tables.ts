// pandas tables, made readable: they scroll, numbers align right, the count of rows stands small below.

const NUMBER = /^[-+−(]?[$€£]?\d[\d,.'\s]*(e[-+]?\d+)?\s?[%)]?$|^-?inf$|^NaN$|^<NA>$/i

export function dress(root: ParentNode): void {
  for (const table of root.querySelectorAll<HTMLTableElement>('table.dataframe')) {
    oneHead(table)
    unnamed(table)
    align(table)
    scroll(table)
  }
  for (const line of root.querySelectorAll('p')) {
    if (/^[\d,]+ rows × [\d,]+ columns$/.test(line.textContent?.trim() ?? '')) line.className = 'rows'
  }
}

/** pandas puts the names of the index into a row of their own below the columns: one row says both. */
function oneHead(table: HTMLTableElement): void {
  const rows = [...(table.tHead?.rows ?? [])]
  const [last, above] = [rows.at(-1), rows.at(-2)]
  if (!last || !above || last.cells.length !== above.cells.length) return
  const texts = (row: HTMLTableRowElement): string[] => [...row.cells].map((cell) => cell.textContent?.trim() ?? '')
  const [names, columns] = [texts(last), texts(above)]
  if (!names.every((name, at) => name === '' || columns[at] === '')) return
  for (const [at, name] of names.entries()) if (name !== '') above.cells[at]!.textContent = name
  last.remove()
}

/** A head without a word heads nothing. */
function unnamed(table: HTMLTableElement): void {
  for (const cell of table.tHead?.querySelectorAll('th:empty') ?? []) cell.replaceWith(document.createElement('td'))
}

function align(table: HTMLTableElement): void {
  const rows = [...table.tBodies].flatMap((body) => [...body.rows])
  const numeric = numericColumns(rows.slice(0, 200))
  for (const row of [...(table.tHead?.rows ?? []), ...rows]) {
    row.removeAttribute('style')
    place(row, (cell, column) => {
      if (numeric.has(column)) cell.classList.add('number')
    })
  }
}

/** Columns whose cells are all numbers or empty. */
function numericColumns(rows: readonly HTMLTableRowElement[]): Set<number> {
  const seen = new Map<number, boolean>()
  for (const row of rows) {
    place(row, (cell, column) => {
      const text = cell.textContent?.trim() ?? ''
      if (text !== '' && text !== '...' && text !== '…') seen.set(column, (seen.get(column) ?? true) && NUMBER.test(text))
    })
  }
  return new Set([...seen].filter(([, all]) => all).map(([column]) => column))
}

/** Cells with the column they stand in, counted from the right: index cells may span rows. */
function place(row: HTMLTableRowElement, visit: (cell: HTMLTableCellElement, column: number) => void): void {
  let column = 0
  for (const cell of [...row.cells].reverse()) {
    visit(cell, column)
    column += cell.colSpan
  }
}

function scroll(table: HTMLTableElement): void {
  const box = document.createElement('div')
  box.className = 'scroll'
  box.tabIndex = 0
  box.setAttribute('role', 'group')
  box.setAttribute('aria-label', 'Table')
  table.replaceWith(box)
  box.append(table)
}
