// pandas tables, made readable: they scroll, numbers align right, the count of rows stands small below.

const NUMBER = /^[-+−(]?[$€£]?\d[\d,.'\s]*(e[-+]?\d+)?\s?[%)]?$|^-?inf$|^NaN$|^<NA>$/i

export function dress(root: ParentNode): void {
  for (const table of root.querySelectorAll<HTMLTableElement>('table.dataframe')) {
    oneHead(table)
    unnamed(table)
    align(table)
    sortable(table)
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

/** Heads that order the rows. Not where rows are left out, or where a cell stands for several: that order would lie. */
function sortable(table: HTMLTableElement): void {
  const body = table.tBodies[0]
  const heads = [...(table.tHead?.rows ?? [])]
  if (!body || heads.length !== 1 || body.rows.length < 2 || body.rows.length > 5000) return
  const rows = [...body.rows]
  if (rows.some((row) => [...row.cells].some((cell) => cell.rowSpan > 1 || cell.colSpan > 1 || /^(\.\.\.|…|⋮)$/.test(cell.textContent ?? '')))) return
  for (const [at, head] of [...heads[0]!.cells].entries()) {
    if (head.tagName !== 'TH') continue
    const button = document.createElement('button')
    button.append(...head.childNodes)
    head.append(button)
    button.addEventListener('click', () => order(head, at, body, rows))
  }
}

const ORDERS = ['ascending', 'descending', 'none'] as const

function order(head: HTMLTableCellElement, at: number, body: HTMLTableSectionElement, rows: readonly HTMLTableRowElement[]): void {
  const before = ORDERS.indexOf((head.getAttribute('aria-sort') ?? 'none') as (typeof ORDERS)[number])
  const next = ORDERS[(before + 1) % ORDERS.length]!
  for (const cell of head.parentElement?.children ?? []) cell.removeAttribute('aria-sort')
  if (next !== 'none') head.setAttribute('aria-sort', next)
  const sign = next === 'descending' ? -1 : 1
  const numeric = head.classList.contains('number')
  const value = (row: HTMLTableRowElement): string => row.cells[at]?.textContent?.trim() ?? ''
  const sorted = next === 'none' ? rows : [...rows].sort((a, b) => compared(value(a), value(b), numeric, sign))
  body.append(...sorted)
}

/** Missing figures come last, whichever way. */
function compared(a: string, b: string, numeric: boolean, sign: 1 | -1): number {
  if (!numeric) return sign * a.localeCompare(b, 'en', { numeric: true })
  const [left, right] = [figure(a), figure(b)]
  if (Number.isNaN(left) || Number.isNaN(right)) return Number(Number.isNaN(left)) - Number(Number.isNaN(right))
  return sign * (left - right)
}

function figure(text: string): number {
  return text === '' ? Number.NaN : Number(text.replace(/[,'\s$€£%]/g, '').replace('−', '-'))
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
