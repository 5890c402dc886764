import { describe, expect, test } from 'vitest'
import { numericColumns, readTable } from './csv.ts'
import { empty, placeInLine, transition, type Session } from './notebook.ts'
import { previewOf, rows, tree } from './tree.ts'
import { FIRST, kindOf, ROWS, shapeOf, sorted, turned, within } from './variables.ts'
import type { FileEntry, SessionEvent, Variable } from '../wire/types.ts'

const file = (path: string, size = 1, type: FileEntry['type'] = 'file'): FileEntry => ({ path, size, type, modified: '2026-01-01T00:00:00Z' })

describe('the tree of files', () => {
  const root = tree([file('b.txt', 5), file('data/10.csv', 3), file('data/9.csv', 2), file('data/deep/x.bin', 1), file('empty', 0, 'directory'), file('a.txt')])
  test('has folders first, names in the order people count in, and sums', () => {
    expect(rows(root, new Set()).map((row) => `${row.depth} ${row.node.path}`)).toEqual([
      '0 data',
      '1 data/deep',
      '2 data/deep/x.bin',
      '1 data/9.csv',
      '1 data/10.csv',
      '0 empty',
      '0 a.txt',
      '0 b.txt',
    ])
    expect([root.files, root.size]).toEqual([5, 12])
  })
  test('hides what is in a shut folder', () => {
    expect(rows(root, new Set(['data'])).map((row) => row.node.path)).toEqual(['data', 'empty', 'a.txt', 'b.txt'])
  })
  test('knows how a file can be looked at', () => {
    expect(['a.PNG', 'b.csv', 'c.ipynb', 'd.py', 'LICENSE', 'e.parquet', 'f.mp3', 'g.webm'].map(previewOf)).toEqual(
      ['image', 'table', 'notebook', 'text', 'text', 'none', 'audio', 'video'],
    )
  })
})

describe('rows of text', () => {
  test('with quotes, separators and line breaks within', () => {
    const table = readTable('\uFEFFname;note\r\n"a;b";"say ""hi""\nnow"\r\nc;\r\n', 10, true)
    expect(table).toEqual({ head: ['name', 'note'], rows: [['a;b', 'say "hi"\nnow'], ['c', '']], more: false })
  })
  test('of a piece of a file end with its last whole row', () => {
    expect(readTable('a,b\n1,2\n3,', 10, false)).toEqual({ head: ['a', 'b'], rows: [['1', '2']], more: true })
    expect(readTable('a,b\n1,2\n3,4', 1, true)).toEqual({ head: ['a', 'b'], rows: [['1', '2']], more: true })
  })
  test('that are all numbers align right', () => {
    expect([...numericColumns(readTable('n,s,e\n1.5,x,\n-2e3,3,', 10, true))]).toEqual([0, 2])
  })
  test('of nothing', () => {
    expect(readTable('', 10, true)).toEqual({ head: [], rows: [], more: false })
  })
})

describe('a table looked at', () => {
  test('is ordered up, down, and as it was, from its first page', () => {
    const up = sorted({ ...FIRST, offset: ROWS }, 2)
    expect(up).toEqual({ offset: 0, sort: 2, descending: false })
    expect(sorted(up, 2)).toEqual({ offset: 0, sort: 2, descending: true })
    expect(sorted(sorted(up, 2), 2)).toEqual(FIRST)
  })
  test('has pages as far as there are rows', () => {
    expect(turned(FIRST, -1, 120)).toBeNull()
    expect(turned(FIRST, 1, 120)?.offset).toBe(ROWS)
    expect(turned({ ...FIRST, offset: 2 * ROWS }, 1, 120)).toBeNull()
    expect([120, 101, 100, 3, 0].map((total) => within({ ...FIRST, offset: 2 * ROWS }, total).offset)).toEqual([100, 100, 50, 0, 0])
  })
  test('and a variable is told in short', () => {
    const variable: Variable = { name: 'df', type: 'pandas.DataFrame', shape: [3, 2], size: 10, preview: '' }
    expect([shapeOf(variable), kindOf(variable), shapeOf({ ...variable, shape: null })]).toEqual(['3 × 2', 'DataFrame', ''])
  })
})

test('a name that turns the direction of a text is not shown so', () => {
  expect(tree([file('\u202eevil.txt', 1)]).children[0]).toMatchObject({ name: '\ufffdevil.txt', path: '\u202eevil.txt' })
})

describe('the line of executions', () => {
  let seq = 0
  const event = (name: string, content: Record<string, unknown>, id: string | null = null): SessionEvent => ({
    seq: ++seq,
    event: name,
    execution_id: id,
    kernel_id: 'k',
    cell_id: id && `cell-${id}`,
    time: '2026-01-01T00:00:00.000Z',
    content,
  })
  const start = (id: string, status: string): SessionEvent => event('execution_start', { status, code: id }, id)
  const places = (session: Session) => session.cells.map((cell) => placeInLine(session, cell))
  const three = [start('a', 'running'), start('b', 'queued'), start('c', 'queued')].reduce(transition, empty('k'))

  test('is told by place, and moves up', () => {
    expect(places(three)).toEqual([null, 0, 1])
    const next = transition(three, event('status', { execution_state: 'busy' }, 'b'))
    expect(places(next)).toEqual([null, null, 0])
  })
  test('comes whole with a snapshot', () => {
    const notebook = { kernel_id: 'k', revision: 1, title: null, environment: 'python3', cells: [], metadata: {} }
    const after = transition(three, event('snapshot', { notebook, kernel: { state: 'busy', queue: 2, memory_bytes: 5 }, queue: ['c', 'b'] }))
    expect([after.waiting, after.memory]).toEqual([['c', 'b'], 5])
  })
})
