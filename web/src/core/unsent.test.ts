import { describe, expect, test } from 'vitest'
import { changesOf, type Arrangement } from './ahead.ts'
import { adopt, edit, empty } from './notebook.ts'
import { isOpened, openingOf, parsed, recalled, stillToDo, unsentOf } from './unsent.ts'
import { rawCell as raw } from './raw-cell.ts'
import type { Cell, CellChange } from '../wire/types.ts'

const session = (...cells: Cell[]) => adopt(empty('k'), { kernel_id: 'k', revision: 1, title: null, environment: 'python3', cells, metadata: {} })

describe('what the server may not have', () => {
  const typed = edit(session(raw('a'), raw('b')), { kind: 'type', cellId: 'b', source: 'bb' })
  const changes: CellChange[] = [{ kind: 'delete', cell_id: 'a' }]
  test('is nothing, or what was typed, done and to be opened, and survives being kept', () => {
    expect(unsentOf(session(raw('a')), [], null)).toBeNull()
    const opening = openingOf('x.ipynb', { cells: [{ source: ['1\n', '2'] }, {}] })
    const unsent = unsentOf(typed, changes, opening)!
    expect(unsent).toEqual({ changes, drafts: [{ cellId: 'b', source: 'bb', base: 'b' }], opening: { name: 'x.ipynb', sources: ['1\n2', ''], ipynb: opening.ipynb } })
    expect(parsed(JSON.stringify(unsent))).toEqual(unsent)
    expect([parsed(''), parsed('null'), parsed('{}')]).toEqual([null, null, null])
  })
})

describe('of changes there are still to do', () => {
  const cells = [raw('a'), raw('b')]
  const all: Arrangement[] = [
    { kind: 'move', cellId: 'b', after: null },
    { kind: 'retype', cellId: 'a', type: 'markdown' },
    { kind: 'hide', cellId: 'a', hidden: true },
    { kind: 'delete', cellId: 'b' },
    { kind: 'add', cellId: 'c', type: 'code', source: '', after: 'a' },
  ]
  test('all, when none was made', () => {
    const changes = all.flatMap(changesOf)
    expect(stillToDo(cells, changes)).toEqual(changes)
  })
  test('none, when all were', () => {
    const made = [raw('a', 'a', { type: 'markdown', metadata: { jupyter: { outputs_hidden: true } } }), raw('c', '')]
    expect(stillToDo(made, all.flatMap(changesOf))).toEqual([])
    expect(stillToDo(cells, [{ kind: 'restore', cell_id: 'a', after: null }, { kind: 'edit', cell_id: 'b', source: 'b' }, { kind: 'edit', cell_id: 'gone', source: '' }])).toEqual([])
  })
  test('those that follow one that was not made, on the same cell', () => {
    const changes: CellChange[] = [
      { kind: 'add', id: 'n', type: 'code', source: '' },
      { kind: 'delete', cell_id: 'n' },
      { kind: 'delete', cell_id: 'gone' },
    ]
    expect(stillToDo(cells, changes)).toEqual(changes.slice(0, 2))
  })
})

describe('what was typed and not sent', () => {
  const draft = (source: string, base: string) => [{ cellId: 'a', source, base }]
  test('stands over what the server has, is merged with it, or shown beside it', () => {
    const source = 'x = 1\ny = 2\nz = 3'
    expect(recalled(session(raw('a', source)), draft('x = 1\ny = 22\nz = 3', source)).cells[0]).toMatchObject({ draft: { source: 'x = 1\ny = 22\nz = 3', base: source }, conflict: null })
    expect(recalled(session(raw('a', 'x = 11\ny = 2\nz = 3')), draft('x = 1\ny = 2\nz = 33', source)).cells[0]).toMatchObject({ draft: { source: 'x = 11\ny = 2\nz = 33' }, conflict: null })
    expect(recalled(session(raw('a', 'x = 9')), draft('x = 2', 'x = 1')).cells[0]).toMatchObject({ draft: { source: 'x = 2' }, conflict: 'x = 9' })
  })
  test('is nothing when it has arrived, and never in the way of what is typed now', () => {
    expect(recalled(session(raw('a', 'x = 2')), draft('x = 2', 'x = 1')).cells[0]).toMatchObject({ draft: null, conflict: null })
    const now = edit(session(raw('a')), { kind: 'type', cellId: 'a', source: 'now' })
    expect(recalled(now, draft('before', 'a')).cells).toEqual(now.cells)
  })
})

test('a notebook is opened where its sources stand', () => {
  const opening = openingOf('x.ipynb', { cells: [{ source: ['1\n', '2'] }] })
  expect([isOpened([raw('a', '1\n2')], opening), isOpened([raw('a', '1')], opening), isOpened([], opening)]).toEqual([true, false, false])
  expect(openingOf('x.ipynb', null).sources).toEqual([])
})
