import { describe, expect, test } from 'vitest'
import { adopt, announcement, edit, empty, isThere, neighbour, runnable, sourceOf, transition, type Session } from './notebook.ts'
import type { Arrangement } from './ahead.ts'
import { rawCell as cell } from './raw-cell.ts'
import type { Cell, Notebook, SessionEvent } from '../wire/types.ts'

const notebook = (cells: Cell[], revision = 1): Notebook => ({
  kernel_id: 'k',
  revision,
  title: null,
  environment: 'python3',
  cells,
  metadata: {},
})
let seq = 0
const event = (name: string, content: Record<string, unknown>, at: Partial<SessionEvent> = {}): SessionEvent => ({
  seq: ++seq,
  event: name,
  execution_id: null,
  kernel_id: 'k',
  cell_id: null,
  time: '2026-01-01T00:00:00.000Z',
  content,
  ...at,
})
const on = { execution_id: 'x', cell_id: 'a' }
const loaded = (...cells: Cell[]): Session =>
  transition(empty('k'), event('snapshot', { notebook: notebook(cells), kernel: { state: 'idle', queue: 0 } }))
const play = (session: Session, ...events: SessionEvent[]): Session => events.reduce(transition, session)
const result = (more: Record<string, unknown> = {}) => ({
  status: 'ok',
  kernel_state: 'kept',
  execution_count: 3,
  outputs: [],
  files: [],
  timing: { queued_ms: 0, run_ms: 12, total_ms: 12 },
  truncated: false,
  spill: null,
  limit: null,
  notice: null,
  ...more,
})

describe('an answer that was overtaken', () => {
  const run = [event('execution_start', { status: 'running', code: 'a' }, on), event('execution_end', result(), on)]
  test('does not bring back the state a run had when it was asked for', () => {
    const asked = play(loaded(cell('a')), run[0]!)
    const late = notebook([cell('a', 'a', { execution_id: 'x', status: 'running' }), cell('new')], 2)
    const now = adopt(play(asked, run[1]!), late, asked)
    expect(now.cells.map((one) => [one.id, one.status])).toEqual([['a', 'ok'], ['new', null]])
  })
  test('does not bring back the run before', () => {
    const asked = loaded(cell('a', 'a', { execution_id: 'earlier', status: 'ok' }))
    const late = notebook([cell('a', 'b', { execution_id: 'earlier', status: 'ok' })], 2)
    expect(adopt(play(asked, ...run), late, asked).cells[0]).toMatchObject({ execution_id: 'x', status: 'ok', source: 'b' })
  })
  test('that knows more than the events says it', () => {
    const asked = loaded(cell('a'))
    expect(adopt(asked, notebook([cell('a', 'a', { execution_id: 'x', status: 'ok' })], 2), asked).cells[0]).toMatchObject({ status: 'ok' })
  })
})

describe('what a person does to cells', () => {
  const ids = (session: Session): readonly string[] => session.cells.map((one) => one.id)
  const add = (cellId: string, after: string | null): Arrangement => ({ kind: 'add', cellId, type: 'code', source: '', after })
  const three = loaded(cell('a'), cell('b'), cell('c'))
  const answered = (session: Session, change: Arrangement, cells: Cell[], revision: number): Session =>
    adopt(edit(session, { kind: 'settled', change }), notebook(cells, revision))

  test('what runs in a cell that is made a text leaves nothing in it', () => {
    const running = play(three, event('execution_start', { status: 'running', code: 'a' }, on))
    const toText: Arrangement = { kind: 'retype', cellId: 'a', type: 'markdown' }
    const toCode: Arrangement = { kind: 'retype', cellId: 'a', type: 'code' }
    const text = answered(edit(running, toText), toText, [cell('a', 'a', { type: 'markdown' }), cell('b'), cell('c')], 2)
    const late = [event('stream', { name: 'stdout', text: 'late' }, on), event('execution_end', result({ outputs: [{ output_type: 'stream', name: 'stdout', text: 'late' }] }), on)]
    const nothing = { outputs: [], status: null, execution_id: null, execution_count: null, type: 'code' }
    expect(edit(play(text, ...late), toCode).cells[0]).toMatchObject(nothing)
    expect(play(edit(edit(running, toText), toCode), ...late).cells[0]).toMatchObject(nothing)
  })
  test('a new cell is there at once, and stays while the server tells of others', () => {
    const change = add('new', 'a')
    let session = edit(loaded(cell('a'), cell('b')), change)
    expect(ids(session)).toEqual(['a', 'new', 'b'])
    session = edit(session, { kind: 'type', cellId: 'new', source: 'x = 1' })
    session = adopt(session, notebook([cell('a'), cell('other'), cell('b')], 2))
    expect(ids(session)).toEqual(['a', 'new', 'other', 'b'])
    session = answered(session, change, [cell('a'), cell('new', ''), cell('b')], 3)
    expect(session.cells[1]).toMatchObject({ draft: { source: 'x = 1', base: '' } })
    expect(ids(adopt(session, notebook([cell('a')], 4)))).toEqual(['a'])
  })
  test('a new cell stands at the top, or at the end when what it follows is gone', () => {
    const one = loaded(cell('a'))
    expect(ids(edit(one, add('new', null)))).toEqual(['new', 'a'])
    expect(ids(edit(one, add('new', 'gone')))).toEqual(['a', 'new'])
    expect(ids(adopt(edit(one, add('new', 'a')), notebook([cell('b')], 2)))).toEqual(['b', 'new'])
    expect(ids(adopt(edit(one, add('new', null)), notebook([cell('a')], 2)))).toEqual(['new', 'a'])
  })
  test('stands while the server answers what was asked before it', () => {
    const up: Arrangement = { kind: 'move', cellId: 'c', after: 'a' }
    const top: Arrangement = { kind: 'move', cellId: 'c', after: null }
    let session = adopt(edit(three, up), notebook([cell('a', 'edited'), cell('b'), cell('c')], 2))
    expect(ids(session)).toEqual(['a', 'c', 'b'])
    session = edit(session, top)
    session = play(session, event('cell_moved', { cell_id: 'c', after: 'a', revision: 3 }, { cell_id: 'c' }))
    expect(ids(session)).toEqual(['c', 'a', 'b'])
    session = answered(session, up, [cell('a'), cell('c'), cell('b')], 3)
    expect(ids(session)).toEqual(['c', 'a', 'b'])
    session = answered(session, top, [cell('c'), cell('a'), cell('b')], 4)
    expect([ids(session), session.ahead]).toEqual([['c', 'a', 'b'], []])
  })
  test('what is deleted does not come back with an answer or an event that came late', () => {
    const gone: Arrangement = { kind: 'delete', cellId: 'b' }
    let session = adopt(edit(three, gone), notebook([cell('a'), cell('b', 'edited'), cell('c')], 2))
    session = play(session, event('cell_added', { cell: cell('b'), after: 'a', revision: 3 }, { cell_id: 'b' }))
    expect(ids(session)).toEqual(['a', 'c'])
    expect(ids(answered(session, gone, [cell('a'), cell('c')], 4))).toEqual(['a', 'c'])
  })
  test('a kind and hidden outputs stay too', () => {
    const changes: Arrangement[] = [{ kind: 'retype', cellId: 'a', type: 'markdown' }, { kind: 'hide', cellId: 'b', hidden: true }]
    const session = adopt(changes.reduce(edit, three), notebook([cell('a'), cell('b')], 2))
    expect(session.cells).toMatchObject([{ type: 'markdown' }, { metadata: { jupyter: { outputs_hidden: true } } }])
  })
  test('a cell that the server refused goes again, and for all else it is asked', () => {
    const failed = (change: Arrangement): Session => edit(edit(three, change), { kind: 'settled', change, failed: true })
    expect(failed(add('new', 'a'))).toMatchObject({ ahead: [], stale: false })
    expect(ids(failed(add('new', 'a')))).toEqual(['a', 'b', 'c'])
    expect(failed({ kind: 'delete', cellId: 'b' })).toMatchObject({ ahead: [], stale: true })
  })
})

describe('an execution', () => {
  test('goes from queued to running to its end, with outputs on the way', () => {
    let session = play(loaded(cell('a')), event('execution_start', { status: 'queued', code: 'print(1)' }, on))
    expect(session.cells[0]).toMatchObject({ status: 'queued', source: 'print(1)', execution_id: 'x' })
    session = play(session, event('status', { execution_state: 'busy' }, on), event('stream', { name: 'stdout', text: '1\n' }, on))
    expect(session.cells[0]).toMatchObject({ status: 'running', outputs: [{ text: '1\n' }] })
    session = play(session, event('execution_end', result({ outputs: [{ output_type: 'stream', name: 'stdout', text: '1\n' }] }), on))
    expect(session.cells[0]).toMatchObject({ status: 'ok', execution_count: 3, runMs: 12 })
  })
  test('of a cell nobody knew appends it', () => {
    const session = play(loaded(cell('b')), event('execution_start', { status: 'running', code: '1' }, on))
    expect(session.cells.map((one) => one.id)).toEqual(['b', 'a'])
  })
  test('that came late from an earlier run changes nothing', () => {
    const session = play(
      loaded(cell('a')),
      event('execution_start', { status: 'running', code: '1' }, on),
      event('stream', { name: 'stdout', text: 'old' }, { ...on, execution_id: 'earlier' }),
    )
    expect(session.cells[0]?.outputs).toEqual([])
  })
  test('whose kernel was lost says so until it is put away', () => {
    const session = play(
      loaded(cell('a')),
      event('execution_start', { status: 'running', code: '1' }, on),
      event('execution_end', result({ status: 'out_of_memory', kernel_state: 'lost', notice: 'All variables are gone.' }), on),
    )
    expect(session.notice).toBe('All variables are gone.')
    expect(edit(session, { kind: 'dismiss' }).notice).toBeNull()
  })
  test('that asks for input waits for it, and no longer when it has ended', () => {
    let session = play(
      loaded(cell('a')),
      event('execution_start', { status: 'running', code: 'input()' }, on),
      event('input_request', { prompt: 'Name? ', password: false }, on),
    )
    expect(session.input).toMatchObject({ executionId: 'x', cellId: 'a', prompt: 'Name? ', password: false })
    session = play(session, event('execution_end', result(), on))
    expect(session.input).toBeNull()
  })
  test('whose question is answered waits no longer, and may ask the same again', () => {
    const asking = event('input_request', { prompt: '> ', password: false }, on)
    const first = play(loaded(cell('a')), event('execution_start', { status: 'running', code: 'input()' }, on), asking)
    const answered = { kind: 'answered', input: first.input! } as const
    expect(edit(first, answered).input).toBeNull()
    const second = play(first, { ...asking, time: '2026-01-01T00:00:09.000Z' })
    expect(second.input?.asked).not.toBe(first.input?.asked)
    expect(edit(second, answered).input).toBe(second.input)
  })
  test('is asked what a snapshot says that it is asked, and nothing that was answered', () => {
    const asking = event('input_request', { prompt: '> ', password: false }, on)
    const seen = (input: unknown) => event('snapshot', { notebook: notebook([cell('a')], 1), input })
    const missed = play(loaded(cell('a')), seen(asking))
    expect(missed.input).toMatchObject({ executionId: 'x', cellId: 'a', prompt: '> ' })
    expect(play(missed, seen(asking)).input).toBe(missed.input)
    expect(play(missed, seen({ ...asking, time: '2026-01-01T00:00:09.000Z' })).input).not.toBe(missed.input)
    expect(play(missed, seen(null)).input).toBeNull()
  })
  test('keeps a display id, so that a later cell may update the display', () => {
    const display = { data: { 'text/plain': '1' }, metadata: {} }
    const session = play(
      loaded(cell('a')),
      event('execution_start', { status: 'running', code: '1' }, on),
      event('display_data', { ...display, transient: { display_id: 'd' } }, on),
      event('execution_end', result({ outputs: [{ output_type: 'display_data', ...display }] }), on),
    )
    expect(session.cells[0]?.outputs[0]).toMatchObject({ transient: { display_id: 'd' } })
  })
})

test('a display is updated from another cell than the one that showed it', () => {
  const shown = { data: { 'text/plain': 'old' }, metadata: {}, transient: { display_id: 'd' } }
  const session = play(
    loaded(cell('a'), cell('b')),
    event('execution_start', { status: 'running', code: '1' }, on),
    event('display_data', shown, on),
    event('execution_end', result({ outputs: [{ output_type: 'display_data', data: shown.data, metadata: {} }] }), on),
    event('execution_start', { status: 'running', code: '2' }, { execution_id: 'y', cell_id: 'b' }),
    event('update_display_data', { ...shown, data: { 'text/plain': 'new' } }, { execution_id: 'y', cell_id: 'b' }),
  )
  expect(session.cells[0]?.outputs[0]).toMatchObject({ data: { 'text/plain': 'new' } })
  const answered = adopt(session, notebook(session.cells.map(({ id, outputs }) => cell(id, id, { execution_id: id === 'a' ? 'x' : 'y', status: 'ok', outputs: outputs.map((one) => ({ ...one, transient: {} })) })), 2))
  expect(answered.cells[0]?.outputs[0]).toMatchObject({ transient: { display_id: 'd' } })
  expect(session.cells[1]?.outputs).toEqual([])
})

describe('a snapshot in the middle of a run', () => {
  test('tells what is updated later, and what the next output takes the place of', () => {
    const shown = { output_type: 'display_data', data: { 'text/plain': 'old' }, metadata: {} } as const
    const running = cell('a', '1', { status: 'running', execution_id: 'x', outputs: [shown, shown] })
    const picture = { notebook: notebook([running, cell('b')], 9), display_ids: { a: [null, 'd'] } }
    const update = event('update_display_data', { data: { 'text/plain': 'new' }, transient: { display_id: 'd' } }, on)
    const updated = play(loaded(), event('snapshot', picture), update).cells[0]!
    expect(updated.outputs.map((output) => 'data' in output && output.data['text/plain'])).toEqual(['old', 'new'])
    const cleared = play(loaded(), event('snapshot', { ...picture, clearing: ['a'] }), event('stream', { name: 'stdout', text: '1' }, on))
    expect(cleared.cells[0]?.outputs).toEqual([{ output_type: 'stream', name: 'stdout', text: '1' }])
  })
  test('replaces what was folded before it, and the rest follows', () => {
    const before = play(
      loaded(cell('a')),
      event('execution_start', { status: 'running', code: '1' }, on),
      event('stream', { name: 'stdout', text: '1\n' }, on),
    )
    const running = cell('a', '1', { status: 'running', execution_id: 'x', outputs: [{ output_type: 'stream', name: 'stdout', text: '1\n2\n' }] })
    const after = play(
      before,
      event('snapshot', { notebook: notebook([running], 9), kernel: { state: 'busy', queue: 0 } }),
      event('stream', { name: 'stdout', text: '3\n' }, on),
    )
    expect(after.cells[0]?.outputs).toEqual([{ output_type: 'stream', name: 'stdout', text: '1\n2\n3\n' }])
    expect(after).toMatchObject({ revision: 9, phase: 'busy' })
  })
  test('an answer to an edit does not repeat outputs whose events are still on their way', () => {
    const before = play(loaded(cell('a')), event('execution_start', { status: 'running', code: '1' }, on))
    const ahead = cell('a', '1', { status: 'running', execution_id: 'x', outputs: [{ output_type: 'stream', name: 'stdout', text: '1\n' }] })
    const after = play(adopt(before, notebook([ahead], 4)), event('stream', { name: 'stdout', text: '1\n' }, on))
    expect(after.cells[0]?.outputs).toEqual([{ output_type: 'stream', name: 'stdout', text: '1\n' }])
  })
})

describe('edits of others', () => {
  test('add, change, move and delete cells', () => {
    let session = play(loaded(cell('a'), cell('b')), event('cell_added', { cell: cell('c'), after: 'a', revision: 2 }))
    expect(session.cells.map((one) => one.id)).toEqual(['a', 'c', 'b'])
    session = play(session, event('cell_edited', { cell: cell('c', 'new'), revision: 3 }))
    expect(session.cells[1]?.source).toBe('new')
    session = play(session, event('cell_moved', { cell_id: 'b', after: null, revision: 4 }))
    expect(session.cells.map((one) => one.id)).toEqual(['b', 'a', 'c'])
    session = play(session, event('cell_deleted', { cell_id: 'a', revision: 5 }))
    expect(session.cells.map((one) => one.id)).toEqual(['b', 'c'])
    expect(session.revision).toBe(5)
  })
  test('that say too little, or a gap, ask for the notebook again', () => {
    expect(play(loaded(cell('a')), event('cell_edited', { cell_id: 'zz' })).stale).toBe(true)
    expect(play(loaded(cell('a')), event('gap', { from: 1, to: 9 })).stale).toBe(true)
  })
  test('an event of a later version changes nothing', () => {
    const session = loaded(cell('a'))
    expect(play(session, event('something_new', { x: 1 })).cells).toEqual(session.cells)
  })
})

describe('what a person types', () => {
  const typing = (source: string): Session => edit(loaded(cell('a', 'x = 1\ny = 2\nz = 3')), { kind: 'type', cellId: 'a', source })

  test('stays on top until the server has it', () => {
    const session = typing('x = 1\ny = 2\nz = 4')
    expect(sourceOf(session.cells[0]!)).toBe('x = 1\ny = 2\nz = 4')
    const confirmed = adopt(session, notebook([cell('a', 'x = 1\ny = 2\nz = 4')], 2))
    expect(confirmed.cells[0]?.draft).toBeNull()
  })
  test('is merged with a change of other lines', () => {
    const session = adopt(typing('x = 1\ny = 2\nz = 4'), notebook([cell('a', 'x = 0\ny = 2\nz = 3')], 2))
    expect(sourceOf(session.cells[0]!)).toBe('x = 0\ny = 2\nz = 4')
    expect(session.cells[0]?.conflict).toBeNull()
  })
  test('against a change of the same lines is a choice, and nothing is lost', () => {
    const session = adopt(typing('x = 1\ny = 2\nz = 4'), notebook([cell('a', 'x = 1\ny = 2\nz = 5')], 2))
    expect(session.cells[0]).toMatchObject({ conflict: 'x = 1\ny = 2\nz = 5', draft: { source: 'x = 1\ny = 2\nz = 4' } })
    expect(sourceOf(edit(session, { kind: 'resolve', cellId: 'a', keep: 'theirs' }).cells[0]!)).toBe('x = 1\ny = 2\nz = 5')
    expect(sourceOf(edit(session, { kind: 'resolve', cellId: 'a', keep: 'mine' }).cells[0]!)).toBe('x = 1\ny = 2\nz = 4')
  })
})

describe('what a person types while the server is told', () => {
  const old = 'x = 1'
  const kept = 'x = 1  # kept'
  const type = (session: Session, source: string): Session => edit(session, { kind: 'type', cellId: 'a', source })
  const sending = (source: string): Session => edit(type(loaded(cell('a', old)), source), { kind: 'sent', cellId: 'a', source })
  const told = (source: string, revision: number): SessionEvent => event('cell_edited', { cell: cell('a', source), revision }, { cell_id: 'a' })
  const text = (session: Session): string => sourceOf(session.cells[0]!)

  test('stays, also when it is what stood there before', () => {
    for (const now of [old, 'x = 2', `${kept} and more`]) {
      const typing = type(sending(kept), now)
      for (const confirmed of [adopt(typing, notebook([cell('a', kept)], 2)), play(typing, told(kept, 2)), play(typing, event('execution_start', { status: 'queued', code: kept }, on))]) {
        expect(text(confirmed)).toBe(now)
        expect(confirmed.cells[0]).toMatchObject({ draft: { source: now, base: kept }, sent: null, conflict: null })
      }
    }
  })
  test('stays when the server says meanwhile what stood there before', () => {
    const typing = adopt(type(sending(kept), old), notebook([cell('a', old)], 1))
    expect(text(adopt(typing, notebook([cell('a', kept)], 2)))).toBe(old)
  })
  test('is no change any more when it did not arrive', () => {
    const failed = edit(type(sending(kept), old), { kind: 'sent', cellId: 'a', source: null })
    expect(failed.cells[0]).toMatchObject({ source: old, draft: null, sent: null })
  })
  test('an event that comes after the answer to a later edit does not bring the old text back', () => {
    const session = adopt(sending(kept), notebook([cell('a', kept)], 2))
    const later = adopt(edit(type(session, old), { kind: 'sent', cellId: 'a', source: old }), notebook([cell('a', old)], 3))
    expect(text(play(later, told(kept, 2)))).toBe(old)
    expect(text(play(later, told(kept, 2), told(old, 3), told('y', 4)))).toBe('y')
  })
})

test('code that is being written is a cell as soon as it is heard of', () => {
  const source = 'import pandas as pd\ndf.plot()'
  const running = loaded(cell('a', source, { status: 'running', execution_id: 'x' }))
  expect([source, `${source}\n`, source.slice(0, -3)].map((code) => isThere(running, code))).toEqual([true, true, true])
  expect(['import', 'import numpy', `${source}.T`].map((code) => isThere(running, code))).toEqual([false, false, false])
  expect(isThere(loaded(cell('a', source, { status: 'ok' })), source.slice(0, -3))).toBe(false)
  expect([isThere(loaded(cell('a', source)), source), isThere(loaded(), source)]).toEqual([false, false])
})

describe('places', () => {
  const { cells } = loaded(cell('a'), cell('b'), cell('c'))
  test('one step up or down, or nowhere', () => {
    expect(neighbour(cells, 'b', -1)).toBeNull()
    expect(neighbour(cells, 'c', -1)).toBe('a')
    expect(neighbour(cells, 'a', 1)).toBe('b')
    expect(neighbour(cells, 'c', 1)).toBeUndefined()
  })
  test('what runs is code that is not empty, in order', () => {
    const session = loaded(cell('a'), cell('m', 'text', { type: 'markdown' }), cell('e', '  '), cell('b'))
    expect(runnable(session.cells).map((one) => one.id)).toEqual(['a', 'b'])
    expect(runnable(session.cells, 'b').map((one) => one.id)).toEqual(['b'])
    expect(runnable(session.cells, undefined, 'b').map((one) => one.id)).toEqual(['a'])
  })
})

test('the end of a cell is announced in one short sentence', () => {
  const running = play(loaded(cell('m'), cell('a')), event('execution_start', { status: 'running', code: '1' }, on))
  const failed = play(running, event('execution_end', result({ status: 'error' }), on))
  expect(announcement(running, failed)).toBe('Cell 2 finished with an error.')
  expect(announcement(failed, failed)).toBeNull()
})
